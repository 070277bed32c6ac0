//! Stores in directories, as people address them.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use longshore_content::{ImageStore, StoreInfo, StoreKind, check_parent};
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
    if value.is_empty() {
        return Err(Error::option("the path of the image store is empty"));
    }
    check_parent(Path::new(value)).attempt(|| format!("cannot open the store {}", value.display()))
}
