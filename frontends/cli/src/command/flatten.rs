//! `longshore flatten`: the files of an image, exported and made one layer.

use std::env;
use std::fs;

use anyhow::Result;
use longshore_core::image::Graph;
use longshore_core::oci::{Descriptor, ImageConfig, Platform};
use longshore_core::{Error, ExporterRegistry, FrontendRegistry, ScratchDirectory, Source, Work};
use longshore_distribution::Client;

use super::export::export;
use super::words::{Words, destination};
use super::{inspect, work};
use crate::args::{FlattenArgs, ProgressArgs, ProgressStyle};
use crate::store_root::StoreRoot;

pub(crate) fn flatten(
    args: &FlattenArgs,
    root: &StoreRoot,
    exporters: &ExporterRegistry,
    frontends: &FrontendRegistry,
    client: &Client,
) -> Result<()> {
    let output = destination(&args.to, args.insecure)?;
    let (_, work) = work::begin(ProgressStyle::Quiet, None)?;
    let (platform, config) = config(args, root, frontends, &work)?;
    let scratch = ScratchDirectory::new_in(&env::temp_dir())?;
    let (layer, file) = (scratch.path().join("layer.tar"), scratch.path().join("config.json"));
    fs::write(&file, config)?;

    let mut files = Words::new(ProgressArgs::quiet());
    files.source(&args.from);
    files.flag("--no-store");
    files.platforms(std::slice::from_ref(&platform));
    files.output(&["type=tar".to_owned(), format!("dest={}", layer.display())]);
    export(&files.export()?, root, exporters, frontends, client)?;

    let mut image = Words::new(args.progress);
    image.source(format!("{platform}=scratch"));
    image.flag(&format!("--layer={}", layer.display()));
    image.flag(&format!("--config={}", file.display()));
    image.output(&output);
    export(&image.export()?, root, exporters, frontends, client)?;
    Ok(scratch.remove()?)
}

/// Returns the platform of the image, and its configuration without what is about layers.
fn config(
    args: &FlattenArgs,
    root: &StoreRoot,
    frontends: &FrontendRegistry,
    work: &Work,
) -> Result<(Platform, Vec<u8>), Error> {
    let images = inspect::open(&Source::parse(&args.from)?, root, frontends, work)?;
    let [(_, existing)] = &images[..] else {
        return Err(Error::option(format!("{} has {} images", args.from, images.len())).with_hint("name one of them"));
    };
    let graph = Graph::of(existing, work);
    let descriptor: Descriptor = match (&args.platform, existing.root.media_type.is_index()) {
        (Some(platform), _) => graph.platform(platform)?,
        (None, true) => graph.platform(&Platform::host())?,
        (None, false) => existing.root.clone(),
    };
    let (_, config) = graph.image(&descriptor)?;
    let mut config = ImageConfig::clone(&config);
    let platform = config.platform()?;
    config.set_history(&[]);
    Ok((platform, config.to_bytes()?))
}
