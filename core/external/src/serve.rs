//! The side of a plugin: any exporter as an executable.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use longshore_core::layout::LayoutSource;
use longshore_core::options::{Attrs, OptionInfo};
use longshore_core::{
    BuildResult, Cancel, Dest, Destination, Error, ErrorKind, Event, Exporter, ExporterRegistry, Image, ImageContent,
    OutputSpec, Progress, ProgressSink, Response, Result, Session, Store, Work,
};

use crate::protocol::{
    Described, DestinationKind, Export, Exported, ExporterDescription, ImageMessage, Input, InputKind, OutputPlace,
    Published, Reply, Request, Resolved, VERSION, Version,
};

/// Serves `exporter` on standard input and output, as a program expects of a plugin. It is the whole `main` of an
/// executable `longshore-exporter-TYPE`.
///
/// The exporter is given the images as they exist: layers are made by the program, with the options that both know.
pub fn serve(exporter: impl Exporter + 'static) -> ExitCode {
    let kind = exporter.info().kind.into_owned();
    let cancel = Cancel::default();
    let work = Work::default().with_cancel(cancel.clone()).with_progress(Progress::new(Arc::new(Lines)));
    let server = Server { kind, exporters: ExporterRegistry::default().with(exporter), requests: read(cancel), work };
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The program may have closed the pipe.
            let _ = say(&Reply::Failed((&error).into()));
            ExitCode::FAILURE
        }
    }
}

/// Writes progress as messages.
struct Lines;

impl ProgressSink for Lines {
    fn send(&self, event: Event) {
        let _ = say(&Reply::Progress(event));
    }
}

/// Reads requests on a thread of its own, so that `cancel` is heard at any time. The end of standard input is one.
fn read(cancel: Cancel) -> Receiver<Result<Request>> {
    let (sender, requests) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let request = line.map_err(Error::from).and_then(|line| {
                serde_json::from_str(&line).map_err(|error| Error::input("a request cannot be read").with_source(error))
            });
            if matches!(request, Ok(Request::Cancel {} | Request::Discard {})) {
                cancel.cancel();
            }
            if sender.send(request).is_err() {
                return;
            }
        }
        cancel.cancel();
    });
    requests
}

fn say(reply: &Reply) -> Result<()> {
    let mut line =
        serde_json::to_vec(reply).map_err(|error| Error::input("a reply cannot be written").with_source(error))?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    Ok(out.write_all(&line).and_then(|()| out.flush())?)
}

struct Server {
    kind: String,
    exporters: ExporterRegistry,
    requests: Receiver<Result<Request>>,
    work: Work,
}

impl Server {
    fn run(&self) -> Result<()> {
        while let Ok(request) = self.requests.recv() {
            match request? {
                Request::Hello(offered) if offered.versions.contains(&VERSION) => {
                    say(&Reply::Hello(Version { version: VERSION }))?;
                }
                Request::Hello(_) => {
                    return Err(Error::new(ErrorKind::Unsupported, format!("the exporter speaks version {VERSION}")));
                }
                Request::Describe {} => say(&Reply::Exporter(self.describe()?))?,
                Request::Resolve(resolve) => {
                    let instance = self.exporters.resolve(&self.kind, &Attrs::from_iter(resolve.options))?;
                    let destination = Some(destination_kind(instance.destination())?);
                    say(&Reply::Resolved(Resolved { destination }))?;
                }
                Request::Export(export) => return self.export(export),
                Request::Cancel {} => return Err(Error::cancelled()),
                Request::Publish {} | Request::Discard {} | Request::Build(_) => {
                    return Err(Error::input("the request is not one that comes first"));
                }
            }
        }
        Ok(())
    }

    fn describe(&self) -> Result<ExporterDescription> {
        let exporter = self.exporters.get(&self.kind)?;
        let info = exporter.info();
        let images = exporter.resolve(&Attrs::default()).is_ok_and(|instance| instance.holds_images());
        Ok(ExporterDescription {
            summary: info.summary.into_owned(),
            options: info.options.iter().map(|option: &OptionInfo| Described::from(option)).collect(),
            input_options: false,
            input: InputKind::Layout,
            destination: destination_kind(info.destination)?,
            images,
            credentials: false,
        })
    }

    fn export(&self, export: Export) -> Result<()> {
        let Input::Layout(layout) = &export.input else {
            return Err(Error::input("the exporter was not given a layout"));
        };
        let result = result(layout, &export)?;
        let dest = match &export.output {
            OutputPlace::None => None,
            OutputPlace::File(path) | OutputPlace::Directory(path) => Some(Dest::Path(path.clone())),
        };
        let is_own = dest.is_none();
        let spec = OutputSpec::new(&*self.kind).with_dest(dest).with_attrs(Attrs::from_iter(export.options));
        let session = Session::new(&self.exporters).with_work(self.work.clone());
        let resolved = session.resolve(&[spec])?;
        let responses =
            resolved.export_when(&result, Store::Spool, || if is_own { self.may_publish() } else { Ok(()) });
        let response = match responses.map_err(|failure| failure.inner) {
            Ok(mut responses) => responses.pop(),
            // The answer to `discard`, which came instead of `publish`.
            Err(error) if error.kind() == ErrorKind::Cancelled && is_own => return say(&Reply::Discarded {}),
            Err(error) => return Err(error),
        };
        match (is_own, response) {
            (true, response) => {
                say(&Reply::Published(Published { destination: response.and_then(|response| response.destination) }))
            }
            (false, response) => say(&Reply::Exported(Exported { images: response.map(images_of) })),
        }
    }

    /// Says that everything is ready, and waits for the word to publish.
    fn may_publish(&self) -> Result<()> {
        say(&Reply::Exported(Exported { images: None }))?;
        match self.requests.recv() {
            Ok(Ok(Request::Publish {})) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Err(Error::cancelled()),
        }
    }
}

fn images_of(response: Response) -> Vec<ImageMessage> {
    response.images.iter().map(ImageMessage::from).collect()
}

fn result(layout: &Path, export: &Export) -> Result<BuildResult> {
    let there = LayoutSource::directory(layout)?.images(None, &Progress::silent())?;
    let image = |asked: &ImageMessage| -> Result<Image> {
        let is_it = |image: &&Image| match &image.content {
            ImageContent::Existing(existing) => existing.root.digest == asked.root.digest,
            ImageContent::Built(_) => false,
        };
        let missing = || Error::input(format!("the image {} is not in the layout", asked.root.digest));
        let found = there.iter().find(is_it).ok_or_else(missing)?.clone();
        let names = asked.names.iter().map(|name| name.parse()).collect::<Result<Vec<_>>>()?;
        Ok(found.with_names(names).with_tags(Vec::new()))
    };
    let images = export.images.iter().map(image).collect::<Result<_>>()?;
    let epoch = export.source_date_epoch.map(|seconds| seconds.to_string().parse()).transpose()?;
    Ok(BuildResult::new(images).with_epoch(epoch))
}

fn destination_kind(destination: Destination) -> Result<DestinationKind> {
    match destination {
        Destination::None => Ok(DestinationKind::None),
        Destination::File => Ok(DestinationKind::File),
        Destination::NamedFile => Ok(DestinationKind::NamedFile),
        Destination::Directory => Ok(DestinationKind::Directory),
        other => {
            let message = format!("an exporter that is a program of its own cannot write into {other}");
            Err(Error::new(ErrorKind::Unsupported, message).with_hint("write a file or a directory"))
        }
    }
}
