//! Variants: the ways to build a layer.

use std::fmt;

use longshore_oci::{Descriptor, Digest, MediaType};

use crate::compression::{Algorithm, Encoding};
use crate::epoch::Epoch;

/// Annotation of a layer with no times later than this, in seconds since 1970, as set by `BuildKit`.
const ANNOTATION_REWRITTEN: &str = "buildkit/rewritten-timestamp";

/// One way to build a layer. Outputs that want the same variant share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Variant {
    /// The encoding of its tar stream.
    pub encoding: Encoding,
    /// The latest time that a file may have: a later one is replaced by it. `None` keeps all times.
    pub rewrite: Option<Epoch>,
}

impl Variant {
    /// Creates the variant of the unchanged tar stream in `encoding`.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, rewrite: None }
    }

    /// Sets the latest time that a file may have.
    #[must_use]
    pub fn with_rewrite(self, rewrite: Option<Epoch>) -> Self {
        Self { rewrite, ..self }
    }

    /// Returns the algorithm of its encoding.
    pub fn algorithm(self) -> Algorithm {
        self.encoding.algorithm()
    }

    /// Returns whether the blob is its tar stream, not compressed.
    pub fn is_plain(self) -> bool {
        self.algorithm() == Algorithm::Uncompressed
    }

    /// Returns the media type of layers made in this variant.
    pub fn media_type(self) -> MediaType {
        MediaType::layer(self.algorithm())
    }

    /// Returns everything that determines the bytes of a layer built in this variant: the encoder, its version
    /// and its parameters. A store looks up built layers by it.
    pub fn encoder(self) -> String {
        let encoder = self.encoding.encoder();
        match self.rewrite {
            // Its diffID is that of the layer with these times, which another rewrite leaves unchanged.
            Some(epoch) => format!("{encoder}, times to {}", epoch.seconds()),
            None => encoder,
        }
    }

    /// Returns the descriptor of a layer built in this variant.
    pub(super) fn describe(self, digest: Digest, size: u64) -> Descriptor {
        let descriptor = Descriptor::new(self.media_type(), digest, size);
        match self.rewrite {
            Some(epoch) => descriptor.annotated(ANNOTATION_REWRITTEN, epoch.seconds().to_string()),
            None => descriptor,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.encoding.fmt(f)?;
        match self.rewrite {
            Some(epoch) => write!(f, ", times to {}", epoch.time()),
            None => Ok(()),
        }
    }
}

/// Returns whether a layer is annotated as rewritten to times not later than `epoch`.
pub(crate) fn is_rewritten(layer: &Descriptor, epoch: Epoch) -> bool {
    layer.annotations.get(ANNOTATION_REWRITTEN).is_some_and(|said| *said == epoch.seconds().to_string())
}

/// A layer built in one variant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MadeLayer {
    /// The variant.
    pub variant: Variant,
    /// The digest of its uncompressed tar stream.
    pub diff_id: Digest,
    /// Its blob, with the annotations of its encoder.
    pub descriptor: Descriptor,
    /// The newest modification time of its files, in seconds since 1970; `None` if it has no files.
    pub newest: Option<i64>,
}
