//! A layer that a frontend hands over as a blob: a file, verified before anything is made of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::archive::Reader;
use longshore_core::compression::decoder;
use longshore_core::content::{Hashing, Provider, Verified, not_found};
use longshore_core::layer::BlobSource;
use longshore_core::oci::{Descriptor, Digest, Hasher};
use longshore_core::{Cancel, Context, Error, Result, Work};

/// The provider of one blob.
#[derive(Debug)]
struct FileBlob {
    path: PathBuf,
    digest: Digest,
}

impl Provider for FileBlob {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        if *digest != self.digest {
            return Err(not_found(digest));
        }
        let mut file = File::open(&self.path).attempt(|| format!("cannot open {}", self.path.display()))?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Box::new(file))
    }
}

/// Returns the blob in the file at `path`.
///
/// It is read once here: its diffID goes into the configuration of the image, where nothing checks it any more. Its digest
/// is checked again whenever it is copied.
///
/// # Errors
/// A file that is missing, that `descriptor` does not describe, or that is no layer.
pub(super) fn source(path: PathBuf, descriptor: Descriptor, work: &Work) -> Result<BlobSource> {
    let task = work.progress.task(format!("verify {}", path.display()), Some(descriptor.size));
    let found = path.metadata().attempt(|| format!("cannot read the layer {}", path.display()))?;
    if !found.is_file() {
        return Err(Error::input(format!("the layer {} is not a file", path.display())));
    }
    let diff_id = diff_id(&path, &descriptor, &work.cancel).or_else(|error| {
        // What is wrong with a damaged blob is its digest, not the tar archive in it.
        io::copy(&mut Verified::new(File::open(&path)?, &descriptor), &mut io::sink())?;
        Err(error)
    });
    let diff_id = diff_id.attempt(|| format!("the layer {} is not right", path.display()))?;
    task.advance(descriptor.size);
    task.done("");
    let digest = descriptor.digest.clone();
    Ok(BlobSource::new(descriptor, diff_id, Arc::new(FileBlob { path, digest })))
}

/// Verifies a blob, and returns the digest of the tar archive in it.
fn diff_id(path: &Path, descriptor: &Descriptor, cancel: &Cancel) -> Result<Digest> {
    let said = descriptor.media_type.layer_compression().ok_or_else(|| {
        Error::input(format!("`{}` is not the media type of a layer", descriptor.media_type.as_str().escape_debug()))
    })?;
    let mut blob = Verified::new(File::open(path)?, descriptor);
    let hasher = {
        let (found, tar) = decoder(&mut blob)?;
        if found != said {
            return Err(Error::input(format!("it is {found}, but its media type says {said}")));
        }
        let mut tar = Hashing { inner: tar, hasher: Hasher::sha256(), cancel };
        let mut entries = Reader::new(&mut tar);
        while entries.next_entry()?.is_some() {}
        entries.drain()?;
        tar.hasher
    };
    io::copy(&mut blob, &mut io::sink())?;
    Ok(hasher.finish())
}
