//! `longshore export`.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use longshore_core::compose::compose;
use longshore_core::{
    BuildResult, Destination, Epoch, Error, ExporterRegistry, FrontendRegistry, OutputSpec, Plan, Progress, Session,
    Store,
};

use longshore_distribution::Client;

use super::{edits, sources, work, written};
use crate::args::ExportArgs;
use crate::store_root::StoreRoot;

pub(crate) fn export(
    args: &ExportArgs,
    root: &StoreRoot,
    exporters: &ExporterRegistry,
    frontends: &FrontendRegistry,
    client: &Client,
) -> Result<()> {
    let (display, work) = work::begin(args.progress, args.jobs)?;
    let specs = outputs(&args.outputs)?;
    let flags = edits::flags(args);
    let sources = sources::resolve(&args.sources, &flags, !args.layers.is_empty(), frontends)?;
    let store = open_store(args, &specs, root, exporters, &work.progress)?;
    let images = store.images().cloned();
    let pusher = Arc::new(client.pusher().with_jobs(args.push_jobs));
    let session = Session::new(exporters, store).with_pusher(pusher).with_work(work.clone());
    let resolved = session.resolve(&specs)?;
    let cx = sources::context(frontends, root, images, &work);
    let edits = edits::edits(args, &flags, &work.progress)?;
    let images = compose(sources::build(&sources, &cx)?, &args.platforms, &edits, &work.progress)?;
    let result = BuildResult { images, epoch: source_date_epoch()? };
    written::check(args, &result)?;
    if args.dry_run {
        display.finish();
        return print_plans(&resolved.plan(&result)?);
    }
    let responses = resolved.export(&result);
    display.finish();
    let responses = responses.map_err(|failure| {
        // What was published before the failure is not undone, so it is said.
        display.summary(&failure.published);
        failure.error
    })?;
    display.summary(&responses);
    written::write_files(args, &responses)?;
    Ok(())
}

fn outputs(texts: &[String]) -> Result<Vec<OutputSpec>, Error> {
    texts.iter().filter_map(|text| OutputSpec::parse(text).transpose()).collect()
}

/// The store of the run. Outputs that are not understood leave no store behind, and a run that needs no
/// image store does without one that cannot be opened.
fn open_store(
    args: &ExportArgs,
    specs: &[OutputSpec],
    root: &StoreRoot,
    exporters: &ExporterRegistry,
    progress: &Progress,
) -> Result<Store, Error> {
    let is_destination = specs.iter().try_fold(false, |is_one, spec| -> Result<bool, Error> {
        let destination = exporters.resolve(&spec.kind, &spec.attrs)?.destination();
        Ok(is_one || destination == Destination::ImageStore)
    })?;
    if args.no_store {
        return Ok(Store::Spool);
    }
    if args.dry_run && !is_destination {
        return Ok(Store::Spool);
    }
    match root.open() {
        Ok(store) => Ok(Store::Images(Arc::new(store))),
        Err(error) if is_destination => Err(error),
        Err(error) => {
            progress.warn(format!("{}: layers are kept for this run only", error.with_causes()));
            Ok(Store::Spool)
        }
    }
}

fn source_date_epoch() -> Result<Option<Epoch>, Error> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    match std::env::var(NAME) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => text.parse().map(Some).map_err(|error: Error| error.context(format!("invalid {NAME}"))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(Error::option(format!("invalid {NAME}")).with_source(error)),
    }
}

fn print_plans(plans: &[Plan]) -> Result<()> {
    let mut out = io::stdout().lock();
    for plan in plans {
        match plan.destination.as_str() {
            "" => writeln!(out, "type={}", plan.kind)?,
            destination => writeln!(out, "type={} to {destination}", plan.kind)?,
        }
        for line in &plan.lines {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}
