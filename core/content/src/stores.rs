//! Kinds of image stores, chosen by the scheme of an address.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use longshore_oci::{Error, Result};

use crate::images::ImageStore;

/// A kind of image store, such as directories.
pub trait StoreKind: Send + Sync {
    /// Returns its scheme, and the syntax of its addresses.
    fn info(&self) -> StoreInfo;

    /// Checks that `value` can stand for a store, whether or not there is one: a program calls it before anything else
    /// happens, even if it never opens the store.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption), with a hint.
    fn check(&self, value: &OsStr) -> Result<()>;

    /// Opens the store at `value`, which is created if it does not exist.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for a value that cannot be a store, or has
    /// other contents; then nothing is written. I/O errors.
    fn open(&self, value: &OsStr) -> Result<Arc<dyn ImageStore>>;

    /// Opens the store at `value`; `None` if it does not exist. Nothing is created.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn open_existing(&self, value: &OsStr) -> Result<Option<Arc<dyn ImageStore>>>;
}

/// A kind of store in a list of trait objects.
impl StoreKind for Box<dyn StoreKind> {
    fn info(&self) -> StoreInfo {
        self.as_ref().info()
    }

    fn check(&self, value: &OsStr) -> Result<()> {
        self.as_ref().check(value)
    }

    fn open(&self, value: &OsStr) -> Result<Arc<dyn ImageStore>> {
        self.as_ref().open(value)
    }

    fn open_existing(&self, value: &OsStr) -> Result<Option<Arc<dyn ImageStore>>> {
        self.as_ref().open_existing(value)
    }
}

/// The description of a kind of store, for help.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// The word before the colon.
    pub scheme: Cow<'static, str>,
    /// The syntax of a store's address, such as `dir:PATH`.
    pub syntax: Cow<'static, str>,
    /// A one-line summary.
    pub summary: Cow<'static, str>,
}

impl StoreInfo {
    /// Creates a description from the scheme, the syntax of an address, and a one-line summary.
    pub fn new(
        scheme: impl Into<Cow<'static, str>>,
        syntax: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { scheme: scheme.into(), syntax: syntax.into(), summary: summary.into() }
    }
}

/// The store kinds of a program. An address is `SCHEME:VALUE`, or a path, which is a value of the kind that
/// was added first.
#[derive(Default)]
pub struct StoreRegistry(Vec<Box<dyn StoreKind>>);

impl StoreRegistry {
    /// Adds a kind of store.
    ///
    /// # Panics
    /// If its scheme is already registered, which is a bug in the program.
    #[must_use]
    pub fn with(mut self, kind: impl StoreKind + 'static) -> Self {
        let scheme = kind.info().scheme;
        assert!(self.infos().all(|info| info.scheme != scheme), "two kinds of stores are called `{scheme}`");
        self.0.push(Box::new(kind));
        self
    }

    /// Returns what each kind says about itself.
    pub fn infos(&self) -> impl Iterator<Item = StoreInfo> {
        self.0.iter().map(|kind| kind.info())
    }

    /// Checks that `address` can be that of a store, without opening one.
    ///
    /// # Errors
    /// An unknown scheme, and as [`StoreKind::check`].
    pub fn check(&self, address: &OsStr) -> Result<()> {
        let (kind, value) = self.find(address)?;
        kind.check(value)
    }

    /// Opens the store at `address`, which is created if it does not exist.
    ///
    /// # Errors
    /// An unknown scheme, and as [`StoreKind::open`].
    pub fn open(&self, address: &OsStr) -> Result<Arc<dyn ImageStore>> {
        let (kind, value) = self.find(address)?;
        kind.open(value)
    }

    /// Opens the store at `address`; `None` if it does not exist.
    ///
    /// # Errors
    /// An unknown scheme, and as [`StoreKind::open_existing`].
    pub fn open_existing(&self, address: &OsStr) -> Result<Option<Arc<dyn ImageStore>>> {
        let (kind, value) = self.find(address)?;
        kind.open_existing(value)
    }

