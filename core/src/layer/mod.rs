//! Layers of build results, and the tar streams and blobs built from them.

mod directory;
mod encoder;
mod entries;
mod file_stream;
mod left_out;
mod make;
mod plain;
mod rewritten;
mod set;
mod stream;
mod tar_stream;
mod variant;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use longshore_content::{Origin, Provider};
use longshore_oci::{Descriptor, Digest, Error, History, MediaType, Result};

pub use file_stream::FileStream;
pub(crate) use make::Workshop;
use plain::PlainTar;
pub(crate) use set::{LayerSet, WantedLayers};
pub use stream::LayerStream;
pub(crate) use variant::is_rewritten;
pub use variant::{MadeLayer, Variant};

use crate::compression::Algorithm;
use crate::options::{Value, choice_syntax, parse_choice};
use crate::tree::Patterns;

/// One layer of an image, not yet read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Layer {
    /// Where its bytes come from.
    pub source: LayerSource,
    /// Its history entry. Core fills in a missing `created`.
    pub history: History,
}

/// The source of the bytes of a layer. Nothing is read before the bytes are needed.
#[derive(Debug)]
pub enum LayerSource {
    /// A directory on this machine.
    Dir(DirSource),
    /// A tar stream.
    Tar(TarSource),
    /// An existing blob, possibly remote.
    Blob(BlobSource),
}

/// A directory that becomes a layer: everything below it, without the directory itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DirSource {
    /// The directory.
    pub path: PathBuf,
    /// Its representation of deleted files of lower layers.
    pub whiteouts: Whiteouts,
    /// Changes applied to the entries.
    pub rules: Rules,
}

/// The representation of deleted files of lower layers in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Whiteouts {
    /// None: a file named like a whiteout is an error.
    Plain,
    /// As in overlayfs: character devices 0/0, and `trusted.overlay.opaque` or
    /// `user.overlay.opaque` on directories.
    Overlay,
    /// As in layers: files named `.wh.…`.
    Aufs,
}

impl Value for Whiteouts {
    fn syntax() -> Cow<'static, str> {
        choice_syntax::<Self>()
    }

    fn parse(text: &str) -> Result<Self> {
        parse_choice(text)
    }
}

/// A tar archive that becomes a layer: verbatim unless a rule changes it.
#[derive(Debug)]
#[non_exhaustive]
pub struct TarSource {
    /// The archive.
    pub stream: Arc<dyn TarStream>,
    /// The digest of the uncompressed archive, if known. It is checked, and the archive is not parsed: file
    /// times do not affect the creation time of the image.
    pub diff_id: Option<Digest>,
    /// The size of the archive in bytes, if known; then the stream is taken as uncompressed, whatever its first
    /// bytes. With a diffID and no rules, a single output that keeps the layer uncompressed streams it directly
    /// and bypasses the store.
    pub size: Option<u64>,
    /// Changes applied to the entries.
    pub rules: Rules,
}

/// A tar archive that can be read any number of times.
pub trait TarStream: Send + Sync + fmt::Debug {
    /// Opens the archive from its start; it may be compressed if its size is unknown.
    ///
    /// # Errors
    /// Those of opening it.
    fn open(&self) -> Result<Box<dyn Read + Send + '_>>;

    /// Returns its name, for display.
    fn name(&self) -> String;

    /// Returns compressed forms of it seen in registries, the latest first. They are unverified reports of the
    /// source.
    ///
    /// # Errors
    /// I/O errors.
    fn seen(&self) -> Result<Vec<SeenBlob>> {
        Ok(Vec::new())
    }

    /// Returns the uncompressed archive, of the same length, with arbitrary bytes in place of file contents, if
    /// that is quicker to read.
    ///
    /// # Errors
    /// Those of opening it.
    fn outline(&self) -> Result<Option<Box<dyn Read + Send + '_>>> {
        Ok(None)
    }
}

/// A blob seen in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenBlob {
    /// The blob.
    pub digest: Digest,
    /// The repository it was in.
    pub origin: Origin,
}

/// A layer that exists as a blob.
#[derive(Debug)]
#[non_exhaustive]
pub struct BlobSource {
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed tar stream, from the configuration of its image.
    pub diff_id: Digest,
    /// Its provider.
    pub provider: Arc<dyn Provider>,
}

/// Changes between a source and its layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// The user and group of every file.
    pub owner: Option<(u32, u32)>,
    /// Files to exclude.
    pub excludes: Patterns,
    /// The destination directory in the image, without a slash at either end; empty for the root. It and its
    /// parents get no entries of their own, so that they keep their attributes from lower layers.
    pub destination: Vec<u8>,
}

