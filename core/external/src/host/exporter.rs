//! An executable as an exporter.

use std::collections::HashMap;
use std::path::Path;

use longshore_core::options::{Attrs, OptionInfo, stem};
use longshore_core::{
    BuildResult, Context, Destination, Error, ErrorKind, Event, ExportContext, ExportedImage, Exporter, ExporterInfo,
    ExporterInstance, Needs, Outcome, Output, Progress, Response, Result, Run, ScratchDirectory, Staged, Task, Turn,
    Work,
};

use super::Plugin;
use super::declared::{Declared, belongs, is_word};
use super::input::Input;
use super::output::{Complete, Place, check_directory};
use super::process::Process;
use crate::convert::one_line;
use crate::protocol::{DestinationKind, Export, Exported, ExporterDescription, Reply, Request, Resolve};

/// An exporter that is a program of its own.
#[derive(Debug, Clone)]
pub struct ExternalExporter {
    kind: String,
    plugin: Plugin,
    description: ExporterDescription,
}

impl ExternalExporter {
    /// Asks `plugin` what it is, to offer it as `type=KIND`.
    ///
    /// # Errors
    /// As [`Plugin::describe_exporter`], and a description that is not right.
    pub fn new(kind: impl Into<String>, plugin: Plugin) -> Result<Self> {
        let description = plugin.describe_exporter()?;
        Self::described(kind, plugin, description)
    }

    /// As [`new`](Self::new), with a description that is known.
    ///
    /// # Errors
    /// A description that is not right.
    pub fn described(kind: impl Into<String>, plugin: Plugin, description: ExporterDescription) -> Result<Self> {
        check(&plugin, &description)?;
        Ok(Self { kind: kind.into(), plugin, description })
    }

    /// Returns the program.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Returns the options of the input that the program does not declare itself.
    fn input_options(&self) -> Vec<OptionInfo> {
        if !self.description.input_options {
            return Vec::new();
        }
        let is_declared =
            |option: &OptionInfo| self.description.options.iter().any(|own| belongs(&own.key, &option.key));
        let mut options = Input::options(self.description.input);
        options.retain(|option| !is_declared(option));
        options
    }
}

/// Fails for a description that help and messages cannot show.
fn check(plugin: &Plugin, description: &ExporterDescription) -> Result<()> {
    let wrong = |what: String| Err(Error::new(ErrorKind::Other, format!("{} describes itself {what}", plugin.name())));
    let is_line = |text: &str| !text.is_empty() && one_line(text) == text;
    if !is_line(&description.summary) {
        return wrong("without a summary of one line".to_owned());
    }
    for (at, option) in description.options.iter().enumerate() {
        let key = &option.key;
        if !is_word(stem(key)) || matches!(key.as_str(), "type" | "dest") {
            return wrong(format!("with an option `{}`, which is no key", one_line(key)));
        }
        if description.options[..at].iter().any(|other| other.key == *key) {
            return wrong(format!("with two options `{key}`"));
        }
        if !is_line(&option.help) || !is_line(&option.syntax) || one_line(&option.default) != option.default {
            return wrong(format!("with an option `{key}` whose texts are not of one line"));
        }
    }
    Ok(())
}

impl Exporter for ExternalExporter {
    fn info(&self) -> ExporterInfo {
        let mut options: Vec<OptionInfo> = self.description.options.iter().map(OptionInfo::from).collect();
        options.extend(self.input_options());
        ExporterInfo::new(self.kind.clone(), self.description.summary.clone(), options)
            .with_destination(self.description.destination.into())
            .of_program(self.plugin.path())
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        let declared = Declared::of_output(&self.kind, attrs, &self.description.options, &self.input_options())?;
        let input = Input::parse(self.description.input, &self.kind, attrs)?;
        let options = declared.set;
        let resolved = self.plugin.ask_once(&Request::Resolve(Resolve { options: options.clone() }), &Work::default());
        let destination = match resolved? {
            Reply::Resolved(resolved) => resolved.destination.unwrap_or(self.description.destination),
            _ => return Err(Error::new(ErrorKind::Other, format!("{} does not answer `resolve`", self.plugin.name()))),
        };
        Ok(Box::new(Instance { exporter: self.clone(), options, input, destination }))
    }
}

#[derive(Debug)]
struct Instance {
    exporter: ExternalExporter,
    /// Those that the plugin declared.
    options: indexmap::IndexMap<String, String>,
    input: Input,
    destination: DestinationKind,
}

impl Instance {
    fn may_have_credentials(&self) -> bool {
        self.exporter.description.credentials && self.exporter.plugin.may_have_credentials
    }

