//! The contract of frontends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::archive::Entry;
use longshore_core::content::ImageStore;
use longshore_core::layer::Layer;
use longshore_core::oci::Digest;
use longshore_core::{
    Artifact, Built, Cancel, Error, ErrorKind, FrontendContext, FrontendRegistry, Image, ImageContent, SchemeInfo,
    Source, Work,
};
use tempfile::TempDir;

use super::listing::listing_of;
use super::words::{assert_line, assert_options, assert_word, typo};
use crate::causes::full;

/// What the suite needs to know about a frontend.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct FrontendCase<'a> {
    /// The frontend, alone or among others.
    pub frontends: &'a dyn Fn() -> FrontendRegistry,
    /// Makes a source in this directory, which exists and is empty, and returns how it is written.
    pub source: &'a dyn Fn(&Path) -> String,
    /// Returns a source of the same scheme that does not exist, and the word by which an error must name it.
    pub missing: &'a dyn Fn(&Path) -> (String, String),
    /// Opens the image store of the directory, for a frontend that reads one.
    pub images: Option<&'a OpenStore>,
}

impl<'a> FrontendCase<'a> {
    /// Creates a case of a frontend that reads no image store.
    pub fn new(
        frontends: &'a dyn Fn() -> FrontendRegistry,
        source: &'a dyn Fn(&Path) -> String,
        missing: &'a dyn Fn(&Path) -> (String, String),
    ) -> Self {
        Self { frontends, source, missing, images: None }
    }

    /// Sets what opens the image store of the directory.
    #[must_use]
    pub fn with_images(mut self, images: &'a OpenStore) -> Self {
        self.images = Some(images);
        self
    }
}

/// Opens the image store of a directory.
pub type OpenStore = dyn Fn(&Path) -> Arc<dyn ImageStore> + Send + Sync;

impl std::fmt::Debug for FrontendCase<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontendCase").finish_non_exhaustive()
    }
}

/// Checks every line of the contract of [`Frontend`](longshore_core::Frontend) that can be seen from outside.
///
/// # Panics
/// A case failed: the message names each that did.
pub fn frontend(case: &FrontendCase<'_>) {
    super::run("frontend", FRONTEND_CASES.iter().map(|(name, check)| (*name, || check(case))));
}

