//! Variants: the ways to build a layer.

use std::fmt;

use longshore_oci::{Descriptor, Digest, MediaType};

use crate::compression::{Algorithm, Encoding};

/// One way to build a layer. Outputs that want the same variant share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Variant {
    /// The encoding of its tar stream.
    pub encoding: Encoding,
}

impl Variant {
    /// Creates the variant of the unchanged tar stream in `encoding`.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding }
    }

    /// Returns the algorithm of its encoding.
    pub fn algorithm(self) -> Algorithm {
        self.encoding.algorithm()
    }

    /// Returns whether the blob is the tar stream itself.
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
        self.encoding.encoder()
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.encoding.fmt(f)
    }
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
