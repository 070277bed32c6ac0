//! `longshore unpack`.

use anyhow::Result;
use longshore_core::content::{Mount, check_parent};
use longshore_core::image::{ImageLayers, layers_for};
use longshore_core::oci::Platform;
use longshore_core::unpack::{mount, mount_options, unpack as unpack_to, unpack_image};
use longshore_core::{Context, Error, ErrorKind, FrontendRegistry, Source, Work};

use super::{inspect, work};
use crate::args::UnpackArgs;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn unpack(args: &UnpackArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    if args.to.is_none() && args.mount.is_none() {
        stdout::check()?;
    }
    let (display, work) = work::begin(args.progress.style(), args.jobs)?;
    if let Some(to) = args.mount.as_ref().filter(|to| !to.is_dir()) {
        return Err(Error::option(format!("cannot mount on {}: it is not a directory", to.display())).into());
    }
    if let Some(to) = args.to.as_ref().filter(|to| !to.exists()) {
        check_parent(to).attempt(|| format!("cannot write {}", to.display()))?;
    }
    let layers = layers(args, root, frontends, &work)?;
    if let Some(to) = &args.to {
        unpack_to(&layers.layers, to, &work)?;
        display.finish();
        return Ok(());
    }
    let snapshots = snapshots(&layers, root, &work)?;
    display.finish();
    match &args.mount {
        Some(to) => mount(&snapshots, to)?,
        None => stdout::print(mount_options(&snapshots)? + "\n")?,
    }
    Ok(())
}

fn layers(
    args: &UnpackArgs,
    root: &StoreRoot,
    frontends: &FrontendRegistry,
    work: &Work,
) -> Result<ImageLayers, Error> {
    let source = Source::parse(&args.name).ok().filter(|source| frontends.info(&source.scheme).is_ok());
    let source = source.unwrap_or_else(|| Source::new("image", &args.name));
    let images = inspect::open(&source, root, frontends, work)?;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let missing = || Error::input(format!("{} is not an image", args.name));
    let (_, existing) = images.first().ok_or_else(missing)?;
    layers_for(existing, &platform, work)
}

/// Returns the mount of an image's snapshots, which are created if missing, and kept as long as the image.
fn snapshots(image: &ImageLayers, root: &StoreRoot, work: &Work) -> Result<Mount, Error> {
    let store = root.existing()?.lease_images()?;
    let snapshots = store.snapshots().ok_or_else(|| Error::input("the store has no snapshots"))?;
    let place = || store.directory().map(|place| format!(" into {}", place.display())).unwrap_or_default();
    let nothing = || Error::new(ErrorKind::Unsupported, "an image without layers cannot be mounted");
    let mount = unpack_image(image, snapshots, work).attempt(|| format!("cannot unpack{}", place()))?;
    mount.ok_or_else(nothing)
}
