//! Inputs and outputs that fail on request.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::content::Provider;
use longshore_core::layer::TarStream;
use longshore_core::oci::Digest;
use longshore_core::options::{Attrs, Options, Value, Visitor, describe, parse};
use longshore_core::{
    BuildResult, Destination, Error, ErrorKind, ExportContext, Exporter, ExporterInfo, ExporterInstance, Needs, Output,
    Response, Result, Run, Staged, Turn,
};

/// A tar archive in which something happens half-way.
pub struct HalfwayTar {
    inner: Arc<dyn TarStream>,
    after: u64,
    event: Box<dyn Fn() -> Result<()> + Send + Sync>,
}

impl HalfwayTar {
    /// Calls `event` when `after` bytes of `inner` have been read; its error is the reader's.
    pub fn new(
        inner: Arc<dyn TarStream>,
        after: u64,
        event: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner, after, event: Box::new(event) })
    }

    /// Fails when `after` bytes of `inner` have been read.
    pub fn broken(inner: Arc<dyn TarStream>, after: u64) -> Arc<Self> {
        Self::new(inner, after, || Err(Error::new(ErrorKind::Other, "the medium broke, on purpose")))
    }
}

impl TarStream for HalfwayTar {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        let before = self.inner.open()?.take(self.after);
        Ok(Box::new(HalfwayReader { tar: self, half: before, happened: false }))
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

impl fmt::Debug for HalfwayTar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HalfwayTar").field("inner", &self.inner).field("after", &self.after).finish_non_exhaustive()
    }
}

struct HalfwayReader<'a> {
    tar: &'a HalfwayTar,
    half: io::Take<Box<dyn Read + Send + 'a>>,
    happened: bool,
}

impl Read for HalfwayReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.happened && self.half.limit() == 0 {
            (self.tar.event)()?;
            self.happened = true;
            self.half.set_limit(u64::MAX);
        }
        self.half.read(buffer)
    }
}

/// How a [`FaultyProvider`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A byte in the middle of the blob is changed.
    Flipped,
    /// The second half of the blob is missing.
    Cut,
    /// The blob has extra bytes at its end.
    Longer,
    /// The blob is missing.
    Missing,
}

/// A provider of which one blob is not what it should be.
#[derive(Debug)]
pub struct FaultyProvider {
    inner: Arc<dyn Provider>,
    digest: Digest,
    fault: Fault,
}

impl FaultyProvider {
    /// Gives what `inner` gives, but the blob `digest` with a fault.
    pub fn new(inner: Arc<dyn Provider>, digest: Digest, fault: Fault) -> Arc<Self> {
        Arc::new(Self { inner, digest, fault })
    }
}

impl Provider for FaultyProvider {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        if *digest != self.digest {
            return self.inner.open(digest, from);
        }
        let mut bytes = Vec::new();
        self.inner.open(digest, 0)?.read_to_end(&mut bytes)?;
        let middle = bytes.len() / 2;
        match self.fault {
            Fault::Flipped => bytes[middle] ^= 0x20,
            Fault::Cut => bytes.truncate(middle),
            Fault::Longer => bytes.extend([0; 512]),
            Fault::Missing => {
                return Err(Error::new(ErrorKind::NotFound, format!("blob {digest} is gone, on purpose")));
            }
        }
        let mut reader = io::Cursor::new(bytes);
        reader.set_position(from);
        Ok(Box::new(reader))
    }
}

/// An exporter that fails, after the outputs beside it had time to finish: `type=failing`.
#[derive(Debug, Default, Clone, Copy)]
pub struct FailingExporter;

/// The exporter's name in `type=…`.
const KIND: &str = "failing";

/// What the error of a [`FailingExporter`] says.
pub const ON_PURPOSE: &str = "failed on purpose";

#[derive(Debug, Default)]
struct FailingOptions {
    at: Option<Step>,
    delay: Option<i32>,
}

impl Options for FailingOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("at", "The step that fails", "export", &mut self.at)?;
        visitor.option("delay", "Milliseconds before it fails", "0", &mut self.delay)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Export,
    Publish,
}

impl Value for Step {
    fn syntax() -> Cow<'static, str> {
        "export|publish".into()
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "export" => Ok(Self::Export),
            "publish" => Ok(Self::Publish),
            _ => Err(Error::option(format!("expected {}, not `{}`", Self::syntax(), text.escape_debug()))),
        }
    }
}

impl Exporter for FailingExporter {
    fn info(&self) -> ExporterInfo {
        let summary = "Nothing: it fails, so that tests see what the other outputs do then";
        let options = describe(&mut FailingOptions::default());
        ExporterInfo::new(KIND, summary, options)
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        let mut options = FailingOptions::default();
        parse(KIND, attrs, &mut options)?;
        let delay = Duration::from_millis(options.delay.map_or(0, i32::unsigned_abs).into());
        Ok(Box::new(Failing { at: options.at.unwrap_or(Step::Export), delay }))
    }
}

struct Failing {
    at: Step,
    delay: Duration,
}

impl ExporterInstance for Failing {
    fn destination(&self) -> Destination {
        Destination::None
    }

    fn needs(&self, _: &BuildResult, _: Run) -> Result<Needs> {
        Ok(Needs::default())
    }

    fn plan(&self, _: &BuildResult, _: Run) -> Result<Vec<String>> {
        Ok(vec!["nothing".to_owned()])
    }

    fn export<'a>(&'a self, _: &'a BuildResult, _: Output, _: &'a ExportContext<'a>) -> Result<Box<dyn Staged + 'a>> {
        std::thread::sleep(self.delay);
        if self.at == Step::Export { Err(on_purpose()) } else { Ok(Box::new(FailsToPublish)) }
    }
}

struct FailsToPublish;

impl Staged for FailsToPublish {
    /// Returns the first turn, so that it fails before files are published.
    fn turn(&self) -> Turn {
        Turn::Stream
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        Err(on_purpose())
    }
}

fn on_purpose() -> Error {
    Error::new(ErrorKind::Other, ON_PURPOSE)
}
