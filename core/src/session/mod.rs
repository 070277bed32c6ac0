//! Session: the entry point for programs. Resolve before the build, export after it.

mod run;
mod sources;
mod targets;

use std::path::PathBuf;
use std::sync::Arc;

use longshore_content::{ContentStore, ImageStore, Pusher, Work};
use longshore_oci::{Context, Result};

use crate::context::{Needs, Run};
use crate::exporter::ExporterInstance;
use crate::exporters::ExporterRegistry;
use crate::layer::LayerSet;
use crate::output::OutputSpec;
use crate::result::BuildResult;
use targets::Target;

pub use run::ExportFailure;
pub use targets::check_stdout;

/// The entry point for programs: [`resolve`](Self::resolve) before the build, which reports every bad option
/// and destination, and [`ResolvedSession::export`] after it. The store is opened in between, by the program, which
/// knows by then whether the outputs [need](ResolvedSession::needs_image_store) one with names.
///
/// See `docs/writing-an-exporter.md` and `docs/examples/build-tool` for a whole program.
#[derive(Debug)]
pub struct Session<'a> {
    exporters: &'a ExporterRegistry,
    pusher: Option<Arc<dyn Pusher>>,
    work: Work,
    stores: Vec<PathBuf>,
}

/// The store for blobs during an export.
#[derive(Debug, Clone)]
pub enum Store {
    /// A temporary directory beside the first destination, which is removed when the export is done.
    Spool,
    /// A store without image names.
    Given(Arc<dyn ContentStore>),
    /// A store with image names.
    Images(Arc<dyn ImageStore>),
}

impl Store {
    /// Returns the names, if any.
    pub fn images(&self) -> Option<&Arc<dyn ImageStore>> {
        match self {
            Self::Images(images) => Some(images),
            Self::Spool | Self::Given(_) => None,
        }
    }
}

impl<'a> Session<'a> {
    /// Creates a session with the given exporters, one job per CPU, and no progress output.
    pub fn new(exporters: &'a ExporterRegistry) -> Self {
        Self { exporters, pusher: None, work: Work::default(), stores: Vec::new() }
    }

    /// Sets the registry client. Without one, outputs that push fail.
    #[must_use]
    pub fn with_pusher(self, pusher: Arc<dyn Pusher>) -> Self {
        Self { pusher: Some(pusher), ..self }
    }

    /// Sets progress, cancellation and budget.
    #[must_use]
    pub fn with_work(self, work: Work) -> Self {
        Self { work, ..self }
    }

    /// Sets directories of stores that are left out of exported directories, as the store of the run is.
    #[must_use]
    pub fn with_stores(self, stores: Vec<PathBuf>) -> Self {
        Self { stores, ..self }
    }

    /// Checks the options and destinations of all outputs. Nothing is written.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption): an unknown type, a bad option, an impossible
    /// destination, two outputs for one file or for standard output.
    pub fn resolve(self, specs: &[OutputSpec]) -> Result<ResolvedSession> {
        let mut outputs = Vec::new();
        for spec in specs {
            let instance = self.exporters.resolve(&spec.kind, &spec.attrs)?;
            let target = Target::check(&spec.kind, instance.destination(), spec.dest.as_ref())?;
            outputs.push(ResolvedOutput { kind: spec.kind.clone(), instance, target });
        }
        targets::check_together(outputs.iter().map(|output| &output.target))?;
        targets::check_parents(outputs.iter().map(|output| &output.target))?;
        for output in &outputs {
            let checked = output.target.path().map_or(Ok(()), |path| output.instance.check_destination(path));
            checked.attempt(|| output.name())?;
        }
        let Self { pusher, work, stores, .. } = self;
        Ok(ResolvedSession { outputs, pusher, work, stores })
    }
}

/// A session with checked outputs.
#[derive(Debug)]
pub struct ResolvedSession {
    outputs: Vec<ResolvedOutput>,
    pusher: Option<Arc<dyn Pusher>>,
    work: Work,
    stores: Vec<PathBuf>,
}

#[derive(Debug)]
struct ResolvedOutput {
    kind: String,
    instance: Box<dyn ExporterInstance>,
    target: Target,
}

