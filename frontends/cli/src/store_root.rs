//! Where the image store is.

use std::env;
use std::path::PathBuf;

use longshore_core::{Context, Error, ErrorKind, Result};
use longshore_store::EmbeddedStore;

/// What says where the store is instead of `--store`.
const VARIABLE: &str = "LONGSHORE_ROOT";

/// The directory of the image store, opened when a command needs it.
#[derive(Debug, Clone)]
pub(crate) struct StoreRoot(Option<PathBuf>);

impl StoreRoot {
    /// The directory that `--store` gave, if it did.
    pub(crate) fn new(given: Option<PathBuf>) -> Self {
        Self(given)
    }

    /// Opens the store, which is made if it is not there.
    pub(crate) fn open(&self) -> Result<EmbeddedStore> {
        let opened = self.path().and_then(EmbeddedStore::open);
        opened.map_err(|error| match error.hint() {
            Some(_) => error,
            None => error.with_hint(format!("choose another directory with --store or {VARIABLE}")),
        })
    }

    /// Opens the store if it is there. One that was named with `--store` must be.
    pub(crate) fn open_existing(&self) -> Result<Option<EmbeddedStore>> {
        let path = self.path()?;
        if path.join("store.db").exists() {
            return self.open().map(Some);
        }
        match &self.0 {
            Some(path) => {
                Err(Error::new(ErrorKind::NotFound, format!("there is no image store in {}", path.display())))
            }
            None => Ok(None),
        }
    }

    fn path(&self) -> Result<PathBuf> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = self.0.clone().or_else(|| variable(VARIABLE)) {
            return Ok(path);
        }
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/longshore".into());
        }
        // A relative path there is to be ignored (XDG base directory specification, "Basics").
        let data = variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let data = data.or_else(|| variable("HOME").map(|home| home.join(".local/share")));
        let nowhere = || Error::option("there is no place for the image store: neither XDG_DATA_HOME nor HOME is set");
        data.map(|data| data.join("longshore")).ok_or_else(nowhere).attempt(|| "cannot open the image store".to_owned())
    }
}
