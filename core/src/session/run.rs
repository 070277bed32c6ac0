//! A run: export all, then publish all.

use std::sync::Arc;
use std::thread;

use longshore_content::{Cancel, ContentStore, ImageStore, Spool};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::{ResolvedOutput, ResolvedSession, Store, sources};
use crate::context::{ExportContext, Response};
use crate::exporter::Staged;
use crate::result::BuildResult;

/// A failed run, and the outputs published before the failure.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExportFailure {
    /// The first error, in the order of the outputs; it says of which.
    pub error: Error,
    /// The same error as the exporter returned it: for a program that has a single output, or names them itself.
    pub inner: Error,
    /// Errors of other outputs, which failed at the same time. One that was cancelled because of another adds none.
    pub others: Vec<Error>,
    /// Outputs published before the error, which stay published.
    pub published: Vec<Response>,
}

impl From<Error> for ExportFailure {
    fn from(error: Error) -> Self {
        Self { inner: error.clone(), error, others: Vec::new(), published: Vec::new() }
    }
}

impl ExportFailure {
    fn of(output: &ResolvedOutput, inner: Error) -> Self {
        Self { error: inner.clone().context(output.name()), ..inner.into() }
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
        self.export_when(result, store, || Ok(()))
    }

    /// As [`export`](Self::export), but asks `may_publish` when everything is ready and nothing is visible: a program
    /// that exports in several places publishes once all of them are.
    ///
    /// # Errors
    /// As [`export`](Self::export), and those of `may_publish`: then nothing is visible.
    pub fn export_when(
        self,
        result: &BuildResult,
        store: Store,
        may_publish: impl FnOnce() -> Result<()>,
    ) -> Result<Vec<Response>, ExportFailure> {
        self.work.check()?;
        self.check_store(&store)?;
        let result = &*sources::without_stores(result, &store, &self.stores)?;
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
        may_publish()?;
        publish_all(&self.outputs, staged, &self.work.cancel)
    }
}

/// Creates the store of a run beside the first local destination, or in the directory for temporary files.
fn make_spool(outputs: &[ResolvedOutput]) -> Result<Spool> {
    match outputs.iter().find_map(|output| Some((output.target.neighbour()?, &output.target))) {
        Some((place, target)) => Spool::new_in(&place).attempt(|| format!("cannot keep layers beside {target}")),
        None => {
            let place = std::env::temp_dir();
            Spool::new_in(&place).attempt(|| format!("cannot keep layers in {}", place.display()))
        }
    }
}

