#![doc = include_str!("../README.md")]

mod blobs;

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use longshore_core::oci::ImageName;
use longshore_core::options::{Options, Visitor, nearest, parse_of_source};
use longshore_core::{
    Context, Error, ErrorKind, Frontend, FrontendContext, FrontendInstance, Image, Result, SchemeInfo,
    ScratchDirectory, Source, Task, Work,
};
use longshore_docker_engine::{Endpoint, Engine, Inspected};

const SCHEME: &str = "docker-daemon";

/// The frontend of `docker-daemon:NAME`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerDaemonFrontend;

#[derive(Debug, Clone, Default)]
struct DaemonOptions {
    context: Option<String>,
    containerd: Option<String>,
}

impl Options for DaemonOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        let help = "Read from the Docker Engine of this context of docker";
        visitor.option("context", help, "the one that docker uses", &mut self.context)?;
        let help = "Read blobs from the containerd at this socket, where the engine keeps its images";
        visitor.option("containerd", help, "that of the engine, if it can be reached", &mut self.containerd)
    }
}

impl Frontend for DockerDaemonFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let summary = "an image in a running Docker Engine or Podman service";
        vec![SchemeInfo::new(SCHEME, "docker-daemon:NAME|ID", summary, &mut DaemonOptions::default()).with_selection()]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let options: DaemonOptions = parse_of_source(SCHEME, &source.attrs)?;
        if source.value.is_empty() {
            return Err(Error::option("`docker-daemon:` without a name").with_hint("`docker images` lists the names"));
        }
        Ok(Box::new(Daemon { name: source.value.clone(), options }))
    }
}

#[derive(Debug)]
struct Daemon {
    name: String,
    options: DaemonOptions,
}

impl FrontendInstance for Daemon {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let engine = Engine::new(Endpoint::find(self.options.context.as_deref())?, &cx.work().cancel);
        let shown = self.name.escape_debug();
        self.read(&engine, cx).attempt(|| format!("cannot read {SCHEME}:{shown} from {}", engine.endpoint()))
    }
}

impl Daemon {
    fn read(&self, engine: &Engine, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let found = engine.inspect(&self.name)?;
        let found = found.map_or_else(|| Err(self.missing(engine)), Ok)?;
        let reference = self.reference(&found);
        if let Some(images) = blobs::in_containerd(self.options.containerd.as_deref(), engine, &found, &reference)? {
            return Ok(images);
        }
        let scratch = ScratchDirectory::new_in(&std::env::temp_dir())?;
        let path = scratch.path().join("archive");
        spool(engine, &reference, &path, cx.work())?;
        let path = path.to_str().ok_or_else(|| Error::input(format!("{} is not UTF-8", path.display())))?;
        // The archive stays open when its name is removed.
        cx.open(&Source::new("docker-archive", path))
    }

    /// Returns what the archive is asked for: the name, which it then has, or the ID.
    fn reference(&self, found: &Inspected) -> String {
        let same = |tag: &String| {
            let names = (tag.parse::<ImageName>(), self.name.parse::<ImageName>());
            matches!(names, (Ok(tag), Ok(name)) if name.digest().is_none() && tag == name)
        };
        found.tags.iter().find(|tag| same(tag)).cloned().unwrap_or_else(|| found.id.to_string())
    }

    fn missing(&self, engine: &Engine) -> Error {
        let error = Error::new(ErrorKind::NotFound, "the engine has no such image");
        let listed = engine.keeps().and_then(|keeps| engine.images(keeps)).unwrap_or_default();
        let tags: Vec<&str> = listed.iter().flat_map(|image| &image.tags).map(String::as_str).collect();
        match nearest(&self.name, tags.iter().copied()) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint("`docker images` lists those that it has"),
        }
    }
}

/// Copies an archive of an image into a file, which others may not read.
fn spool(engine: &Engine, reference: &str, path: &Path, work: &Work) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let task = work.progress.task(format!("read {reference} from {}", engine.endpoint()), None);
    let mut arriving = Arriving { inner: engine.save(reference)?, task: &task };
    io::copy(&mut arriving, &mut file).attempt(|| format!("cannot copy it to {}", path.display()))?;
    task.done("");
    Ok(())
}

/// Reports what arrives.
struct Arriving<'a, R> {
    inner: R,
    task: &'a Task,
}

impl<R: Read> Read for Arriving<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.task.advance(count as u64);
        Ok(count)
    }
}
