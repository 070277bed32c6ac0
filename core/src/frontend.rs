//! Frontends: from sources to build results.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::{ImageStore, Work};
use longshore_oci::{Context, Error, ErrorKind, Platform, Result};
use serde::{Deserialize, Serialize};

use crate::compose::select_platform;
use crate::options::{OptionInfo, Options, describe, nearest};
use crate::result::Image;
use crate::source::Source;

/// Maximum nesting of sources: far more than any build needs, and far from exhausting the stack.
const DEPTH: usize = 16;

/// A kind of source, such as `rootfs:DIR`.
pub trait Frontend: Send + Sync {
    /// Returns the schemes that it reads, with their options, for help and the reference page.
    fn schemes(&self) -> Vec<SchemeInfo>;

    /// Checks the value and the options of a source.
    ///
    /// It does no I/O, so that a bad option fails before anything is read. [`parse_of_source`] reads the options.
    ///
    /// [`parse_of_source`]: crate::options::parse_of_source
    ///
    /// # Errors
    /// [`InvalidOption`](ErrorKind::InvalidOption) for an invalid value, an unknown option or a bad option
    /// value.
    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>>;
}

/// A frontend in a list of trait objects.
impl Frontend for Box<dyn Frontend> {
    fn schemes(&self) -> Vec<SchemeInfo> {
        self.as_ref().schemes()
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        self.as_ref().resolve(source)
    }
}

/// One source with checked options.
pub trait FrontendInstance: Send + Sync {
    /// Returns the images of the source.
    ///
    /// It checks that the source exists, so that a missing source fails immediately, but it reads no layer:
    /// layers are described by location, and read when an exporter needs them. Calling it again returns the
    /// same images, if the source is unchanged.
    ///
    /// # Errors
    /// A source that is missing, or does not fit its scheme.
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>>;
}

impl fmt::Debug for dyn FrontendInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontendInstance").finish_non_exhaustive()
    }
}

/// The description of a scheme, for help and other programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SchemeInfo {
    /// The word before the colon.
    pub scheme: Cow<'static, str>,
    /// The syntax of a source, such as `rootfs:DIR`.
    pub syntax: Cow<'static, str>,
    /// A one-line summary.
    pub summary: Cow<'static, str>,
    /// Its options, in the order of the reference page.
    pub options: Vec<OptionInfo>,
    /// Whether a source holds several images, of which [`Source::with_reference`] selects.
    #[serde(default)]
    pub selects: bool,
    /// The program that reads it, if that is one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
}

impl SchemeInfo {
    /// Creates a scheme with the given options.
    pub fn new(
        scheme: impl Into<Cow<'static, str>>,
        syntax: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
        options: &mut dyn Options,
    ) -> Self {
        let options = describe(options);
        let (scheme, syntax, summary) = (scheme.into(), syntax.into(), summary.into());
        Self { scheme, syntax, summary, options, selects: false, program: None }
    }

    /// Sets the options, and the program that reads it.
    #[must_use]
    pub fn of_program(self, options: Vec<OptionInfo>, program: impl Into<PathBuf>) -> Self {
        Self { options, program: Some(program.into()), ..self }
    }

    /// Says that a source holds several images, of which [`Source::with_reference`] selects.
    #[must_use]
    pub fn with_selection(self) -> Self {
        Self { selects: true, ..self }
    }

    /// Returns whether the scheme has the option `key`.
    pub fn has_option(&self, key: &str) -> bool {
        self.options.iter().any(|option| option.key == key)
    }
}

/// Opens the image store of a run when a source first asks for it.
pub type OpenImages = dyn Fn() -> Result<Arc<dyn ImageStore>> + Send + Sync;

/// The resources that the host lends to a frontend.
#[derive(Clone)]
pub struct FrontendContext<'a> {
    frontends: &'a FrontendRegistry,
    images: Arc<OpenImages>,
    work: Work,
    depth: usize,
}

impl<'a> FrontendContext<'a> {
    /// Creates a context without an image store, in which a frontend can open sources of `frontends`.
    pub fn new(frontends: &'a FrontendRegistry, work: Work) -> Self {
        let no_store = || Err(Error::new(ErrorKind::NotFound, "there is no image store yet"));
        Self { frontends, images: Arc::new(no_store), work, depth: 0 }
    }

    /// Uses the image store returned by `open`, which is called when a source names an image in the store,
    /// possibly several times.
    #[must_use]
    pub fn with_images(self, open: impl Fn() -> Result<Arc<dyn ImageStore>> + Send + Sync + 'static) -> Self {
        Self { images: Arc::new(open), ..self }
    }

