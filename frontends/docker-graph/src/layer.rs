//! Layers: found by chain ID, described by tar-split, read from the files of the driver.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::compression::{Algorithm, decoder};
use longshore_core::content::Origin;
use longshore_core::layer::{SeenBlob, TarStream};
use longshore_core::oci::{Digest, ImageName};
use longshore_core::{Cancel, Context, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::directory::Directory;
use crate::root::Root;
use crate::tar_split::{Part, Parts};
use crate::tar_stream::{Files, TarReader};
use crate::tree::Tree;

/// The limit on a layer's locations in registries, far more than the 50 that Docker keeps.
const SEEN_LIMIT: u64 = 1 << 20;

/// A layer in Docker's storage.
#[derive(Debug)]
pub(crate) struct StoredLayer {
    root: Arc<Root>,
    chain_id: Digest,
    diff_id: Digest,
    cache_id: String,
}

impl StoredLayer {
    /// Finds the layer with this chain ID, which must have this diffID, on top of `parent`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it is missing; metadata that contradicts itself.
    pub(crate) fn find(root: &Arc<Root>, chain_id: &Digest, diff_id: &Digest, parent: Option<&Digest>) -> Result<Self> {
        let at = place(chain_id);
        let line = |file: &str| root.image.read_line(at.join(file));
        let gone = || {
            Error::new(ErrorKind::NotFound, format!("layer {chain_id} not found"))
                .with_hint("was the image removed while it was being read?")
        };
        let is = |what: &str, found: String, expected: String| match found == expected {
            true => Ok(()),
            false => {
                let found = found.escape_debug();
                Err(Error::corrupt(format!("layer {chain_id} has the {what} `{found}`, expected {expected}")))
            }
        };
        is("diffID", line("diff")?.ok_or_else(gone)?, diff_id.to_string())?;
        let expected = parent.map_or_else(|| "none".to_owned(), ToString::to_string);
        is("parent", line("parent")?.unwrap_or_else(|| "none".to_owned()), expected)?;
        if root.image.read(at.join("descriptor.json"), SEEN_LIMIT)?.is_some() {
            let message = format!("layer {chain_id} is a foreign layer, which only its publisher distributes");
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint("Docker for Windows has such layers"));
        }
        let missing = || Error::corrupt(format!("layer {chain_id} has no `cache-id`"));
        let cache_id = line("cache-id")?.ok_or_else(missing)?;
        if cache_id.is_empty() || !cache_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let message = format!("layer {chain_id} has the invalid cache-id `{}`", cache_id.escape_debug());
            return Err(Error::corrupt(message));
        }
        Ok(Self { root: root.clone(), chain_id: chain_id.clone(), diff_id: diff_id.clone(), cache_id })
    }

    /// Returns the size of its tar archive in bytes; `None` without a tar-split.
    ///
    /// The file `size` differs: it counts everything in the directory, including symbolic links.
    ///
    /// # Errors
    /// An incomplete tar-split.
    pub(crate) fn size(&self, cancel: &Cancel) -> Result<Option<u64>> {
        let Some(mut parts) = self.tar_split()? else { return Ok(None) };
        let mut sum = || -> Result<u64> {
            let mut bytes = 0_u64;
            while let Some(part) = parts.next_part()? {
                cancel.check()?;
                let more = match part {
                    Part::Segment(segment) => segment.len() as u64,
                    Part::File { size, .. } => size,
                };
                bytes = bytes.checked_add(more).ok_or_else(|| Error::corrupt("its sizes do not add up"))?;
            }
            Ok(bytes)
        };
        sum().map(Some).map_err(|error| self.not_whole(error))
    }

    /// Returns the directory of its files.
    pub(crate) fn files(&self) -> Result<Directory> {
        let files = self.root.home.directory(self.root.driver.files(&self.cache_id));
        files.map_err(|error| match error.kind() {
            ErrorKind::NotFound => error
                .context(format!("the files of layer {} are missing", self.diff_id))
                .with_hint("was the image removed while it was being read?"),
            _ => error,
        })
    }

    /// Returns its tar-split from the start; `None` if it is missing.
    fn tar_split(&self) -> Result<Option<Parts<Box<dyn Read + Send>>>> {
        let file = match self.root.image.file(place(&self.chain_id).join("tar-split.json.gz")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let other = || Error::corrupt("it is not compressed with gzip");
        match decoder(file) {
            Ok((Algorithm::Gzip, json)) => Ok(Some(Parts::new(json))),
            // Left empty by a crash, which does not mean an empty archive.
            Ok(_) => Err(self.not_whole(other())),
            Err(error) if error.kind() == ErrorKind::Unsupported => Err(self.not_whole(other())),
            Err(error) => Err(self.not_whole(error)),
        }
    }

    /// Returns its tar archive, with the content in `files`.
    fn read(&self, files: Files) -> Result<Box<dyn Read + Send + '_>> {
        let gone = || {
            Error::new(ErrorKind::NotFound, format!("layer {} is missing", self.diff_id))
                .with_hint("was the image removed while it was being read?")
        };
        Ok(Box::new(TarReader::new(self.tar_split()?.ok_or_else(gone)?, files)))
    }

    fn not_whole(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Corrupt => error.context(format!("the tar-split of layer {} is incomplete", self.diff_id)),
            _ => error.context(format!("cannot read the tar-split of layer {}", self.diff_id)),
        }
    }
}

impl TarStream for StoredLayer {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        self.read(Files::In(Tree::new(self.files()?)))
    }

    fn name(&self) -> String {
        self.diff_id.to_string()
    }

    fn outline(&self) -> Result<Option<Box<dyn Read + Send + '_>>> {
        self.read(Files::Zeros).map(Some)
    }

    fn seen(&self) -> Result<Vec<SeenBlob>> {
        let path = Path::new("distribution/v2metadata-by-diffid/sha256").join(self.diff_id.hex());
        let Some(bytes) = self.root.image.read(&path, SEEN_LIMIT)? else { return Ok(Vec::new()) };
        let malformed = |error: serde_json::Error| Error::corrupt("it is malformed").with_source(error);
        let list: Result<Vec<Seen>> = serde_json::from_slice(&bytes).map_err(malformed);
        let list = list.attempt(|| format!("cannot read {}", self.root.image.path().join(path).display()))?;
        // Docker appends, so the latest is last. Anything but the name of a repository is useless.
        let seen = list.into_iter().rev().filter_map(|Seen { digest, source_repository }| {
            let origin = Origin::of(&source_repository.parse::<ImageName>().ok()?);
            Some(SeenBlob::new(digest, origin))
        });
        Ok(seen.collect())
    }
}

/// Docker's record of a layer in a registry.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Seen {
    digest: Digest,
    source_repository: String,
}

fn place(chain_id: &Digest) -> PathBuf {
    Path::new("layerdb/sha256").join(chain_id.hex())
}
