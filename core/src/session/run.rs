//! A run: export all, then publish all.

use std::sync::Arc;
use std::thread;

use longshore_content::{Cancel, ContentStore, ImageStore, Spool};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::{ResolvedOutput, ResolvedSession, Store, sources};
use crate::context::{ExportContext, Response};
use crate::exporter::Staged;
use crate::result::BuildResult;

/// A run that failed, and what was visible by then.
#[derive(Debug)]
pub struct ExportFailure {
    /// The first error, in the order of the outputs.
    pub error: Error,
    /// Outputs that were published before it, which stay.
    pub published: Vec<Response>,
}

impl From<Error> for ExportFailure {
    fn from(error: Error) -> Self {
        Self { error, published: Vec::new() }
    }
}

impl From<ExportFailure> for Error {
    fn from(failure: ExportFailure) -> Self {
        failure.error
    }
}

impl ResolvedSession {
    /// Exports `result` to every output, and publishes all of them once all have succeeded. Blobs are kept in a view
    /// of `store`, so what the run uses is not collected before it ends.
    ///
    /// The responses are in the order of the outputs. Each layer is read once, whatever the outputs
    /// need of it.
    ///
    /// # Errors
    /// Those of [`check_store`](Self::check_store), before anything is made; then the first error of an output. If an
    /// export failed, nothing is visible; if publishing failed, the outputs that were published before it are named.
    pub fn export(self, result: &BuildResult, store: Store) -> Result<Vec<Response>, ExportFailure> {
        self.work.check()?;
        self.check_store(&store)?;
        let result = &*sources::without_store(result, &store, &self.work.progress)?;
        let layers = self.layers(result)?;
        let spool;
        let mut images: Option<Arc<dyn ImageStore>> = None;
        let store: Arc<dyn ContentStore> = match store {
            Store::Given(store) => store.lease()?,
            Store::Images(store) => images.insert(store.lease_images()?).clone(),
            Store::Spool => {
                spool = make_spool(&self.outputs)?;
                spool.store.lease()?
            }
        };
        let store = store.as_ref();
        let cx = ExportContext { store, layers: &layers, pusher: self.pusher.as_deref(), work: self.work.child() };
        let staged = export_all(&self.outputs, result, images.as_ref(), &cx)?;
        publish_all(&self.outputs, staged, &self.work.cancel)
    }
}

/// Makes the store of a run beside the first destination on this machine, or in the directory for temporary files.
fn make_spool(outputs: &[ResolvedOutput]) -> Result<Spool> {
    match outputs.iter().find_map(|output| Some((output.target.neighbour()?, &output.target))) {
        Some((place, target)) => Spool::new_in(&place).attempt(|| format!("cannot keep layers beside {target}")),
        None => {
            let place = std::env::temp_dir();
            Spool::new_in(&place).attempt(|| format!("cannot keep layers in {}", place.display()))
        }
    }
}

/// Runs every export on a thread of its own. The first error cancels the rest.
fn export_all<'a>(
    outputs: &'a [ResolvedOutput],
    result: &'a BuildResult,
    images: Option<&Arc<dyn ImageStore>>,
    cx: &'a ExportContext<'a>,
) -> Result<Vec<Box<dyn Staged + 'a>>> {
    let export = |output: &'a ResolvedOutput| {
        let staged =
            output.target.open(&output.kind, images).and_then(|target| output.instance.export(result, target, cx));
        staged.inspect_err(|_| cx.work().cancel.cancel()).attempt(|| output.name())
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = outputs.iter().map(|output| scope.spawn(move || export(output))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let mut staged = Vec::new();
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(Ok(output)) => staged.push(output),
            Ok(Err(error)) => errors.push(error),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    // An output that was cancelled because of another one's error says nothing new.
    errors.sort_by_key(|error| error.kind() == ErrorKind::Cancelled);
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(staged),
    }
}

/// Publishes in the order of turns, and answers in the order of outputs.
fn publish_all(
    outputs: &[ResolvedOutput],
    staged: Vec<Box<dyn Staged + '_>>,
    cancel: &Cancel,
) -> Result<Vec<Response>, ExportFailure> {
    let mut order: Vec<_> = staged.into_iter().enumerate().collect();
    order.sort_by_key(|(_, staged)| staged.turn());
    // From here on all or as much as possible becomes visible: a late signal does not tear a run.
    cancel.check()?;
    let mut published = Vec::new();
    let mut failed = None;
    for (at, staged) in order {
        if failed.is_some() {
            break;
        }
        let response = staged.publish();
        let name = || outputs.get(at).map(ResolvedOutput::name).unwrap_or_default();
        match response.attempt(name) {
            Ok(response) => published.push((at, response)),
            Err(error) => failed = Some(error),
        }
    }
    published.sort_by_key(|(at, _)| *at);
    let published = published.into_iter().map(|(_, response)| response).collect();
    match failed {
        Some(error) => Err(ExportFailure { error, published }),
        None => Ok(published),
    }
}