impl Rules {
    /// Sets the user and group that own every file.
    #[must_use]
    pub fn with_owner(self, owner: Option<(u32, u32)>) -> Self {
        Self { owner, ..self }
    }

    /// Sets the files that are left out.
    #[must_use]
    pub fn with_excludes(self, excludes: Patterns) -> Self {
        Self { excludes, ..self }
    }

    /// Sets the directory in the image, as [`parse_destination`](Self::parse_destination) returns it.
    #[must_use]
    pub fn with_destination(self, destination: Vec<u8>) -> Self {
        Self { destination, ..self }
    }

    /// Parses a destination, an absolute path.
    ///
    /// # Errors
    /// A path that is not absolute or has a `..`.
    pub fn parse_destination(path: &str) -> Result<Vec<u8>> {
        let invalid = |reason| {
            Error::option(format!("destination `{}` {reason}", path.escape_debug()))
                .with_hint("it is an absolute path in the image, such as /opt/app")
        };
        let relative = path.strip_prefix('/').ok_or_else(|| invalid("is not absolute"))?;
        let parts: Vec<&str> = relative.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err(invalid("has a `..`"));
        }
        Ok(parts.join("/").into_bytes())
    }

    fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the path in the layer of a file of the source.
    fn place(&self, path: &[u8]) -> Vec<u8> {
        if self.destination.is_empty() { path.to_vec() } else { [&self.destination, path].join(&b'/') }
    }
}

impl DirSource {
    /// Creates a source from a directory without whiteouts.
    pub fn new(path: impl Into<PathBuf>, rules: Rules) -> Self {
        Self { path: path.into(), whiteouts: Whiteouts::Plain, rules }
    }

    /// Sets how the directory says that a file of a lower layer is deleted.
    #[must_use]
    pub fn with_whiteouts(self, whiteouts: Whiteouts) -> Self {
        Self { whiteouts, ..self }
    }
}

impl TarSource {
    /// Creates a source from an archive of unknown diffID and size.
    pub fn new(stream: Arc<dyn TarStream>, rules: Rules) -> Self {
        Self { stream, diff_id: None, size: None, rules }
    }

    /// Sets the digest of the uncompressed archive.
    #[must_use]
    pub fn with_diff_id(self, diff_id: Option<Digest>) -> Self {
        Self { diff_id, ..self }
    }

    /// Sets the size of the uncompressed archive in bytes.
    #[must_use]
    pub fn with_size(self, size: Option<u64>) -> Self {
        Self { size, ..self }
    }
}

impl BlobSource {
    /// Creates a source from a blob and the digest of its uncompressed tar stream.
    pub fn new(descriptor: Descriptor, diff_id: Digest, provider: Arc<dyn Provider>) -> Self {
        Self { descriptor, diff_id, provider }
    }
}

impl SeenBlob {
    /// Creates a blob and where it was seen.
    pub fn new(digest: Digest, origin: Origin) -> Self {
        Self { digest, origin }
    }
}

impl Layer {
    /// Creates a layer with its history entry.
    pub fn new(source: LayerSource, history: History) -> Self {
        Self { source, history }
    }

    /// Returns its name for display: a path, an archive or a digest.
    pub fn name(&self) -> String {
        match &self.source {
            LayerSource::Dir(source) => source.path.display().to_string(),
            LayerSource::Tar(source) => source.stream.name(),
            LayerSource::Blob(source) => source.descriptor.digest.to_string(),
        }
    }

    /// Returns the expected diffID, if it is known before the layer is read.
    pub fn diff_id(&self) -> Option<&Digest> {
        match &self.source {
            LayerSource::Tar(source) if source.rules.is_identity() => source.diff_id.as_ref(),
            LayerSource::Dir(_) | LayerSource::Tar(_) => None,
            LayerSource::Blob(source) => Some(&source.diff_id),
        }
    }

    /// Returns the layer as an uncompressed blob and its provider, if it is one without being built.
    pub fn plain(&self) -> Option<(Descriptor, Arc<dyn Provider>)> {
        let descriptor =
            |diff_id: &Digest, size| Descriptor::new(MediaType::layer(Algorithm::Uncompressed), diff_id.clone(), size);
        match &self.source {
            LayerSource::Tar(source) => {
                let (diff_id, size) = (self.diff_id()?, source.size?);
                Some((descriptor(diff_id, size), Arc::new(PlainTar { stream: source.stream.clone() })))
            }
            LayerSource::Blob(BlobSource { descriptor: blob, diff_id, provider }) if blob.digest == *diff_id => {
                Some((descriptor(diff_id, blob.size), provider.clone()))
            }
            LayerSource::Dir(_) | LayerSource::Blob(_) => None,
        }
    }
}
