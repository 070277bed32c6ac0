//! Layers: what a frontend hands over, and the tar streams and blobs that are made of it.

mod directory;
mod make;
mod set;
mod stream;
mod tar_stream;

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

pub use make::MadeLayer;
pub(crate) use make::Workshop;
pub(crate) use set::LayerSet;
pub use stream::LayerStream;

use crate::content::Provider;
use crate::error::{Error, Result};
use crate::oci::{Descriptor, Digest, History};
use crate::tree::Patterns;

/// Bytes of a tar stream that are compressed, hashed and written as one. Part of what decides the
/// digests of zstd layers: never change it.
pub(crate) const BLOCK: usize = 4 << 20;

/// Prefix of a file that stands for a deleted one (image-spec, layer.md, "Whiteouts").
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// File that hides what lower layers have in its directory.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// One layer of an image, not read yet.
#[derive(Debug)]
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
#[derive(Debug)]
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
pub struct TarSource {
    /// The archive.
    pub stream: Arc<dyn TarStream>,
    /// The digest of the uncompressed archive, if known; it is checked.
    pub diff_id: Option<Digest>,
    /// What changes on the way.
    pub rules: Rules,
}

/// A tar archive that can be read any number of times.
pub trait TarStream: Send + Sync + fmt::Debug {
    /// Opens it from its start; compressed or not.
    ///
    /// # Errors
    /// Those of opening it.
    fn open(&self) -> Result<Box<dyn Read + Send + '_>>;

    /// What it is, for people.
    fn name(&self) -> String;
}

/// A layer that exists as a blob.
#[derive(Debug)]
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

impl Layer {
    /// What it is, for people: a path, an archive or a digest.
    pub fn name(&self) -> String {
        match &self.source {
            LayerSource::Dir(source) => source.path.display().to_string(),
            LayerSource::Tar(source) => source.stream.name(),
            LayerSource::Blob(source) => source.descriptor.digest.to_string(),
        }
    }
}
