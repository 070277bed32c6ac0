//! The suite of frontends, over one that opens the source of another, as a Dockerfile's `FROM` does.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::compose::{Edits, SourceImages, compose};
use longshore_core::layer::{DirSource, Layer, LayerSource, Rules};
use longshore_core::oci::{History, ImageConfig, Platform};
use longshore_core::options::{NoOptions, Options, Visitor, parse_of_source};
use longshore_core::{
    Artifact, Built, Context, Error, ErrorKind, Frontend, FrontendContext, FrontendInstance, FrontendRegistry, Image,
    ImageContent, Result, SchemeInfo, Source, Work,
};
use longshore_testkit::conformance::{self, FrontendCase};

/// `tree:DIR`: a directory as one layer.
struct Tree(PathBuf);

impl FrontendInstance for Tree {
    fn build(&self, _: &FrontendContext<'_>) -> Result<Vec<Image>> {
        fs::read_dir(&self.0).attempt(|| format!("cannot read {}", self.0.display()))?;
        let source = DirSource::new(self.0.clone(), Rules::default());
        let layer = Layer::new(LayerSource::Dir(source), History::default());
        let config = ImageConfig::new(&Platform::host());
        Ok(vec![Image::new(ImageContent::Built(Built::Single(Artifact::new(vec![Arc::new(layer)], config))))])
    }
}

struct TreeFrontend;

impl Frontend for TreeFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        vec![SchemeInfo::new("tree", "tree:DIR", "a directory", &mut NoOptions)]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let NoOptions = parse_of_source("tree", &source.attrs)?;
        Ok(Box::new(Tree(source.value.as_str().into())))
    }
}

/// `from:FILE`: the image of the source that the file names, with a label on top.
struct FromFrontend;

#[derive(Default)]
struct FromOptions {
    label: Option<String>,
}

impl Options for FromOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("label", "Value of the label", "empty", &mut self.label)
    }
}

struct From {
    path: PathBuf,
    label: String,
}

impl Frontend for FromFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let summary = "the source that a file names, with a label";
        vec![SchemeInfo::new("from", "from:FILE", summary, &mut FromOptions::default())]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let options: FromOptions = parse_of_source("from", &source.attrs)?;
        Ok(Box::new(From { path: source.value.as_str().into(), label: options.label.unwrap_or_default() }))
    }
}

impl FrontendInstance for From {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let text = fs::read_to_string(&self.path).attempt(|| format!("cannot read {}", self.path.display()))?;
        let images = cx.open(&Source::parse(text.trim())?)?;
        let mut edits = Edits::default();
        edits.run.labels.insert("from".to_owned(), self.label.clone());
        compose(vec![SourceImages::new(text.trim(), images)], &[], &edits, cx.work())
    }
}

fn frontends() -> FrontendRegistry {
    FrontendRegistry::default().with(TreeFrontend).with(FromFrontend)
}

fn tree(root: &Path) -> String {
    fs::create_dir(root.join("tree")).unwrap();
    fs::write(root.join("tree/file"), "content").unwrap();
    format!("tree:{}", root.join("tree").display())
}

#[test]
fn a_directory() {
    conformance::frontend(&FrontendCase::new(&frontends, &tree, &|root| {
        (format!("tree:{}/absent", root.display()), "absent".to_owned())
    }));
}

#[test]
fn a_source_that_opens_another() {
    let source = |root: &Path| {
        fs::write(root.join("from"), tree(root)).unwrap();
        format!("from:{},label=a b", root.join("from").display())
    };
    let missing = |root: &Path| {
        fs::write(root.join("lost"), "tree:/nowhere").unwrap();
        (format!("from:{}/lost", root.display()), "/nowhere".to_owned())
    };
    conformance::frontend(&FrontendCase::new(&frontends, &source, &missing));
    let root = tempfile::tempdir().unwrap();
    let images = build(&source(root.path())).unwrap();
    let ImageContent::Built(Built::Single(artifact)) = &images[0].content else { panic!("an artifact") };
    assert_eq!(artifact.layers.len(), 1, "the layer of the other source");
    let config = String::from_utf8(artifact.config.to_bytes().unwrap()).unwrap();
    assert!(config.contains(r#""Labels":{"from":"a b"}"#), "{config}");
}

fn build(text: &str) -> Result<Vec<Image>> {
    let frontends = frontends();
    let source = frontends.resolve(&Source::parse(text)?)?;
    source.build(&FrontendContext::new(&frontends, Work::default()))
}

#[test]
fn a_source_that_refers_to_itself_ends() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("self");
    let text = format!("from:{}", path.display());
    fs::write(&path, &text).unwrap();
    let error = build(&text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.with_causes().contains("deeper than the limit of 16"), "{}", error.with_causes());
    assert_eq!(error.hint(), Some("check whether a source refers to itself"));
}

#[test]
fn another_source_that_is_unknown_is_named() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("from"), "tre:/x").unwrap();
    let error = build(&format!("from:{}/from", root.path().display())).unwrap_err();
    assert_eq!((error.message(), error.hint()), ("unknown source `tre`", Some("did you mean `tree:`?")));
}

/// One that does everything wrong that it can.
struct HastyFrontend;

impl Frontend for HastyFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        vec![SchemeInfo::new("hasty", "HASTY", "", &mut FromOptions::default())]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        // What is not there is made, before anything else is known to be right.
        let made = fs::create_dir_all(&source.value).and_then(|()| fs::write(format!("{}/new", source.value), "new"));
        made.map_err(Error::from)?;
        Ok(Box::new(Hasty(source.value.clone(), Default::default())))
    }
}

struct Hasty(String, std::sync::atomic::AtomicUsize);

impl FrontendInstance for Hasty {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let builds = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        fs::write(format!("{}/{builds}", self.0), format!("{:p}", self))?;
        cx.work().check().map_err(|_| Error::input("nothing came of it"))?;
        Tree(self.0.as_str().into()).build(cx)
    }
}

/// A suite that everything passes proves nothing.
#[test]
fn a_hasty_frontend_fails() {
    let case = FrontendCase::new(
        &|| FrontendRegistry::default().with(HastyFrontend),
        &|root| format!("hasty:{}/{}", root.display(), root.display().to_string().len()),
        &|root| (format!("hasty:{}/absent", root.display()), "absent".to_owned()),
    );
    for (name, check) in conformance::FRONTEND_CASES {
        let passed = catch_unwind(AssertUnwindSafe(|| check(&case))).is_ok();
        assert!(!passed, "{name}");
    }
    let panic = catch_unwind(AssertUnwindSafe(|| conformance::frontend(&case))).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("- a missing source is named: "), "{message}");
}
