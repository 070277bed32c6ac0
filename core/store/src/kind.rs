//! Stores in directories, as people address them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use longshore_content::{ImageStore, StoreInfo, StoreKind, directory_of};
use longshore_oci::{Context, Error, Result};

use crate::embedded::EmbeddedStore;

/// The kind of stores that are directories: `dir:PATH`.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbeddedStores;

impl StoreKind for EmbeddedStores {
    fn info(&self) -> StoreInfo {
        StoreInfo::new("dir", "dir:PATH", "a directory on a local disk, shared by any number of processes")
    }

    fn open(&self, value: &OsStr) -> Result<Arc<dyn ImageStore>> {
        check(value)?;
        Ok(Arc::new(EmbeddedStore::open(value)?))
    }

    fn open_existing(&self, value: &OsStr) -> Result<Option<Arc<dyn ImageStore>>> {
        check(value)?;
        Ok(EmbeddedStore::open_existing(value)?.map(|store| Arc::new(store) as Arc<dyn ImageStore>))
    }
}

/// Refuses paths that are mistyped: a store made there would never be found again.
fn check(value: &OsStr) -> Result<()> {
    let path = Path::new(value);
    let cannot_open = || format!("cannot open the store {}", path.display());
    if value.is_empty() {
        return Err(Error::option("the path of the image store is empty"));
    }
    if value.as_bytes().starts_with(b"~") {
        let error = Error::option("its path begins with `~`, which the shell did not expand");
        let hint = format!("write $HOME, or ./{} for a directory of that name", path.display());
        return Err(error.with_hint(hint)).attempt(cannot_open);
    }
    let parent = directory_of(path);
    if !may_be_directory(parent) {
        let error = Error::option(format!("directory {} does not exist", parent.display()));
        return Err(error.with_hint("create it, if the path is right")).attempt(cannot_open);
    }
    Ok(())
}

/// Returns whether `path` is a directory, as far as this process may know.
fn may_be_directory(path: &Path) -> bool {
    match path.metadata() {
        Ok(found) => found.is_dir(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}
