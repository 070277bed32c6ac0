//! Exporters: the contract of every kind of output.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use longshore_content::Work;
use longshore_oci::Result;
use serde::{Deserialize, Serialize};

use crate::context::{ExportContext, ExportedImage, Needs, Response, Run, Turn};
use crate::options::{Attrs, OptionInfo, Options, describe, parse};
use crate::result::BuildResult;
use crate::sink::{Destination, Filled, Output};

/// A kind of output, such as `type=oci`.
pub trait Exporter: Send + Sync {
    /// Returns its type, summary and options, for help, the reference page and plugins.
    fn info(&self) -> ExporterInfo;

    /// Checks the options of one output.
    ///
    /// It does no I/O, so that a bad option fails before the build. It may be called any number of times;
    /// outputs of the same type share nothing.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) for an unknown key, a bad value, or options that
    /// contradict each other.
    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>>;
}

/// An exporter whose type and options are known at compile time. It implements [`Exporter`], and its checked
/// options are the instance of one output.
///
/// An exporter that learns its type or its options at run time implements [`Exporter`] itself.
pub trait ExporterType: Send + Sync {
    /// The name in `type=…`.
    const KIND: &'static str;
    /// A one-line summary of its output.
    const SUMMARY: &'static str;
    /// The options, which are the instance of an output once parsed and checked.
    type Instance: Options + Default + ExporterInstance + 'static;
}

impl<T: ExporterType> Exporter for T {
    fn info(&self) -> ExporterInfo {
        let mut instance = T::Instance::default();
        let destination = instance.destination();
        ExporterInfo::new(T::KIND, T::SUMMARY, describe(&mut instance)).with_destination(destination)
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        let mut instance = T::Instance::default();
        parse(T::KIND, attrs, &mut instance)?;
        Ok(Box::new(instance))
    }
}

/// An exporter in a list of trait objects.
impl Exporter for Box<dyn Exporter> {
    fn info(&self) -> ExporterInfo {
        self.as_ref().info()
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        self.as_ref().resolve(attrs)
    }
}

/// The description of an exporter, for help and other programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExporterInfo {
    /// The name in `type=…`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// A one-line summary of its output.
    pub summary: Cow<'static, str>,
    /// Its options, in the order of the reference page.
    pub options: Vec<OptionInfo>,
    /// Its destination, if no option says otherwise.
    #[serde(skip)]
    pub destination: Destination,
    /// The program that exports, if that is one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
}

impl ExporterInfo {
    /// Creates the description of an exporter without a destination.
    pub fn new(
        kind: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
        options: Vec<OptionInfo>,
    ) -> Self {
        Self { kind: kind.into(), summary: summary.into(), options, destination: Destination::None, program: None }
    }

    /// Sets the destination.
    #[must_use]
    pub fn with_destination(self, destination: Destination) -> Self {
        Self { destination, ..self }
    }

    /// Sets the program that exports.
    #[must_use]
    pub fn of_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: Some(program.into()), ..self }
    }
}

/// One output of one build, with checked options.
///
/// The methods are called in the order given here. An instance never changes: state derived by an export lives
/// in its [`Staged`].
pub trait ExporterInstance: Send + Sync {
    /// Returns what the host must open for it, according to its options.
    fn destination(&self) -> Destination;

    /// Returns whether the output holds images, whose digests its response has; not if it holds files alone.
    fn holds_images(&self) -> bool {
        true
    }

    /// Checks what is at its destination, a file or a directory that need not exist, before the build. It writes nothing.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) for a destination that it would refuse in
    /// [`export`](Self::export), which checks again.
    fn check_destination(&self, path: &Path) -> Result<()> {
        let _ = path;
        Ok(())
    }

    /// Checks that a destination that it reaches itself, such as a daemon, can be reached, before the build. It is called
    /// for an output without a path, and not for a plan. It changes nothing there.
    ///
    /// # Errors
    /// A destination that [`export`](Self::export) could not reach either.
    fn check_reachable(&self, work: &Work) -> Result<()> {
        let _ = work;
        Ok(())
    }

    /// Returns the layers that it will request in `run`, and checks that its options fit `result`. It reads no
    /// layer. It may be called more than once, as the result may decide whether this output is alone.
    ///
    /// # Errors
    /// Options that do not fit `result`, such as one name for several images.
    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs>;

    /// Describes what [`export`](Self::export) would write in `run`, one line per item, for `--dry-run`. It
    /// reads no layer.
    ///
    /// # Errors
    /// As [`needs`](Self::needs).
    fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>>;

    /// Builds, verifies and transfers everything without making it visible: files stay under temporary names,
    /// and no name, tag or index entry changes before [`Staged::publish`]. A stream is written when it is
    /// published, and is cut off if a source fails then.
    ///
    /// Exports of one build run concurrently. `output` is of the kind returned by
    /// [`destination`](Self::destination).
    ///
    /// # Errors
    /// Any failure. The other exports are cancelled, and nothing of any output is visible.
    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>>;
}

/// An export that is complete but not visible. Dropping it discards it.
pub trait Staged: Send {
    /// Returns when it is published: see [`Turn`].
    fn turn(&self) -> Turn;

    /// Makes it visible, in one step: a rename, an index entry, a tag. It is called once, after every
    /// export of the build has succeeded.
    ///
    /// # Errors
    /// I/O errors. Outputs published before stay published.
    fn publish(self: Box<Self>) -> Result<Response>;
}

impl fmt::Debug for dyn Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exporter").field(&self.info().kind).finish()
    }
}

impl fmt::Debug for dyn ExporterInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterInstance").field("destination", &self.destination()).finish_non_exhaustive()
    }
}

impl<'a> Filled<'a> {
    /// Returns this file as the staged export of an exporter of type `kind`, containing `images`.
    pub fn staged(self, kind: impl Into<String>, images: Vec<ExportedImage>) -> Box<dyn Staged + 'a> {
        Box::new(StagedFile { filled: self, kind: kind.into(), images })
    }
}

struct StagedFile<'a> {
    filled: Filled<'a>,
    kind: String,
    images: Vec<ExportedImage>,
}

impl Staged for StagedFile<'_> {
    fn turn(&self) -> Turn {
        self.filled.turn()
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        let destination = self.filled.publish()?.map(|path| path.display().to_string());
        Ok(Response::new(self.kind, destination, self.images))
    }
}
