//! `longshore save`.

use std::io::{self, IsTerminal};

use anyhow::Result;
use longshore_core::compose::{Edits, SourceImages, compose};
use longshore_core::content::check_parent;
use longshore_core::image::as_existing;
use longshore_core::oci::Digest;
use longshore_core::options::Attrs;
use longshore_core::{
    BuildResult, Context, Dest, Error, ErrorKind, ExporterRegistry, FrontendContext, FrontendInstance,
    FrontendRegistry, Image, ImageContent, OutputSpec, Session, Source, Store,
};
use rustix::fs::Mode;

use super::{sources, work};
use crate::args::SaveArgs;
use crate::store_root::StoreRoot;

pub(crate) fn save(
    args: &SaveArgs,
    root: &StoreRoot,
    exporters: &ExporterRegistry,
    frontends: &FrontendRegistry,
) -> Result<()> {
    if let Some(name) = args.names.iter().find(|name| name.trim().is_empty()) {
        // An empty name, such as from an unset variable, would select all images.
        return Err(Error::option(format!("a NAME is empty: `{name}`")).into());
    }
    if dest(args) == Dest::Stdout && io::stdout().is_terminal() {
        let error = Error::option("an archive is not written to a terminal");
        return Err(error.with_hint("add -o FILE, or redirect standard output").into());
    }
    if let Dest::Path(path) = dest(args) {
        check_parent(&path).attempt(|| format!("cannot write {}", path.display()))?;
    }
    let (display, work) = work::begin(args.progress.style(), None)?;
    // As in docker save: not every user may read the image.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let from = source(args, frontends)?;
    let resolve = |name: &String| frontends.resolve(&from.clone().with_reference(name));
    let sources = args.names.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
    let cx = sources::context(frontends, root, &work);
    let images = open(&sources, &cx).map_err(|error| match error.kind() {
        ErrorKind::NotFound if from.scheme == "image" => error.with_hint(ELSEWHERE),
        _ => error,
    })?;
    let platforms: Vec<_> = args.platform.clone().into_iter().collect();
    let images = compose(vec![SourceImages::new(args.from.as_str(), images)], &platforms, &Edits::default(), &work)?;
    // Layers built for this archive do not belong in the image store.
    let session = Session::new(exporters).with_work(work.clone());
    let resolved = session.resolve(&[output(args, &images)])?;
    let responses = resolved.export(&BuildResult::new(images), Store::Spool);
    display.finish();
    display.summary(&responses.map_err(|failure| failure.error)?);
    Ok(())
}

const ELSEWHERE: &str = "`longshore images` lists the names; for Docker's images add --from docker-graph";

/// Returns the destination of the archive; `-` is standard output.
fn dest(args: &SaveArgs) -> Dest {
    match &args.output {
        Some(path) if path.as_os_str() != "-" => Dest::Path(path.clone()),
        _ => Dest::Stdout,
    }
}

/// Returns the source that NAMEs select from. A name without a tag stands for all its tags, if the scheme supports
/// tags.
fn source(args: &SaveArgs, frontends: &FrontendRegistry) -> Result<Source, Error> {
    const ALL_TAGS: &str = "all-tags";
    let mut from = Source::parse(&args.from)?;
    let info = frontends.info(&from.scheme)?;
    if !info.selects {
        return Err(Error::option(format!("a source `{}:` has no NAMEs to select", info.scheme))
            .with_hint("longshore export writes it, with -o type=docker,dest=FILE"));
    }
    if info.has_option(ALL_TAGS) {
        // An explicit option wins.
        from.attrs.insert(ALL_TAGS, "true", None);
    }
    Ok(from)
}

/// Returns the selected images, each once, with all names that selected it.
fn open(sources: &[Box<dyn FrontendInstance>], cx: &FrontendContext<'_>) -> Result<Vec<Image>, Error> {
    let mut all: Vec<(Option<Digest>, Image)> = Vec::new();
    for source in sources {
        for image in source.build(cx)? {
            let root = root(&image)?;
            match all.iter_mut().find(|(known, _)| root.is_some() && *known == root) {
                Some((_, known)) => {
                    let new = image.names.into_iter().filter(|name| !known.names.contains(name));
                    known.names.extend(new.collect::<Vec<_>>());
                }
                None => all.push((root, image)),
            }
        }
    }
    Ok(all.into_iter().map(|(_, image)| image).collect())
}

/// Returns the key that identifies an image.
fn root(image: &Image) -> Result<Option<Digest>, Error> {
    Ok(match &image.content {
        ImageContent::Existing(existing) => Some(existing.root.digest.clone()),
        ImageContent::Built(built) => as_existing(built)?.map(|existing| existing.root.digest),
    })
}

fn output(args: &SaveArgs, images: &[Image]) -> OutputSpec {
    let mut attrs = Attrs::from_iter([("name", "*?"), ("format", args.format.word())]);
    if images.iter().any(|image| matches!(image.content, ImageContent::Built(_))) {
        attrs.insert("compression", "uncompressed", None);
    }
    if let Some(platform) = &args.platform {
        attrs.insert("platform", platform.to_string(), None);
    }
    OutputSpec::new("docker").with_dest(Some(dest(args))).with_attrs(attrs)
}
