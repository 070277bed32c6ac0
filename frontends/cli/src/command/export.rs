//! `longshore export`.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use longshore_core::compose::compose;
use longshore_core::content::ImageStore;
use longshore_core::{
    BuildResult, Epoch, Error, ErrorKind, ExporterRegistry, FrontendContext, FrontendRegistry, OutputSpec, Plan,
    Progress, ResolvedSession, Session, Source, Store,
};
use longshore_distribution::Client;

use super::{edits, work, written};
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
    let pusher = Arc::new(client.pusher().with_jobs(args.push_jobs));
    let session = Session::new(exporters).with_pusher(pusher).with_work(work.clone());
    let resolved = session.resolve(&specs)?;
    let (store, images) = open_stores(args, &resolved, root, frontends, &work.progress)?;
    let cx = FrontendContext {
        excludes: edits::parse_excludes(&args.excludes)?,
        owner: args.owner.as_deref().map(edits::parse_owner).transpose()?,
        work,
        images,
        every_tag: false,
        referrers: args.all,
    };
    let result = build(args, frontends, &cx)?;
    written::check(args, &result)?;
    if args.dry_run {
        display.finish();
        return print_plans(&resolved.plan(&result)?);
    }
    let responses = resolved.export(&result, store);
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

/// Where the run keeps blobs, and the image store that its sources read: opened after the outputs are known to be
/// possible. A run that needs no image store does without one that cannot be opened or written to, but not without one
/// that was mistyped.
fn open_stores(
    args: &ExportArgs,
    resolved: &ResolvedSession,
    root: &StoreRoot,
    frontends: &FrontendRegistry,
    progress: &Progress,
) -> Result<(Store, Option<Arc<dyn ImageStore>>), Error> {
    if args.no_store {
        resolved.check_store(&Store::Spool)?;
        return Ok((Store::Spool, None));
    }
    let sources = args.sources.iter().map(|text| Source::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let is_source = sources.iter().any(|source| frontends.reads_image_store(source));
    if args.dry_run && !is_source {
        return Ok((Store::Spool, None));
    }
    let is_needed = is_source || resolved.needs_image_store();
    match if is_source { root.existing() } else { root.open() } {
        Ok(images) if images.is_read_only() && !resolved.needs_image_store() => Ok((Store::Spool, Some(images))),
        Ok(images) => {
            let store = Store::Images(images.clone());
            resolved.check_store(&store)?;
            Ok((store, Some(images)))
        }
        Err(error) if is_needed || error.kind() == ErrorKind::InvalidOption => Err(error),
        Err(error) => {
            progress.warn(format!("{}: layers are kept for this run only", error.with_causes()));
            Ok((Store::Spool, None))
        }
    }
}

fn build(args: &ExportArgs, frontends: &FrontendRegistry, cx: &FrontendContext) -> Result<BuildResult, Error> {
    let epoch = source_date_epoch()?;
    let mut sources = Vec::new();
    for text in &args.sources {
        let source = Source::parse(text)?;
        let images = frontends.open(&source, cx)?;
        sources.push((source.platform, images));
    }
    let edits = edits::edits(args, cx)?;
    Ok(BuildResult { images: compose(sources, &args.platforms, &edits, &cx.work.progress)?, epoch })
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
