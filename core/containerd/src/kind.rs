//! Stores in containerd, as people address them.

use std::ffi::OsStr;
use std::sync::Arc;

use longshore_content::{ImageStore, StoreInfo, StoreKind};
use longshore_oci::{Error, Result};

use crate::address::Address;
use crate::store::ContainerdStore;

/// The kind of stores that are namespaces of a containerd: `containerd:[SOCKET][,KEY=VALUE…]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContainerdStores;

impl StoreKind for ContainerdStores {
    fn info(&self) -> StoreInfo {
        let syntax = "containerd:[SOCKET][,namespace=NAME,snapshotter=NAME]";
        StoreInfo::new("containerd", syntax, "a namespace of containerd")
    }

    fn check(&self, value: &OsStr) -> Result<()> {
        address(value).map(drop)
    }

    fn open(&self, value: &OsStr) -> Result<Arc<dyn ImageStore>> {
        Ok(Arc::new(ContainerdStore::open(&address(value)?)?))
    }

    fn open_existing(&self, value: &OsStr) -> Result<Option<Arc<dyn ImageStore>>> {
        Ok(Some(Arc::new(ContainerdStore::open_existing(&address(value)?)?)))
    }
}

fn address(value: &OsStr) -> Result<Address> {
    let text = value.to_str().ok_or_else(|| Error::option(format!("`{}` is not UTF-8", value.display())))?;
    Address::from_environment()?.parse(text)
}
