//! Stores in directories, as people address them.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use longshore_content::{ImageStore, StoreInfo, StoreKind, check_expanded, check_parent};
use longshore_oci::{Context, Error, Result};

use crate::embedded::EmbeddedStore;
use crate::place::check_directory;

/// The kind of stores that are directories: `dir:PATH`.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbeddedStores;

impl StoreKind for EmbeddedStores {
    fn info(&self) -> StoreInfo {
        StoreInfo::new("dir", "dir:PATH", "a directory on a local disk, shared by any number of processes")
    }

    fn check(&self, value: &OsStr) -> Result<()> {
        if value.is_empty() {
            let error = Error::option("the path of the image store is empty");
            return Err(error.with_hint("name a directory for the image store"));
        }
        let checked = check_expanded(Path::new(value)).and_then(|()| check_directory(Path::new(value)));
        checked.attempt(|| format!("cannot open the store {}", value.display()))
    }

    fn open(&self, value: &OsStr) -> Result<Arc<dyn ImageStore>> {
        self.check_place(value)?;
        Ok(Arc::new(EmbeddedStore::open(value)?))
    }

    fn open_existing(&self, value: &OsStr) -> Result<Option<Arc<dyn ImageStore>>> {
        self.check_place(value)?;
        Ok(EmbeddedStore::open_existing(value)?.map(|store| Arc::new(store) as Arc<dyn ImageStore>))
    }
}

impl EmbeddedStores {
    /// Refuses mistyped paths: a store created there would never be found again.
    fn check_place(self, value: &OsStr) -> Result<()> {
        self.check(value)?;
        check_parent(Path::new(value)).attempt(|| format!("cannot open the store {}", value.display()))
    }
}
