//! `longshore rebase`.

use std::sync::Arc;

use anyhow::Result;
use longshore_core::compose::rebase as rebase_one;
use longshore_core::options::list_value;
use longshore_core::{
    BuildResult, Error, ExporterRegistry, FrontendRegistry, Image, ImageContent, OutputSpec, Session, Source, Store,
};
use longshore_distribution::Client;

use super::words::destination;
use super::{inspect, work};
use crate::args::RebaseArgs;
use crate::store_root::StoreRoot;

pub(crate) fn rebase(
    args: &RebaseArgs,
    root: &StoreRoot,
    exporters: &ExporterRegistry,
    frontends: &FrontendRegistry,
    client: &Client,
) -> Result<()> {
    let specs: Vec<OutputSpec> =
        OutputSpec::parse(&list_value(&destination(&args.to, args.insecure)?))?.into_iter().collect();
    let (display, work) = work::begin(args.progress.style(), None)?;
    let session = Session::new(exporters).with_pusher(Arc::new(client.pusher())).with_work(work.clone());
    let resolved = session.resolve(&specs)?;
    let store = if resolved.needs_image_store() { Store::Images(root.open()?) } else { Store::Spool };
    let open = |text: &String| -> Result<_, Error> {
        let mut images = inspect::open(&Source::parse(text)?, root, frontends, &work)?;
        match images.pop().filter(|_| images.is_empty()) {
            Some((image, existing)) => Ok((image.names, existing)),
            None => Err(Error::option(format!("{text} has {} images", images.len())).with_hint("name one of them")),
        }
    };
    let ((names, image), (_, old), (_, new)) = (open(&args.from)?, open(&args.old_base)?, open(&args.new_base)?);
    let image = Image::new(ImageContent::Built(rebase_one(&image, &old, &new, &work)?)).with_names(names);
    let responses = resolved.export(&BuildResult::new(vec![image]), store);
    display.finish();
    display.summary(&responses.map_err(|failure| failure.error)?);
    Ok(())
}
