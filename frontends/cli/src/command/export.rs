//! `longshore export`.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use longshore_core::compose::compose;
use longshore_core::{
    BuildResult, Dest, Epoch, Error, ErrorKind, ExportFailure, ExporterRegistry, FrontendRegistry, OutputSpec, Plan,
    Progress, ResolvedSession, Session, Store,
};
use longshore_distribution::Client;

use super::{annotation, attest, cap, edits, meant, sources, work, written};
use crate::args::ExportArgs;
use crate::progress::Display;
use crate::report;
use crate::stderr::say;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn export(
    args: &ExportArgs,
    root: &StoreRoot,
    exporters: &ExporterRegistry,
    frontends: &FrontendRegistry,
    client: &Client,
) -> Result<()> {
    if args.dry_run {
        stdout::check()?;
    }
    let (display, work) = work::begin(args.progress.style(), args.jobs)?;
    let mut specs = outputs(&args.outputs, exporters)?;
    annotation::annotate(&mut specs, &args.annotations, exporters)?;
    let asked = attest::parse(&args.attest)?;
    let flags = edits::flags(args);
    let sources = sources::resolve(&args.sources, &flags, !args.layers.is_empty(), frontends)?;
    let pusher = Arc::new(client.pusher().with_jobs(args.push_jobs));
    let session = Session::new(exporters).with_pusher(pusher).with_work(work.clone()).with_stores(root.known());
    let resolved = session.resolve(&specs)?;
    written::check_paths(args, &resolved)?;
    let store = needed_store(args, &resolved, root)?;
    if !args.dry_run {
        resolved.check_reachable()?;
    }
    let cx = sources::context(frontends, root, &work);
    let edits = edits::edits(args, &flags, &work.progress)?;
    let built = sources::build(&sources, &cx)?;
    let dependencies: Vec<_> = built.iter().flat_map(|source| attest::dependencies(&source.images)).collect();
    let mut images = compose(built, &args.platforms, &edits, &work)?;
    attest::attach(&asked, &mut images, &dependencies, args)?;
    let result = BuildResult::new(images).with_epoch(source_date_epoch()?);
    written::check(args, &result)?;
    if args.dry_run {
        display.finish();
        return print_plans(&resolved.plan(&result)?);
    }
    let store = store.map_or_else(|| useful_store(root, &work.progress), Ok)?;
    let images = match &store {
        Store::Images(images) => Some(images.clone()),
        _ => None,
    };
    let may_do_without = images.is_some() && !resolved.needs_image_store();
    let responses = resolved.export(&result, store);
    display.finish();
    let responses = responses.map_err(|failure| failed(failure, may_do_without, args, display.as_ref()))?;
    display.summary(&responses);
    written::write_files(args, &responses)?;
    // What was exported stays exported.
    if let Some(Err(error)) = images.map(|images| cap::keep(images.as_ref())) {
        say(&format!("warning: the image store is not kept small: {}\n", error.with_causes()));
    }
    Ok(())
}

/// Says what was published before a failure, which is not undone, and what else failed; returns the first error.
fn failed(failure: ExportFailure, may_do_without: bool, args: &ExportArgs, display: &dyn Display) -> Error {
    display.summary(&failure.published);
    for other in failure.others {
        report::print(&other.into());
    }
    let error = full(failure.error, may_do_without);
    match written::write_published(args, &failure.published) {
        Ok(()) => error,
        Err(unsaid) => error.context(format!("what was published is not written down: {}", unsaid.with_causes())),
    }
}

/// Adds to the error of a full disk that an export may do without the store.
fn full(error: Error, may_do_without: bool) -> Error {
    match error.hint() {
        Some(hint) if error.kind() == ErrorKind::NoSpace && may_do_without && hint.contains("prune") => {
            let hint = format!("{hint}; or work without one");
            error.with_hint(hint)
        }
        _ => error,
    }
}

fn outputs(texts: &[String], exporters: &ExporterRegistry) -> Result<Vec<OutputSpec>, Error> {
    let mut specs = Vec::new();
    for text in texts {
        let Some(spec) = OutputSpec::parse(text)? else { continue };
        // The type that a path alone stands for is no word that anyone typed.
        let has_type = spec.dest != Some(Dest::Path(text.into()));
        if let Some(meant) = (!has_type).then(|| meant::output(text, exporters)).flatten() {
            let error = Error::option(format!("invalid output: `{}` has no type", text.escape_debug()));
            return Err(error.with_hint(format!("write {meant}")));
        }
        specs.push(spec);
    }
    Ok(specs)
}

/// Returns the store of a run that cannot do without one: it is opened before anything is built.
fn needed_store(args: &ExportArgs, resolved: &ResolvedSession, root: &StoreRoot) -> Result<Option<Store>, Error> {
    if args.no_store {
        resolved.check_store(&Store::Spool)?;
        return Ok(Some(Store::Spool));
    }
    if args.dry_run || !resolved.needs_image_store() {
        return Ok(None);
    }
    let store = Store::Images(root.open()?);
    resolved.check_store(&store)?;
    Ok(Some(store))
}

/// Returns the store of a run that does without one which cannot be opened or written to, but not without one that
/// was mistyped.
fn useful_store(root: &StoreRoot, progress: &Progress) -> Result<Store, Error> {
    match root.open() {
        Ok(images) if images.is_read_only() => Ok(Store::Spool),
        Ok(images) => Ok(Store::Images(images)),
        Err(error) if error.kind() == ErrorKind::InvalidOption => Err(error),
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
    let mut out = Vec::new();
    for plan in plans {
        match plan.destination.as_str() {
            "" => writeln!(out, "type={}", plan.kind)?,
            destination => writeln!(out, "type={} to {destination}", plan.kind)?,
        }
        for line in &plan.lines {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(stdout::print(out)?)
}