    /// Text before a colon is a scheme, unless a slash comes first.
    fn find<'a>(&self, address: &'a OsStr) -> Result<(&dyn StoreKind, &'a OsStr)> {
        let bytes = address.as_bytes();
        let known = || self.infos().map(|info| info.syntax.into_owned()).collect::<Vec<_>>().join(" or ");
        let Some(colon) = bytes.iter().position(|byte| matches!(byte, b':' | b'/')).filter(|at| bytes[*at] == b':')
        else {
            let first = self.0.first().ok_or_else(|| Error::option("this program has no image stores"))?;
            return Ok((first.as_ref(), address));
        };
        let (scheme, value) = (OsStr::from_bytes(&bytes[..colon]), OsStr::from_bytes(&bytes[colon + 1..]));
        match self.0.iter().find(|kind| *kind.info().scheme == *scheme) {
            Some(kind) => Ok((kind.as_ref(), value)),
            None => {
                let message = format!("unknown kind of image store `{}`", scheme.display());
                let path = format!("for a directory of that name, write ./{}", address.display());
                Err(Error::option(message).with_hint(format!("a store is a path or {}; {path}", known())))
            }
        }
    }
}

impl fmt::Debug for StoreRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.infos().map(|info| info.scheme)).finish()
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::ErrorKind;

    use super::*;

    /// Opens nothing: the error names the kind and the value.
    struct Kind(&'static str);

    impl StoreKind for Kind {
        fn info(&self) -> StoreInfo {
            StoreInfo::new(self.0, format!("{}:VALUE", self.0), "none")
        }

        fn check(&self, value: &OsStr) -> Result<()> {
            self.open(value).map(drop)
        }

        fn open(&self, value: &OsStr) -> Result<Arc<dyn ImageStore>> {
            Err(Error::input(format!("{} of {}", value.display(), self.0)))
        }

        fn open_existing(&self, value: &OsStr) -> Result<Option<Arc<dyn ImageStore>>> {
            self.open(value).map(Some)
        }
    }

    #[test]
    fn kinds_can_be_added_from_a_list() {
        let kinds: Vec<Box<dyn StoreKind>> = vec![Box::new(Kind("dir")), Box::new(Kind("other"))];
        let stores = kinds.into_iter().fold(StoreRegistry::default(), StoreRegistry::with);
        let error = stores.open(OsStr::new("other:x")).unwrap_err();
        assert_eq!(error.message(), "x of other");
        let error = stores.open_existing(OsStr::new("x")).unwrap_err();
        assert_eq!(error.message(), "x of dir");
    }

    #[test]
    fn an_address_is_a_path_or_begins_with_a_scheme() {
        let stores = StoreRegistry::default().with(Kind("dir")).with(Kind("other"));
        for (address, expected) in [
            ("a", "a of dir"),
            ("/a/b", "/a/b of dir"),
            ("./a:b", "./a:b of dir"),
            ("/a:b", "/a:b of dir"),
            ("dir:a:b", "a:b of dir"),
            ("dir:", " of dir"),
            ("", " of dir"),
            ("other:/x", "/x of other"),
            ("other:x:/y", "x:/y of other"),
        ] {
            let error = stores.open(OsStr::new(address)).unwrap_err();
            assert_eq!(error.message(), expected, "{address}");
            assert_eq!(stores.open_existing(OsStr::new(address)).unwrap_err().message(), expected, "{address}");
            assert_eq!(stores.check(OsStr::new(address)).unwrap_err().message(), expected, "{address}");
        }
        for (address, scheme) in [("foo:/x", "foo"), ("Dir:a", "Dir"), (":a", ""), ("a:b", "a")] {
            let error = stores.open(OsStr::new(address)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert_eq!(error.message(), format!("unknown kind of image store `{scheme}`"));
            let hint = format!(
                "a store is a path or dir:VALUE or other:VALUE; for a directory of that name, write ./{address}"
            );
            assert_eq!(error.hint(), Some(hint.as_str()));
        }
        let none = StoreRegistry::default().open(OsStr::new("a")).unwrap_err();
        assert_eq!(none.message(), "this program has no image stores");
    }
}
