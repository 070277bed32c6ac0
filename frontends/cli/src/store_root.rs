//! The location of the image store.

use std::env;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::content::{ImageStore, StoreRegistry, is_root};
use longshore_core::{Context, Error, ErrorKind, Result};
use longshore_store::is_store;
use parking_lot::Mutex;

/// The variable for the location of the store, if `--store` is not given.
const VARIABLE: &str = "LONGSHORE_ROOT";

/// The image store of a command, opened once, when first needed.
#[derive(Debug, Clone)]
pub(crate) struct StoreRoot {
    kinds: Arc<StoreRegistry>,
    /// The value of `--store`.
    given: Option<OsString>,
    opened: Arc<Mutex<Option<Arc<dyn ImageStore>>>>,
}

impl StoreRoot {
    /// Returns the store at the address in `--store`, or the default one.
    pub(crate) fn new(kinds: StoreRegistry, given: Option<OsString>) -> Self {
        Self { kinds: Arc::new(kinds), given, opened: Arc::default() }
    }

    /// Checks an address given by the user, whether or not the command opens the store.
    pub(crate) fn check(&self) -> Result<()> {
        self.named().map_or(Ok(()), |address| self.kinds.check(&address)).map_err(hinted)
    }

    /// Opens the store, which is created if it does not exist.
    pub(crate) fn open(&self) -> Result<Arc<dyn ImageStore>> {
        let mut opened = self.opened.lock();
        if let Some(store) = opened.as_ref() {
            return Ok(store.clone());
        }
        let store = self.create()?;
        *opened = Some(store.clone());
        Ok(store)
    }

    fn create(&self) -> Result<Arc<dyn ImageStore>> {
        let open = || match self.named() {
            Some(address) => self.kinds.open(&address),
            None => {
                let path = default_path()?;
                // The user did not type this path, so it is not mistyped.
                let parent = path.parent().unwrap_or(&path);
                let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
                made.attempt(|| format!("cannot create {}", parent.display()))?;
                self.kinds.open(path.as_os_str())
            }
        };
        open().map_err(hinted)
    }

    /// Opens the store if it exists. A store named with `--store` must exist.
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
        let mut opened = self.opened.lock();
        if opened.is_none() {
            let address = self.address()?;
            let has_parent = || PathBuf::from(&address).parent().is_none_or(Path::exists);
            if self.named().is_some() || has_parent() {
                *opened = self.kinds.open_existing(&address).map_err(hinted)?;
            }
        }
        Ok(opened.clone())
    }

    /// Returns the directories of the stores that commands with other flags and variables would use.
    pub(crate) fn known(&self) -> Vec<PathBuf> {
        let places = [self.given.clone(), variable(VARIABLE)].into_iter().flatten().map(PathBuf::from);
        places.chain(default_path()).filter(|path| is_store(path)).collect()
    }

    fn missing(&self) -> Error {
        let place = self.address().map(|address| format!(" in {}", address.display())).unwrap_or_default();
        let yet = if self.given.is_none() { " yet" } else { "" };
        Error::new(ErrorKind::NotFound, format!("there is no image store{yet}{place}"))
            .with_hint("`longshore import` or an export with type=image creates one; --store names another")
    }

    /// Returns the address given by the user.
    fn named(&self) -> Option<OsString> {
        self.given.clone().or_else(|| variable(VARIABLE))
    }

    fn address(&self) -> Result<OsString> {
        self.named().map_or_else(|| default_path().map(OsString::from), Ok)
    }
}

/// Adds a hint to use another directory if this one is unusable, but not if the system fails.
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

/// Returns the default path of the store. Root in a user namespace counts as the ordinary user.
fn default_path() -> Result<PathBuf> {
    if is_root() {
        return Ok("/var/lib/longshore".into());
    }
    // A relative path must be ignored (XDG base directory specification, "Basics").
    let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    let nowhere = || Error::option("cannot locate the image store: neither XDG_DATA_HOME nor HOME is set");
    data.map(|data| data.join("longshore")).ok_or_else(nowhere).attempt(|| "cannot open the image store".to_owned())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use longshore_core::content::{MemoryStore, StoreInfo, StoreKind};

    use super::*;

    /// Counts what is opened.
    #[derive(Default)]
    struct Counted(Arc<AtomicUsize>);

    impl StoreKind for Counted {
        fn info(&self) -> StoreInfo {
            StoreInfo::new("counted", "counted:", "a store in memory")
        }

        fn check(&self, _: &OsStr) -> Result<()> {
            Ok(())
        }

        fn open(&self, _: &OsStr) -> Result<Arc<dyn ImageStore>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Arc::new(MemoryStore::default()))
        }

        fn open_existing(&self, value: &OsStr) -> Result<Option<Arc<dyn ImageStore>>> {
            self.open(value).map(Some)
        }
    }

    /// `export image:NAME` opened the store once for the source, and once more for what it made.
    #[test]
    fn the_store_of_a_command_is_opened_once() {
        let kind = Counted::default();
        let count = kind.0.clone();
        let root = StoreRoot::new(StoreRegistry::default().with(kind), Some("counted:".into()));
        root.check().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 0);
        for _ in 0..2 {
            root.existing().unwrap();
            root.clone().open().unwrap();
            root.open_existing().unwrap();
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