/// The plan of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The type of its exporter.
    pub kind: String,
    /// Its destination, for display.
    pub destination: String,
    /// Its contents, one line per item.
    pub lines: Vec<String>,
}

impl ResolvedSession {
    /// Returns whether an output writes to an image store, so that [`export`](Self::export) needs
    /// [`Store::Images`].
    pub fn needs_image_store(&self) -> bool {
        self.image_output().is_some()
    }

    /// Returns whether an output holds images, so that its response has their digests.
    pub fn holds_images(&self) -> bool {
        self.outputs.iter().any(|output| output.instance.holds_images())
    }

    /// Returns whether an output goes to standard output.
    pub fn writes_to_stdout(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output.target, Target::Stdout))
    }

    /// Checks that the outputs can use `store`, as [`export`](Self::export) also does: a program that knows
    /// before its build that it has no image store fails early.
    ///
    /// # Errors
    /// For an output that goes into an image store, [`InvalidOption`](crate::ErrorKind::InvalidOption) if `store` is none, and
    /// [`Denied`](crate::ErrorKind::Denied) if it cannot be written to.
    pub fn check_store(&self, store: &Store) -> Result<()> {
        let Some(output) = self.image_output() else { return Ok(()) };
        match store.images() {
            Some(images) if images.is_read_only() => Err(targets::read_only_image_store(&output.kind)),
            Some(_) => Ok(()),
            None => Err(targets::no_image_store(&output.kind)),
        }
    }

    /// Checks that what outputs reach themselves, such as a daemon, can be reached: a program fails before its build, and
    /// not after it.
    ///
    /// # Errors
    /// The first output that could not be exported.
    pub fn check_reachable(&self) -> Result<()> {
        for output in self.outputs.iter().filter(|output| matches!(output.target, Target::None)) {
            output.instance.check_reachable(&self.work).attempt(|| output.name())?;
        }
        Ok(())
    }

    fn image_output(&self) -> Option<&ResolvedOutput> {
        self.outputs.iter().find(|output| matches!(output.target, Target::ImageStore))
    }

    /// Returns what [`export`](Self::export) would write. It reads no layer and writes nothing.
    ///
    /// # Errors
    /// Options that do not fit `result`.
    pub fn plan(&self, result: &BuildResult) -> Result<Vec<Plan>> {
        let (run, _) = self.needs(result)?;
        let plan = |output: &ResolvedOutput| {
            let lines = output.instance.plan(result, run).attempt(|| output.name())?;
            Ok(Plan { kind: output.kind.clone(), destination: output.target.to_string(), lines })
        };
        self.outputs.iter().map(plan).collect()
    }

    /// Returns the needs of the outputs, and whether only one of them needs layers.
    fn needs(&self, result: &BuildResult) -> Result<(Run, Needs)> {
        for output in &self.outputs {
            sources::check_outside(result, &output.target).attempt(|| output.name())?;
        }
        let (mut needing, mut shared) = (0, Needs::default());
        for needs in self.needs_in(result, Run::shared())? {
            needing += usize::from(!needs.is_empty());
            shared.unite(needs);
        }
        if needing > 1 {
            return Ok((Run::shared(), shared));
        }
        let mut alone = Needs::default();
        self.needs_in(result, Run::alone())?.into_iter().for_each(|needs| alone.unite(needs));
        Ok((Run::alone(), alone))
    }

    fn needs_in(&self, result: &BuildResult, run: Run) -> Result<Vec<Needs>> {
        let needs = |output: &ResolvedOutput| output.instance.needs(result, run).attempt(|| output.name());
        self.outputs.iter().map(needs).collect()
    }

    /// Returns the layers of a run, which are built for all outputs together.
    fn layers(&self, result: &BuildResult) -> Result<LayerSet> {
        let (run, needs) = self.needs(result)?;
        Ok(LayerSet::new(needs.layers, run.is_alone))
    }
}

impl ResolvedOutput {
    /// Returns a description, for the start of a message.
    fn name(&self) -> String {
        match &self.target {
            Target::None | Target::ImageStore => format!("cannot export to type={}", self.kind),
            target => format!("cannot export to type={},dest={target}", self.kind),
        }
    }
}
