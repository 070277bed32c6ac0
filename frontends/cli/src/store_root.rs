//! Where the image store is.

use std::env;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use longshore_core::content::{ImageStore, StoreRegistry, is_root};
use longshore_core::{Context, Error, ErrorKind, Result};

/// What says where the store is instead of `--store`.
const VARIABLE: &str = "LONGSHORE_ROOT";

/// The image store of a command, opened when the command needs it.
#[derive(Debug, Clone)]
pub(crate) struct StoreRoot {
    kinds: Arc<StoreRegistry>,
    /// What `--store` says.
    given: Option<OsString>,
}

impl StoreRoot {
    /// Returns the store at the address of `--store`, or the default one.
    pub(crate) fn new(kinds: StoreRegistry, given: Option<OsString>) -> Self {
        Self { kinds: Arc::new(kinds), given }
    }

    /// Opens the store, which is created if it does not exist.
    pub(crate) fn open(&self) -> Result<Arc<dyn ImageStore>> {
        let open = || match self.named() {
            Some(address) => self.kinds.open(&address),
            None => {
                let path = default_path()?;
                // Nobody typed this path, so nobody mistyped it.
                let parent = path.parent().unwrap_or(&path);
                let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
                made.attempt(|| format!("cannot create {}", parent.display()))?;
                self.kinds.open(path.as_os_str())
            }
        };
        open().map_err(hinted)
    }

    /// Opens the store if it exists. One that was named with `--store` must.
    pub(crate) fn open_existing(&self) -> Result<Option<Arc<dyn ImageStore>>> {
        match self.find()? {
            None if self.given.is_some() => Err(self.missing()),
            found => Ok(found),
        }
    }

    /// Opens the store, which must exist.
    pub(crate) fn existing(&self) -> Result<Arc<dyn ImageStore>> {
        self.find()?.ok_or_else(|| self.missing())
    }

    fn find(&self) -> Result<Option<Arc<dyn ImageStore>>> {
        let address = self.address()?;
        let parent_is_missing = self.named().is_none() && PathBuf::from(&address).parent().is_some_and(|p| !p.exists());
        if parent_is_missing { Ok(None) } else { self.kinds.open_existing(&address).map_err(hinted) }
    }

    fn missing(&self) -> Error {
        let place = self.address().map(|address| format!(" in {}", address.display())).unwrap_or_default();
        let yet = if self.given.is_none() { " yet" } else { "" };
        Error::new(ErrorKind::NotFound, format!("there is no image store{yet}{place}"))
            .with_hint("`longshore import` or an export with type=image creates one; --store names another")
    }

    /// Returns the address that a person gave.
    fn named(&self) -> Option<OsString> {
        self.given.clone().or_else(|| variable(VARIABLE))
    }

    fn address(&self) -> Result<OsString> {
        self.named().map_or_else(|| default_path().map(OsString::from), Ok)
    }
}

/// Another directory helps where this one cannot be used, not where the system fails.
fn hinted(error: Error) -> Error {
    let is_of_place = !matches!(error.kind(), ErrorKind::Other | ErrorKind::Corrupt | ErrorKind::Unavailable);
    match error.hint() {
        Some(_) => error,
        None if !is_of_place => error,
        None => error.with_hint(format!("choose another directory with --store or {VARIABLE}")),
    }
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the default path of the store. Root of a user namespace is an ordinary user with the user's own store.
fn default_path() -> Result<PathBuf> {
    if is_root() {
        return Ok("/var/lib/longshore".into());
    }
    // A relative path there is to be ignored (XDG base directory specification, "Basics").
    let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    let nowhere = || Error::option("cannot locate the image store: neither XDG_DATA_HOME nor HOME is set");
    data.map(|data| data.join("longshore")).ok_or_else(nowhere).attempt(|| "cannot open the image store".to_owned())
}
