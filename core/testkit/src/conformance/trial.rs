//! One output of the exporter under test, in its own directory.

use std::num::NonZeroUsize;
use std::path::Path;

use longshore_core::{
    Budget, BuildResult, Cancel, Error, ExporterRegistry, OutputSpec, Response, Session, Store, Work,
};
use tempfile::TempDir;

use super::{ExporterCase, listing_of};
use crate::causes::full;
use crate::faults::FailingExporter;

/// How an export is run.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) jobs: usize,
    pub(super) store: Store,
    pub(super) cancel: Cancel,
}

impl Default for Manner {
    fn default() -> Self {
        Self { jobs: 2, store: Store::Spool, cancel: Cancel::default() }
    }
}

pub(super) struct Trial<'a> {
    pub(super) case: &'a ExporterCase<'a>,
    pub(super) registry: ExporterRegistry,
    place: TempDir,
}

impl<'a> Trial<'a> {
    pub(super) fn new(case: &'a ExporterCase<'a>) -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        Self { case, registry: (case.exporters)().with(FailingExporter), place }
    }

    pub(super) fn place(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn listing(&self) -> Vec<String> {
        self.listing_in(self.place())
    }

    /// Returns the visible parts of an output written to `directory`.
    pub(super) fn listing_in(&self, directory: &Path) -> Vec<String> {
        match (self.case.store, self.case.registry) {
            (Some(store), _) => (store.visible)(directory),
            (None, Some(registry)) => (registry.visible)(directory),
            (None, None) => listing_of(directory),
        }
    }

    pub(super) fn spec(&self) -> OutputSpec {
        (self.case.spec)(self.place())
    }

    /// Returns an output in a subdirectory, which is created.
    pub(super) fn spec_in(&self, directory: &str) -> OutputSpec {
        let path = self.place().join(directory);
        std::fs::create_dir(&path).expect("a directory");
        (self.case.spec)(&path)
    }

    pub(super) fn session(&self, manner: &Manner) -> Session<'_> {
        let jobs = NonZeroUsize::new(manner.jobs).expect("at least one job");
        let work = Work::default().with_budget(Budget::new(jobs)).with_cancel(manner.cancel.clone());
        let session = Session::new(&self.registry).with_work(work);
        match self.case.registry {
            Some(registry) => session.with_pusher((registry.pusher)(self.place())),
            None => session,
        }
    }

    /// Returns the store of the exporter, or else the one chosen by the manner.
    fn store(&self, manner: Manner) -> Store {
        self.case.store.map_or(manner.store, |store| (store.open)(self.place()))
    }

    /// Exports to the one output, checks what it wrote, and returns its response.
    pub(super) fn export(&self, result: &BuildResult, manner: Manner) -> Response {
        let mut responses = self.export_all(&[self.spec()], result, manner);
        (self.case.check)(self.place());
        responses.remove(0)
    }

    pub(super) fn export_all(&self, specs: &[OutputSpec], result: &BuildResult, manner: Manner) -> Vec<Response> {
        let resolved = self.session(&manner).resolve(specs).expect("the options of the suite's caller are good");
        let responses = resolved
            .export(result, self.store(manner))
            .unwrap_or_else(|failure| panic!("export: {}", full(&failure.error)));
        let kinds = |kind: &String| kind.clone();
        let expected: Vec<String> = specs.iter().map(|spec| kinds(&spec.kind)).collect();
        let found: Vec<String> = responses.iter().map(|response| kinds(&response.kind)).collect();
        assert_eq!(found, expected, "a response for each output, in their order");
        responses
    }

    /// Runs an export that must fail and change nothing visible.
    pub(super) fn fail(&self, specs: &[OutputSpec], result: &BuildResult, manner: Manner) -> Error {
        let before = self.listing();
        let resolved = self.session(&manner).resolve(specs).expect("the options of the suite's caller are good");
        let failure = resolved.export(result, self.store(manner)).expect_err("the export succeeded");
        assert_eq!(failure.published, [], "published, although the run failed: {}", full(&failure.error));
        assert_eq!(self.listing(), before, "a run that failed changed something: {}", full(&failure.error));
        failure.error
    }
}
