//! Layers: what a frontend hands over, and the tar streams and blobs that are made of it.

mod directory;
mod encoder;
mod entries;
mod left_out;
mod make;
mod plain;
mod set;
mod stream;
mod tar_stream;
mod variant;

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use longshore_content::{Origin, Provider};
use longshore_oci::{Descriptor, Digest, Error, History, MediaType, Result};

pub(crate) use make::Workshop;
use plain::PlainTar;
pub(crate) use set::{LayerSet, WantedLayers};
pub use stream::LayerStream;
pub use variant::{MadeLayer, Variant};

use crate::compression::Algorithm;
use crate::tree::Patterns;

/// One layer of an image, not read yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct Layer {
    /// Where its bytes come from.
    pub source: LayerSource,
    /// Its step in the history of the image. Core fills in `created` where it is missing.
    pub history: History,
}

/// Where the bytes of a layer come from. Nothing is read before somebody needs the bytes.
#[derive(Debug)]
pub enum LayerSource {
    /// A directory on this machine.
    Dir(DirSource),
    /// A tar stream.
    Tar(TarSource),
    /// A blob that exists already, perhaps far away.
    Blob(BlobSource),
}

/// A directory that becomes a layer: everything below it, not itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DirSource {
    /// The directory.
    pub path: PathBuf,
    /// How it says that a file of a lower layer is deleted.
    pub whiteouts: Whiteouts,
    /// What changes on the way.
    pub rules: Rules,
}

/// How a directory says that files of lower layers are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// It does not: a file that is named like a whiteout is an error.
    Plain,
    /// As overlayfs does: character devices 0/0, and `trusted.overlay.opaque` or
    /// `user.overlay.opaque` on directories.
    Overlay,
    /// As layers themselves do: files named `.wh.…`.
    Aufs,
}

/// A tar archive that becomes a layer: verbatim where no rule changes it.
#[derive(Debug)]
#[non_exhaustive]
pub struct TarSource {
    /// The archive.
    pub stream: Arc<dyn TarStream>,
    /// The digest of the uncompressed archive, if known; it is checked, and the archive is not parsed: times of
    /// its files do not become times of the image.
    pub diff_id: Option<Digest>,
    /// The bytes of the archive, if known; then the stream is not compressed, whatever it begins with. With a
    /// diffID and no rules, an only output that takes the layer as it is reads it when it writes, and stores
    /// nothing.
    pub size: Option<u64>,
    /// What changes on the way.
    pub rules: Rules,
}

/// A tar archive that can be read any number of times.
pub trait TarStream: Send + Sync + fmt::Debug {
    /// Opens it from its start; compressed or not, if no size is known.
    ///
    /// # Errors
    /// Those of opening it.
    fn open(&self) -> Result<Box<dyn Read + Send + '_>>;

    /// What it is, for people.
    fn name(&self) -> String;

    /// Compressed forms of it that registries were seen to have, the latest first. Nothing vouches for them but
    /// whoever saw them.
    ///
    /// # Errors
    /// Those of the medium.
    fn seen(&self) -> Result<Vec<SeenBlob>> {
        Ok(Vec::new())
    }

    /// The archive, uncompressed and as long as it is, with anything in place of the content of files, where that
    /// is quicker to read.
    ///
    /// # Errors
    /// Those of opening it.
    fn outline(&self) -> Result<Option<Box<dyn Read + Send + '_>>> {
        Ok(None)
    }
}

/// A blob that a registry was seen to have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenBlob {
    /// The blob.
    pub digest: Digest,
    /// Where it was.
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
    /// Who has it.
    pub provider: Arc<dyn Provider>,
}

/// What changes on the way from a source into a layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// The user and group that own every file.
    pub owner: Option<(u32, u32)>,
    /// Files that are left out.
    pub excludes: Patterns,
    /// The directory in the image where the files go, without a slash at either end; empty for its
    /// root. It and its parents get no entries of their own, so that they keep the attributes that
    /// lower layers gave them.
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

    /// The destination that a user wrote as an absolute path.
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

    /// Where in the layer a file of the source goes.
    fn place(&self, path: &[u8]) -> Vec<u8> {
        if self.destination.is_empty() { path.to_vec() } else { [&self.destination, path].join(&b'/') }
    }
}

impl DirSource {
    /// A directory in which no file stands for a deleted one.
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
    /// An archive of which nothing is known before it is read.
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
    /// A blob with the digest of its uncompressed tar stream.
    pub fn new(descriptor: Descriptor, diff_id: Digest, provider: Arc<dyn Provider>) -> Self {
        Self { descriptor, diff_id, provider }
    }
}

impl SeenBlob {
    /// A blob and where it was seen.
    pub fn new(digest: Digest, origin: Origin) -> Self {
        Self { digest, origin }
    }
}

impl Layer {
    /// A layer with its step in the history of the image.
    pub fn new(source: LayerSource, history: History) -> Self {
        Self { source, history }
    }

    /// What it is, for people: a path, an archive or a digest.
    pub fn name(&self) -> String {
        match &self.source {
            LayerSource::Dir(source) => source.path.display().to_string(),
            LayerSource::Tar(source) => source.stream.name(),
            LayerSource::Blob(source) => source.descriptor.digest.to_string(),
        }
    }

    /// The diffID that it must turn out to have, where that is known before it is read.
    pub fn diff_id(&self) -> Option<&Digest> {
        match &self.source {
            LayerSource::Tar(source) if source.rules.is_identity() => source.diff_id.as_ref(),
            LayerSource::Dir(_) | LayerSource::Tar(_) => None,
            LayerSource::Blob(source) => Some(&source.diff_id),
        }
    }

    /// The layer as an uncompressed blob, and who has it, where it is one before anything is made of it.
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