/// A case of [`frontend`].
pub type FrontendCheck = fn(&FrontendCase<'_>);

/// The cases of [`frontend`], by name.
pub const FRONTEND_CASES: &[(&str, FrontendCheck)] = &[
    ("its schemes are well formed", its_schemes_are_well_formed),
    ("an unknown option is refused", an_unknown_option_is_refused),
    ("resolving does no I/O", resolving_does_no_io),
    ("a missing source is named", a_missing_source_is_named),
    ("building changes nothing", building_changes_nothing),
    ("building again gives the same images", building_again_gives_the_same_images),
    ("a cancelled build says so", a_cancelled_build_says_so),
];

/// A source in its own directory.
struct Place {
    directory: TempDir,
    frontends: FrontendRegistry,
    text: String,
    images: Option<Arc<dyn ImageStore>>,
}

impl Place {
    fn new(case: &FrontendCase<'_>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let text = (case.source)(directory.path());
        let images = case.images.map(|open| open(directory.path()));
        Self { directory, frontends: (case.frontends)(), text, images }
    }

    fn source(&self) -> Source {
        Source::parse(&self.text).expect("the source of the suite's caller is good")
    }

    fn info(&self) -> SchemeInfo {
        self.frontends.info(&self.source().scheme).expect("a scheme of the frontend")
    }

    fn build(&self, source: &Source, work: Work) -> Result<Vec<Image>, Error> {
        let cx = FrontendContext::new(&self.frontends, work);
        let cx = match self.images.clone() {
            Some(images) => cx.with_images(move || Ok(images.clone())),
            None => cx,
        };
        self.frontends.resolve(source).expect("the options of the suite's caller are good").build(&cx)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }
}

fn its_schemes_are_well_formed(case: &FrontendCase<'_>) {
    for SchemeInfo { scheme, syntax, summary, options, .. } in (case.frontends)().infos() {
        assert_word("scheme", &scheme);
        assert!(syntax.starts_with(&*scheme), "`{scheme}`: the syntax is `{syntax}`");
        assert_line("summary", &summary);
        assert_options(&options);
    }
}

fn an_unknown_option_is_refused(case: &FrontendCase<'_>) {
    let place = Place::new(case);
    let refused = |key: &str| {
        let mut source = place.source();
        source.attrs.insert(key, "x", Some(7));
        let error = place.frontends.resolve(&source).map(drop).expect_err("an unknown option");
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
        assert!(error.message().contains(key), "the error does not name `{key}`: {error}");
        assert!(error.message().contains("column 7"), "the error does not say where: {error}");
        error.hint().unwrap_or_else(|| panic!("`{key}`: no hint")).to_owned()
    };
    refused("no-such-option");
    for option in place.info().options {
        let typo = typo(&option.key);
        let hint = refused(&typo);
        assert!(hint.contains(&*option.key), "`{typo}`: the hint is `{hint}`");
    }
}

/// Otherwise a bad option of the second source would be found only after reading the first.
fn resolving_does_no_io(case: &FrontendCase<'_>) {
    let place = Place::new(case);
    let (text, _) = (case.missing)(&place.path());
    let missing = Source::parse(&text).expect("the source of the suite's caller is good");
    for source in [place.source(), missing] {
        let before = listing_of(&place.path());
        place.frontends.resolve(&source).map(drop).unwrap_or_else(|error| panic!("{}", full(&error)));
        assert_eq!(listing_of(&place.path()), before);
    }
}

fn a_missing_source_is_named(case: &FrontendCase<'_>) {
    let place = Place::new(case);
    let (text, word) = (case.missing)(&place.path());
    let before = listing_of(&place.path());
    let source = Source::parse(&text).expect("the source of the suite's caller is good");
    let error = place.build(&source, Work::default()).map(|images| images.len()).expect_err("a missing source");
    assert!(full(&error).contains(&word), "the error does not name `{word}`: {}", full(&error));
    assert_eq!(listing_of(&place.path()), before, "a source that is missing was made");
}

fn building_changes_nothing(case: &FrontendCase<'_>) {
    let place = Place::new(case);
    let before = listing_of(&place.path());
    let images = place.build(&place.source(), Work::default()).unwrap_or_else(|error| panic!("{}", full(&error)));
    assert!(!images.is_empty(), "no image");
    assert_eq!(listing_of(&place.path()), before);
}

fn building_again_gives_the_same_images(case: &FrontendCase<'_>) {
    let place = Place::new(case);
    let build = || {
        let images = place.build(&place.source(), Work::default()).unwrap_or_else(|error| panic!("{}", full(&error)));
        images.iter().map(description).collect::<Vec<_>>()
    };
    assert_eq!(build(), build());
    let other = Place::new(case);
    let images = other.build(&other.source(), Work::default()).unwrap_or_else(|error| panic!("{}", full(&error)));
    assert_eq!(images.iter().map(description).collect::<Vec<_>>(), build(), "the place of a source decides bytes");
}

/// Returns the names of an image, and everything that determines its bytes.
fn description(image: &Image) -> String {
    let content = match &image.content {
        ImageContent::Existing(existing) => {
            let referrers = existing.referrers.iter().map(|referrer| referrer.digest.to_string());
            [existing.root.digest.to_string()].into_iter().chain(referrers).collect()
        }
        ImageContent::Built(Built::Single(artifact)) => vec![digests(artifact)],
        ImageContent::Built(Built::Platforms(platforms)) => {
            platforms.iter().map(|(platform, artifact)| format!("{platform} {}", digests(artifact))).collect()
        }
    };
    format!("{:?} {content:?}", image.names.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// Returns the configuration, and the files of each layer without their times, which a caller may not have set.
fn digests(artifact: &Artifact) -> String {
    let config = Digest::of(&artifact.config.to_bytes().expect("a configuration"));
    let layers = artifact.layers.iter().map(|layer| files(layer).unwrap_or_else(|error| panic!("{}", full(&error))));
    format!("{config} {}", layers.collect::<Vec<_>>().join(" "))
}

fn files(layer: &Layer) -> Result<String, Error> {
    let mut files = String::new();
    layer.entries(&Work::default(), &mut |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let Entry { kind, mode, uid, gid, size, .. } = &entry;
        let (path, link) = (entry.display(), entry.link.escape_ascii());
        files += &format!("{path} {kind:?} {mode:o} {uid}:{gid} {size} {link} {}\n", Digest::of(&bytes));
        Ok(())
    })?;
    Ok(files)
}

/// A quickly read source may be done before it checks for cancellation.
fn a_cancelled_build_says_so(case: &FrontendCase<'_>) {
    let place = Place::new(case);
    let before = listing_of(&place.path());
    let cancel = Cancel::default();
    cancel.cancel();
    if let Err(error) = place.build(&place.source(), Work::default().with_cancel(cancel)) {
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{}", full(&error));
    }
    assert_eq!(listing_of(&place.path()), before);
}