    /// Returns the progress, cancellation and budget of the run.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Opens the image store of the run.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if the run has no image store; errors of opening it.
    pub fn images(&self) -> Result<Arc<dyn ImageStore>> {
        (self.images)()
    }

    /// Opens another source, as for a Dockerfile's `FROM`, and returns its images, built by its own frontend.
    ///
    /// # Errors
    /// As [`FrontendRegistry::resolve`] and [`FrontendInstance::build`]; sources nested deeper than 16.
    pub fn open(&self, source: &Source) -> Result<Vec<Image>> {
        if self.depth == DEPTH {
            let message = format!("sources are nested deeper than the limit of {DEPTH}");
            return Err(Error::input(message).with_hint("check whether a source refers to itself"));
        }
        let inner = Self { depth: self.depth + 1, ..self.clone() };
        let instance = self.frontends.resolve(source)?;
        let images = instance.build(&inner);
        // Of nested sources, the user only knows the outermost.
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

/// The frontends of a program, by scheme.
#[derive(Default)]
pub struct FrontendRegistry {
    frontends: Vec<Box<dyn Frontend>>,
    schemes: IndexMap<String, usize>,
}

impl FrontendRegistry {
    /// Adds a frontend.
    ///
    /// # Panics
    /// If one of its schemes is already registered, which is a bug in the program.
    #[must_use]
    pub fn with(mut self, frontend: impl Frontend + 'static) -> Self {
        for info in frontend.schemes() {
            let replaced = self.schemes.insert(info.scheme.clone().into_owned(), self.frontends.len());
            assert!(replaced.is_none(), "two frontends read `{}`", info.scheme);
        }
        self.frontends.push(Box::new(frontend));
        self
    }

    /// Adds a frontend, in place of those that read its schemes.
    #[must_use]
    pub fn replacing(mut self, frontend: impl Frontend + 'static) -> Self {
        for info in frontend.schemes() {
            self.schemes.insert(info.scheme.into_owned(), self.frontends.len());
        }
        self.frontends.push(Box::new(frontend));
        self
    }

    /// Returns the description of each scheme, in the order in which the frontends were added.
    pub fn infos(&self) -> Vec<SchemeInfo> {
        // One whose scheme another reads by now is not shown.
        let reads = |at: usize, info: &SchemeInfo| self.schemes.get(&*info.scheme) == Some(&at);
        let all = self.frontends.iter().enumerate();
        all.flat_map(|(at, frontend)| frontend.schemes().into_iter().filter(move |info| reads(at, info))).collect()
    }

    /// Returns the description of `scheme`.
    ///
    /// # Errors
    /// An unknown scheme, with the nearest one as the hint.
    pub fn info(&self, scheme: &str) -> Result<SchemeInfo> {
        self.infos().into_iter().find(|info| info.scheme == scheme).ok_or_else(|| self.unknown(scheme))
    }

    fn unknown(&self, scheme: &str) -> Error {
        let hint = match nearest(scheme, self.schemes.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}:`?"),
            None => {
                let syntaxes: Vec<_> = self.infos().into_iter().map(|info| info.syntax).collect();
                format!("available sources: {}", syntaxes.join(", "))
            }
        };
        Error::option(format!("unknown source `{}`", scheme.escape_debug())).with_hint(hint)
    }

    /// Checks a source with the frontend of its scheme. A source with a platform has that of an image alone.
    ///
    /// # Errors
    /// An unknown scheme, with the nearest one as the hint; and as [`Frontend::resolve`].
    pub fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let instance = self.resolve_whole(source)?;
        Ok(match source.platform.clone() {
            Some(platform) => Box::new(ForPlatform { instance, platform }),
            None => instance,
        })
    }

    /// As [`resolve`](Self::resolve), but existing images keep all their platforms and what belongs to them.
    /// [`compose`](crate::compose::compose()) then selects the platform, or joins it with those of other sources.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_whole(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let frontend = self.schemes.get(&source.scheme).and_then(|at| self.frontends.get(*at));
        frontend.ok_or_else(|| self.unknown(&source.scheme))?.resolve(source)
    }
}

/// A source with a platform prefix: whatever its frontend builds is for this platform alone.
struct ForPlatform {
    instance: Box<dyn FrontendInstance>,
    platform: Platform,
}

impl FrontendInstance for ForPlatform {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let mut images = self.instance.build(cx)?;
        for image in &mut images {
            select_platform(image, &self.platform, cx.work())?;
        }
        Ok(images)
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
