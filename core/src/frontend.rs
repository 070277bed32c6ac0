//! Frontends: what was built, from where it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::{ImageStore, Work};
use longshore_oci::{Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::options::{OptionInfo, Options, describe, nearest};
use crate::result::Image;
use crate::source::Source;

/// How deep sources may open other sources: far beyond any build, and far from the end of the stack.
const DEPTH: usize = 16;

/// A kind of source, such as `rootfs:DIR`.
pub trait Frontend: Send + Sync {
    /// Returns the schemes that it reads, with their options: what help and the reference page say.
    fn schemes(&self) -> Vec<SchemeInfo>;

    /// Checks the value and the options of a source.
    ///
    /// It does no I/O, so that a bad option fails before anything is read. [`parse_of_source`] reads the options.
    ///
    /// [`parse_of_source`]: crate::options::parse_of_source
    ///
    /// # Errors
    /// [`InvalidOption`](ErrorKind::InvalidOption) for a value that cannot be, an unknown option or a bad value
    /// of one.
    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>>;
}

/// A frontend that a host has in a list of trait objects.
impl Frontend for Box<dyn Frontend> {
    fn schemes(&self) -> Vec<SchemeInfo> {
        self.as_ref().schemes()
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        self.as_ref().resolve(source)
    }
}

/// One source with its options checked.
pub trait FrontendInstance: Send + Sync {
    /// Returns the images of the source.
    ///
    /// It looks at what is there, so that a missing source fails immediately, but it reads no layer: layers are
    /// described by where they are, and read when an exporter needs them. Calling it again gives the same
    /// images, if the source is the same.
    ///
    /// # Errors
    /// A source that is missing, or is not what its scheme says.
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>>;
}

impl fmt::Debug for dyn FrontendInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontendInstance").finish_non_exhaustive()
    }
}

/// What people and other programs are told about a scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SchemeInfo {
    /// The word before the colon.
    pub scheme: Cow<'static, str>,
    /// How a source is written, such as `rootfs:DIR`.
    pub syntax: Cow<'static, str>,
    /// What it is, in one line.
    pub summary: Cow<'static, str>,
    /// Its options, in the order of the reference page.
    pub options: Vec<OptionInfo>,
}

impl SchemeInfo {
    /// A scheme with the given options.
    pub fn new(
        scheme: impl Into<Cow<'static, str>>,
        syntax: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
        options: &mut dyn Options,
    ) -> Self {
        Self { scheme: scheme.into(), syntax: syntax.into(), summary: summary.into(), options: describe(options) }
    }

    /// Whether the scheme has the option `key`.
    pub fn has_option(&self, key: &str) -> bool {
        self.options.iter().any(|option| option.key == key)
    }
}

/// Opens the image store of a run when a source first asks for it; `None` if the run has none.
pub type OpenImages = dyn Fn() -> Result<Option<Arc<dyn ImageStore>>> + Send + Sync;

/// What the host lends to a frontend.
#[derive(Clone)]
pub struct FrontendContext<'a> {
    frontends: &'a FrontendRegistry,
    images: Arc<OpenImages>,
    work: Work,
    depth: usize,
}

impl<'a> FrontendContext<'a> {
    /// A context with no image store, in which a frontend can open the sources that `frontends` read.
    pub fn new(frontends: &'a FrontendRegistry, work: Work) -> Self {
        Self { frontends, images: Arc::new(|| Ok(None)), work, depth: 0 }
    }

    /// Reads images in the store that `open` opens. It is called when a source names an image in the store, and
    /// may be called several times.
    #[must_use]
    pub fn with_images(self, open: impl Fn() -> Result<Option<Arc<dyn ImageStore>>> + Send + Sync + 'static) -> Self {
        Self { images: Arc::new(open), ..self }
    }

    /// What to report to, what says when to stop, and what may be used.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Opens the image store of the run.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if the run has no image store; those of opening it.
    pub fn images(&self) -> Result<Arc<dyn ImageStore>> {
        (self.images)()?.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no image store yet"))
    }