/// Runs every export on its own thread. The first error or panic cancels the rest.
fn export_all<'a>(
    outputs: &'a [ResolvedOutput],
    result: &'a BuildResult,
    images: Option<&Arc<dyn ImageStore>>,
    cx: &'a ExportContext<'a>,
) -> Result<Vec<Box<dyn Staged + 'a>>, ExportFailure> {
    let export = |output: &'a ResolvedOutput| -> Result<Box<dyn Staged + 'a>, ExportFailure> {
        let failing = cx.work().cancel.on_drop();
        let staged =
            output.target.open(&output.kind, images).and_then(|target| output.instance.export(result, target, cx));
        let staged = staged.map_err(|error| ExportFailure::of(output, error))?;
        failing.disarm();
        Ok(staged)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = outputs.iter().map(|output| scope.spawn(move || export(output))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let mut staged = Vec::new();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(Ok(output)) => staged.push(output),
            Ok(Err(failure)) => failures.push(failure),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    // Cancellations caused by another output's error come last.
    failures.sort_by_key(|failure| failure.error.kind() == ErrorKind::Cancelled);
    let mut failures = failures.into_iter();
    match failures.next() {
        Some(failure) => {
            let others = failures.map(|other| other.error).filter(|error| error.kind() != ErrorKind::Cancelled);
            Err(ExportFailure { others: others.collect(), ..failure })
        }
        None => Ok(staged),
    }
}

/// Publishes in the order of turns, and returns in the order of outputs.
fn publish_all(
    outputs: &[ResolvedOutput],
    staged: Vec<Box<dyn Staged + '_>>,
    cancel: &Cancel,
) -> Result<Vec<Response>, ExportFailure> {
    let mut order: Vec<_> = staged.into_iter().enumerate().collect();
    order.sort_by_key(|(_, staged)| staged.turn());
    // From here on as much as possible is published: a late signal does not interrupt it.
    cancel.check()?;
    let mut published = Vec::new();
    let mut failed = None;
    for (at, staged) in order {
        if failed.is_some() {
            break;
        }
        match staged.publish() {
            Ok(response) => published.push((at, response)),
            Err(error) => failed = Some(ExportFailure::of(&outputs[at], error)),
        }
    }
    published.sort_by_key(|(at, _)| *at);
    let published = published.into_iter().map(|(_, response)| response).collect();
    match failed {
        Some(failure) => Err(ExportFailure { published, ..failure }),
        None => Ok(published),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::context::{Needs, Run};
    use crate::exporter::{ExporterInstance, ExporterType};
    use crate::exporters::ExporterRegistry;
    use crate::options::{Options, Visitor};
    use crate::output::OutputSpec;
    use crate::session::Session;
    use crate::sink::{Destination, Output};

    /// Panics, or waits until that cancels it.
    #[derive(Debug, Default)]
    struct Odd {
        panics: Option<bool>,
        fails: Option<String>,
    }

    struct OddExporter;

    impl ExporterType for OddExporter {
        const KIND: &'static str = "odd";
        const SUMMARY: &'static str = "Nothing";
        type Instance = Odd;
    }

    impl Options for Odd {
        fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
            visitor.option("panics", "Whether it panics", "false", &mut self.panics)?;
            visitor.option("fails", "How it fails", "not", &mut self.fails)
        }
    }

    impl ExporterInstance for Odd {
        fn destination(&self) -> Destination {
            Destination::None
        }

        fn needs(&self, _: &BuildResult, _: Run) -> Result<Needs> {
            Ok(Needs::default())
        }

        fn plan(&self, _: &BuildResult, _: Run) -> Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn export<'a>(
            &'a self,
            _: &'a BuildResult,
            _: Output,
            cx: &'a ExportContext<'a>,
        ) -> Result<Box<dyn Staged + 'a>> {
            assert!(self.panics != Some(true), "on purpose");
            if let Some(fails) = &self.fails {
                return Err(Error::input(fails.clone()));
            }
            let (sender, cancelled) = mpsc::channel();
            let _listening = cx.work().cancel.on_cancel(move || sender.send(()).unwrap());
            cancelled.recv_timeout(Duration::from_secs(60)).expect("the sibling was not cancelled");
            Err(Error::cancelled())
        }
    }

    /// Only the first was reported.
    #[test]
    fn every_error_is_reported_but_those_of_the_cancelled() {
        let exporters = ExporterRegistry::default().with(OddExporter);
        let specs = ["type=odd", "type=odd,fails=one", "type=odd,fails=two"];
        let specs = specs.map(|text| OutputSpec::parse(text).unwrap().unwrap());
        let resolved = Session::new(&exporters).resolve(&specs).unwrap();
        let failure = resolved.export(&BuildResult::default(), Store::Spool).unwrap_err();
        let errors = [&failure.error].into_iter().chain(&failure.others).map(Error::with_causes);
        let errors: Vec<String> = errors.collect();
        assert!(errors.len() == 2 && errors[0].ends_with("one") && errors[1].ends_with("two"), "{errors:?}");
        assert_eq!(
            (failure.error.with_causes(), failure.inner.message()),
            ("cannot export to type=odd: one".into(), "one")
        );
    }

    /// The sibling went on until it was done, or for ever.
    #[test]
    fn a_panic_of_an_exporter_cancels_its_siblings() {
        let exporters = ExporterRegistry::default().with(OddExporter);
        let specs = ["type=odd", "type=odd,panics=true"].map(|text| OutputSpec::parse(text).unwrap().unwrap());
        let resolve = |specs: &[OutputSpec]| Session::new(&exporters).resolve(specs).unwrap();
        for specs in [specs.clone(), [specs[1].clone(), specs[0].clone()]] {
            let export = || resolve(&specs).export(&BuildResult::default(), Store::Spool);
            let panic = catch_unwind(AssertUnwindSafe(export)).unwrap_err();
            assert_eq!(*panic.downcast::<&str>().unwrap(), "on purpose");
        }
    }
}
