//! Frontends: what was built, from where it is.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::{ImageStore, Work};
use longshore_oci::{Error, Platform, Result};
use serde::Serialize;

use crate::options::nearest;
use crate::result::Image;
use crate::tree::Patterns;

/// A kind of source, such as `rootfs:DIR`.
pub trait Frontend: Send + Sync {
    /// The schemes that it reads.
    fn schemes(&self) -> Vec<SchemeInfo>;

    /// What `source` is, as an image for `source.platform` where that is said.
    ///
    /// It looks at what is there, so that a missing source fails at once, but reads no layer.
    ///
    /// # Errors
    /// A source that is not there or is not what its scheme says.
    fn open(&self, source: &Source, cx: &FrontendContext) -> Result<Vec<Image>>;
}

/// What people are told about a scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemeInfo {
    /// The word before the colon.
    pub scheme: Cow<'static, str>,
    /// How a source is written, such as `rootfs:DIR`.
    pub syntax: Cow<'static, str>,
    /// What it is, in one line.
    pub summary: Cow<'static, str>,
    /// Whether it reads the image store, which the host then puts into [`FrontendContext::images`].
    pub image_store: bool,
}

/// A source as it was asked for: `[PLATFORM=]SCHEME[:VALUE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it runs on, where that was said.
    pub platform: Option<Platform>,
    /// The word before the colon.
    pub scheme: String,
    /// What follows the colon.
    pub value: String,
}

impl Source {
    /// Reads a source.
    ///
    /// ```
    /// use longshore_core::Source;
    ///
    /// let source = Source::parse("linux/arm64=rootfs:out/arm")?;
    /// assert_eq!((source.scheme.as_str(), source.value.as_str()), ("rootfs", "out/arm"));
    /// assert_eq!(source.platform.unwrap().to_string(), "linux/arm64");
    /// # Ok::<(), longshore_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// What stands before `=` is not a platform.
    pub fn parse(text: &str) -> Result<Self> {
        let scheme_end = text.find(':').unwrap_or(text.len());
        // A `=` after the scheme belongs to a path or a name.
        let (platform, rest) = match text[..scheme_end].split_once('=') {
            Some((platform, _)) => (Some(platform.parse()?), &text[platform.len() + 1..]),
            None => (None, text),
        };
        let (scheme, value) = rest.split_once(':').unwrap_or((rest, ""));
        Ok(Self { platform, scheme: scheme.to_owned(), value: value.to_owned() })
    }
}

/// What the host lends to a frontend, and what was asked for all sources alike.
#[derive(Debug, Clone, Default)]
pub struct FrontendContext {
    /// Files that are left out of directories.
    pub excludes: Patterns,
    /// The user and group that own every file.
    pub owner: Option<(u32, u32)>,
    /// The image store of the run, if it has one: sources that name images in it read there.
    pub images: Option<Arc<dyn ImageStore>>,
    /// Whether a name without a tag stands for all tags of it, as for `docker save`.
    pub every_tag: bool,
    /// Whether to take along what refers to an image: signatures, SBOMs.
    pub referrers: bool,
    /// What to report to, what says when to stop, and what may be used.
    pub work: Work,
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

    /// What each scheme is.
    pub fn infos(&self) -> Vec<SchemeInfo> {
        self.frontends.iter().flat_map(|frontend| frontend.schemes()).collect()
    }

    /// Whether `source` is read from the image store. A scheme that nobody reads is not.
    pub fn reads_image_store(&self, source: &Source) -> bool {
        self.infos().iter().any(|info| info.scheme == source.scheme && info.image_store)
    }

    /// Opens `source` with the frontend of its scheme.
    ///
    /// # Errors
    /// A scheme that nobody reads, with the nearest one; and as [`Frontend::open`].
    pub fn open(&self, source: &Source, cx: &FrontendContext) -> Result<Vec<Image>> {
        let frontend = self.schemes.get(&source.scheme).and_then(|at| self.frontends.get(*at));
        let frontend = frontend.ok_or_else(|| {
            let known = self.schemes.keys().map(String::as_str);
            let hint = match nearest(&source.scheme, known) {
                Some(near) => format!("did you mean `{near}:`?"),
                None => format!(
                    "a source is one of {}",
                    self.infos().iter().map(|info| info.syntax.clone()).collect::<Vec<_>>().join(", ")
                ),
            };
            Error::option(format!("there is no source `{}`", source.scheme.escape_debug())).with_hint(hint)
        })?;
        frontend.open(source, cx)
    }
}

impl std::fmt::Debug for FrontendRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FrontendRegistry").field(&self.schemes).finish()
    }
}
