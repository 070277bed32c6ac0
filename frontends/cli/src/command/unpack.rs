//! `longshore unpack`.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use longshore_core::content::ImageStore;
use longshore_core::image::{ImageLayers, layers_for};
use longshore_core::oci::Platform;
use longshore_core::unpack::{Unpacking, mount, mount_options, unpack as unpack_to, unpack_image};
use longshore_core::{Cancel, Error, FrontendRegistry, Progress};

use super::{inspect, signals};
use crate::args::UnpackArgs;
use crate::progress;
use crate::store_root::StoreRoot;

pub(crate) fn unpack(args: &UnpackArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    let cancel = signals::cancel_on_signal()?;
    let display = progress::start(args.progress);
    let progress = Progress::new(display.clone());
    if let Some(to) = args.mount.as_ref().filter(|to| !to.is_dir()) {
        return Err(Error::option(format!("cannot mount on {}: it is not a directory", to.display())).into());
    }
    let layers = layers(args, root, frontends, &progress, &cancel)?;
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let cx = Unpacking { jobs, progress: &progress, cancel: &cancel };
    if let Some(to) = &args.to {
        unpack_to(&layers.layers, to, &cx)?;
        display.finish();
        return Ok(());
    }
    let directories = snapshots(&layers, root, &cx)?;
    display.finish();
    match &args.mount {
        Some(to) => mount(&directories, to)?,
        None => writeln!(io::stdout(), "{}", mount_options(&directories)?)?,
    }
    Ok(())
}

fn layers(
    args: &UnpackArgs,
    root: &StoreRoot,
    frontends: &FrontendRegistry,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<ImageLayers, Error> {
    let images = inspect::open(&format!("image:{}", args.name), root, frontends, cancel)?;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let missing = || Error::input(format!("{} is no image", args.name));
    let (_, existing) = images.first().ok_or_else(missing)?;
    layers_for(existing, &platform, progress)
}

/// The directories of an image's layers, made where they are missing, and kept as long as the image.
fn snapshots(image: &ImageLayers, root: &StoreRoot, cx: &Unpacking<'_>) -> Result<Vec<PathBuf>, Error> {
    let store = root.open()?;
    let _lease = longshore_core::content::ContentStore::lease(&store)?;
    let snapshots = store.snapshots().ok_or_else(|| Error::input("the store has no snapshots"))?;
    let directories = unpack_image(image, snapshots, cx)?;
    directories.iter().map(|path| Ok(path.canonicalize()?)).collect()
}