    /// Opens another source, as a Dockerfile's `FROM` needs: its images, as its own frontend builds them.
    ///
    /// # Errors
    /// As [`FrontendRegistry::resolve`] and [`FrontendInstance::build`]; sources within sources beyond 16.
    pub fn open(&self, source: &Source) -> Result<Vec<Image>> {
        if self.depth == DEPTH {
            let message = format!("sources open other sources deeper than the limit of {DEPTH}");
            return Err(Error::input(message).with_hint("check whether a source refers to itself"));
        }
        let inner = Self { depth: self.depth + 1, ..self.clone() };
        let instance = self.frontends.resolve(source)?;
        let images = instance.build(&inner);
        // Of sources within sources the outermost is the one that the user knows.
        match self.depth {
            0 => images.attempt(|| format!("cannot open {}:{}", source.scheme, source.value.escape_debug())),
            _ => images,
        }
    }
}

impl fmt::Debug for FrontendContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontendContext").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// The frontends that a program offers, by scheme.
#[derive(Default)]
pub struct FrontendRegistry {
    frontends: Vec<Box<dyn Frontend>>,
    schemes: IndexMap<String, usize>,
}

impl FrontendRegistry {
    /// Adds a frontend.
    ///
    /// # Panics
    /// If a scheme of it is taken, which is a mistake in the program.
    #[must_use]
    pub fn with(mut self, frontend: impl Frontend + 'static) -> Self {
        for info in frontend.schemes() {
            let replaced = self.schemes.insert(info.scheme.clone().into_owned(), self.frontends.len());
            assert!(replaced.is_none(), "two frontends read `{}`", info.scheme);
        }
        self.frontends.push(Box::new(frontend));
        self
    }

    /// Returns what each scheme is, in the order in which the frontends were added.
    pub fn infos(&self) -> Vec<SchemeInfo> {
        self.frontends.iter().flat_map(|frontend| frontend.schemes()).collect()
    }

    /// Returns what `scheme` is.
    ///
    /// # Errors
    /// A scheme that no frontend reads, with the nearest one.
    pub fn info(&self, scheme: &str) -> Result<SchemeInfo> {
        self.infos().into_iter().find(|info| info.scheme == scheme).ok_or_else(|| self.unknown(scheme))
    }

    fn unknown(&self, scheme: &str) -> Error {
        let hint = match nearest(scheme, self.schemes.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}:`?"),
            None => {
                let syntaxes: Vec<_> = self.infos().into_iter().map(|info| info.syntax).collect();
                format!("a source is one of {}", syntaxes.join(", "))
            }
        };
        Error::option(format!("there is no source `{}`", scheme.escape_debug())).with_hint(hint)
    }

    /// Checks a source with the frontend of its scheme.
    ///
    /// # Errors
    /// A scheme that no frontend reads, with the nearest one; and as [`Frontend::resolve`].
    pub fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let frontend = self.schemes.get(&source.scheme).and_then(|at| self.frontends.get(*at));
        frontend.ok_or_else(|| self.unknown(&source.scheme))?.resolve(source)
    }
}

impl fmt::Debug for FrontendRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FrontendRegistry").field(&self.schemes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::NoOptions;

    /// Its instances are never made: the error names the frontend and the value.
    struct Named(&'static str);

    impl Frontend for Named {
        fn schemes(&self) -> Vec<SchemeInfo> {
            vec![SchemeInfo::new(self.0, format!("{}:VALUE", self.0), "none", &mut NoOptions)]
        }

        fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
            Err(Error::option(format!("{} of {}", source.value, self.0)))
        }
    }

    /// A host with a list of frontends could not add them.
    #[test]
    fn frontends_can_be_added_from_a_list() {
        let list: Vec<Box<dyn Frontend>> = vec![Box::new(Named("one")), Box::new(Named("two"))];
        let frontends = list.into_iter().fold(FrontendRegistry::default(), FrontendRegistry::with);
        let schemes: Vec<_> = frontends.infos().into_iter().map(|info| info.scheme).collect();
        assert_eq!(schemes, ["one", "two"]);
        let error = frontends.resolve(&Source::new("two", "x")).unwrap_err();
        assert_eq!(error.message(), "x of two");
    }
}