    /// Runs the plugin until the output is complete.
    fn run(
        &self,
        result: &BuildResult,
        scratch: &Path,
        place: &Place,
        cx: &ExportContext<'_>,
    ) -> Result<(Process, Vec<ExportedImage>)> {
        let (input, images) = self.input.write(result, scratch, cx)?;
        let request = Request::Export(Export {
            options: self.options.clone(),
            input,
            images: images.iter().map(Into::into).collect(),
            output: place.message(scratch.join("output")),
            source_date_epoch: result.epoch.map(|epoch| epoch.seconds()),
        });
        let mut process = Process::start(&self.exporter.plugin, self.may_have_credentials(), cx.work())?;
        let silence = process.limits().silence;
        let mut tasks = Tasks::new(&cx.work().progress);
        let answer = process.send(&request, silence);
        let answer = answer.and_then(|()| process.answer("export", silence, &mut |event| tasks.take(event)));
        drop(tasks);
        match answer {
            Ok(Reply::Exported(exported)) => {
                let images = self.reported(images, exported, &process)?;
                Ok((process, images))
            }
            Ok(other) => Err(process.unexpected(&other, "export")),
            Err(error) => {
                let request =
                    if error.kind() == ErrorKind::Cancelled { Request::Cancel {} } else { Request::Discard {} };
                process.stop(&request);
                Err(error)
            }
        }
    }

    /// Returns the images that the output holds, of those that the plugin was given.
    fn reported(&self, given: Vec<ExportedImage>, exported: Exported, process: &Process) -> Result<Vec<ExportedImage>> {
        if !self.exporter.description.images {
            return Ok(Vec::new());
        }
        let Some(said) = exported.images else { return Ok(given) };
        let known = |image: &ExportedImage| {
            let is =
                |given: &&ExportedImage| given.root.digest == image.root.digest && given.root.size == image.root.size;
            given.iter().any(|given| is(&given) && given.config == image.config)
        };
        let said: Vec<ExportedImage> = said.into_iter().map(Into::into).collect();
        match said.iter().find(|image| !known(image)) {
            None => Ok(said),
            Some(image) => {
                let digest = &image.root.digest;
                Err(Error::corrupt(format!("{} reports the image {digest}, which it was not given", process.name())))
            }
        }
    }
}

impl ExporterInstance for Instance {
    fn destination(&self) -> Destination {
        self.destination.into()
    }

    fn holds_images(&self) -> bool {
        self.exporter.description.images
    }

    fn check_destination(&self, path: &Path) -> Result<()> {
        if self.destination == DestinationKind::Directory { check_directory(path) } else { Ok(()) }
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        self.input.needs(result, run)
    }

    fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>> {
        let mut lines = self.input.plan(result, run)?;
        lines.push(format!("handed to {}", self.exporter.plugin.path().display()));
        Ok(lines)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        let place = Place::new(output, &self.exporter.kind)?;
        let scratch = ScratchDirectory::new_in(&place.scratch())?;
        let (process, images) = self.run(result, scratch.path(), &place, cx)?;
        let is_of_plugin = matches!(place, Place::None);
        let process = if is_of_plugin { Some(process) } else { process.end().map(|()| None)? };
        let complete = place.take(&scratch.path().join("output"), &self.exporter.plugin.name())?;
        let kind = self.exporter.kind.clone();
        Ok(Box::new(StagedPlugin { kind, process, complete: Some(complete), images, _scratch: scratch }))
    }
}

struct StagedPlugin<'a> {
    kind: String,
    /// The plugin, if only that can make its output visible.
    process: Option<Process>,
    complete: Option<Complete<'a>>,
    images: Vec<ExportedImage>,
    _scratch: ScratchDirectory,
}

impl Staged for StagedPlugin<'_> {
    fn turn(&self) -> Turn {
        match &self.complete {
            Some(Complete::File(filled)) => filled.turn(),
            Some(Complete::Directory { .. }) => Turn::Local,
            Some(Complete::None) | None => Turn::Remote,
        }
    }

    fn publish(mut self: Box<Self>) -> Result<Response> {
        let images = std::mem::take(&mut self.images);
        let destination = match self.process.take() {
            Some(mut process) => {
                let silence = process.limits().silence;
                match process.ask(&Request::Publish {}, silence)? {
                    Reply::Published(published) => {
                        process.end().attempt(|| "it was published".to_owned())?;
                        published.destination.map(|text| one_line(&text))
                    }
                    other => return Err(process.unexpected(&other, "publish")),
                }
            }
            None => self.complete.take().map_or(Ok(None), Complete::publish)?.map(|path| path.display().to_string()),
        };
        Ok(Response::new(&*self.kind, destination, images))
    }
}

impl Drop for StagedPlugin<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(&Request::Discard {});
        }
    }
}

/// The tasks of a plugin, by its own numbers.
struct Tasks<'a> {
    progress: &'a Progress,
    running: HashMap<u64, Task>,
}

/// Tasks of a plugin that are shown at once.
const TASKS: usize = 1000;

impl<'a> Tasks<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self { progress, running: HashMap::new() }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Started { task, name, total } if self.running.len() < TASKS => {
                self.running.insert(task, self.progress.task(one_line(&name), total));
            }
            Event::Advanced { task, bytes } => {
                if let Some(task) = self.running.get(&task) {
                    task.advance(bytes);
                }
            }
            Event::Finished { task, outcome } => match (self.running.remove(&task), outcome) {
                (Some(task), Outcome::Done(result)) => task.done(one_line(&result)),
                (Some(task), Outcome::Skipped(reason)) => task.skipped(one_line(&reason)),
                _ => {}
            },
            Event::Warning { message } => self.progress.warn(one_line(&message)),
            _ => {}
        }
    }
}
