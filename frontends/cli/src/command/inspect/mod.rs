//! `longshore inspect`.

pub(crate) mod documents;
mod page;
pub(crate) mod text;

use anyhow::Result;
use longshore_core::image::{Detail, Inspection, as_existing, inspect as inspect_one};
use longshore_core::oci::Descriptor;
use longshore_core::{Error, ErrorKind, Existing, FrontendRegistry, Image, ImageContent, Source, Work};
use serde_json::json;

use super::{meant, sources, work};
use crate::args::{InspectArgs, ProgressStyle, View};
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn inspect(args: &InspectArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    if args.html.is_none() {
        stdout::check()?;
    }
    // So that waiting for a registry is reported.
    let (display, work) = work::begin(ProgressStyle::Plain, None)?;
    let images = open(&Source::parse(&args.source)?, root, frontends, &work)?;
    let wanted = args.platform.as_ref();
    if let Some(path) = &args.html {
        let [(image, existing)] = &images[..] else { return Err(several(&args.source, images.len()).into()) };
        page::write(path, args.open, image, existing, wanted, &work)?;
        display.finish();
        return Ok(());
    }
    let print = |bytes: Vec<u8>| stdout::print([bytes, b"\n".to_vec()].concat());
    for (_, existing) in &images {
        match args.view() {
            View::Raw => stdout::print(documents::raw(existing, wanted, &work)?)?,
            View::Config => stdout::print(documents::config(existing, wanted, &work)?)?,
            View::Digest => print(documents::chosen(existing, wanted, &work)?.digest.to_string().into())?,
            View::All => {}
        }
    }
    if args.view() != View::All {
        return Ok(());
    }
    let detail = if args.files { Detail::Files } else { Detail::Documents };
    let inspected = images.iter().map(|(image, existing)| {
        let existing = match wanted {
            Some(_) => Existing::new(documents::chosen(existing, wanted, &work)?, existing.provider.clone()),
            None => existing.clone(),
        };
        Ok((names(image), inspect_one(&existing, detail, &work)?))
    });
    let inspected = inspected.collect::<Result<Vec<_>, Error>>()?;
    if args.json {
        let json = |(names, found): &(Vec<String>, Inspection)| {
            let layers = found.manifests.iter().flat_map(|manifest| &manifest.layers);
            // A layer of several platforms is there once.
            let sizes: std::collections::BTreeMap<_, _> = layers.map(|layer| (&layer.digest, layer.size)).collect();
            let size = sizes.into_values().fold(0, u64::saturating_add);
            json!({"names": names, "size": size, "image": found})
        };
        let all: Vec<_> = inspected.iter().map(json).collect();
        return Ok(stdout::print(serde_json::to_string_pretty(&all)? + "\n")?);
    }
    Ok(stdout::print(inspected.iter().map(|(names, found)| text::text(names, found)).collect::<String>())?)
}

pub(super) fn several(source: &str, count: usize) -> Error {
    Error::option(format!("{source} has {count} images")).with_hint("name one of them")
}

/// Returns the images of a source, which must be complete.
pub(super) fn open(
    source: &Source,
    root: &StoreRoot,
    frontends: &FrontendRegistry,
    work: &Work,
) -> Result<Vec<(Image, Existing)>, Error> {
    let text = || match source.value.as_str() {
        "" => source.scheme.clone(),
        value => format!("{}:{value}", source.scheme),
    };
    let known = frontends.info(&source.scheme).map_err(|error| meant::source(&text(), error));
    let instance = known.and_then(|_| frontends.resolve(source))?;
    let cx = sources::context(frontends, root, work);
    let images = instance.build(&cx)?.into_iter().map(|image| {
        let existing = match &image.content {
            ImageContent::Existing(existing) => Some(existing.clone()),
            ImageContent::Built(built) => as_existing(built)?,
        };
        let unknown = || {
            Error::new(ErrorKind::Unsupported, format!("{}:{} is not an image yet", source.scheme, source.value))
                .with_hint("export it first, for example with -o type=oci,dest=app.tar")
        };
        Ok((image, existing.ok_or_else(unknown)?))
    });
    images.collect()
}

pub(super) fn names(image: &Image) -> Vec<String> {
    image.names.iter().map(ToString::to_string).collect()
}

/// Returns the line for a missing manifest listed by an index.
pub(super) fn not_there(missing: &Descriptor) -> String {
    let what = missing.platform.as_ref().map_or_else(|| missing.media_type.to_string(), ToString::to_string);
    format!("{what}  {} is missing", missing.digest)
}
