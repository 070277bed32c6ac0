//! Destinations, opened by the host in the same way for all exporters.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::{ImageStore, MadeDirectories, Progress, ScratchFile, Work, directory_of, existing_ancestor};
use longshore_oci::{Algorithm, Context, Error, ErrorKind, Result};

use crate::bundle::Bundle;
use crate::context::Turn;

/// The kind of destination of an output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Destination {
    /// Not opened by the host, such as a registry.
    #[default]
    None,
    /// The names of the image store.
    #[strum(serialize = "image store")]
    ImageStore,
    /// A file or a stream; standard output by default.
    File,
    /// A file or a stream that must be given explicitly, as standard output would be surprising.
    NamedFile,
    /// A file or a stream if one is given; without one the exporter reaches its destination itself, such as a daemon.
    OptionalFile,
    /// A directory shared by several runs and tools.
    Layout,
    /// A directory of files.
    Directory,
}

/// The destination opened by the host for an export.
#[derive(Debug)]
pub enum Output {
    /// Nothing.
    None,
    /// The image store, whose content is the store of the run.
    ImageStore(Arc<dyn ImageStore>),
    /// A file or a stream.
    File(FileSink),
    /// The path of a layout, which may not exist yet.
    Layout(PathBuf),
    /// The path of a directory, which may not exist yet.
    Directory(PathBuf),
}

impl Output {
    /// Returns the error of an exporter of type `kind` that was given a different output than requested, which
    /// is a bug in the host.
    pub fn unexpected(&self, kind: &str) -> Error {
        let what = match self {
            Self::None => "none",
            Self::ImageStore(_) => "the image store",
            Self::File(_) => "a file",
            Self::Layout(_) => "a layout",
            Self::Directory(_) => "a directory",
        };
        Error::new(ErrorKind::Other, format!("type={kind} was given a destination that it did not ask for: {what}"))
    }
}

/// A file that is replaced atomically, or a stream.
#[derive(Debug)]
pub struct FileSink(Target);

#[derive(Debug)]
enum Target {
    /// Written under a temporary name beside it.
    Regular(PathBuf),
    Stdout,
    /// A pipe or a device, opened when the output is published.
    Special(PathBuf),
}

/// Bytes for a destination, which [`Filled::publish`] makes visible. Dropping it discards them.
#[must_use = "nothing is visible until it is published"]
pub struct Filled<'a>(State<'a>);

enum State<'a> {
    Written { file: ScratchFile, destination: PathBuf, parents: MadeDirectories },
    Waiting { target: Target, fill: Fill<'a> },
}

type Fill<'a> = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + Send + 'a>;

impl FileSink {
    /// Standard output.
    pub fn stdout() -> Self {
        Self(Target::Stdout)
    }

    /// Returns the file at `path`, which need not exist; a pipe or a device is written directly. A symbolic
    /// link is followed: its target is replaced, not the link.
    ///
    /// # Errors
    /// I/O errors.
    pub fn path(path: &Path) -> Result<Self> {
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Self(Target::Regular(follow(path)))),
            Ok(_) => Ok(Self(Target::Special(path.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(Target::Regular(follow(path)))),
            Err(error) => Err(error).attempt(|| format!("cannot access {}", path.display())),
        }
    }

    /// Returns an existing directory on the same file system as a regular file, for temporary files.
    pub fn scratch(&self) -> Option<PathBuf> {
        match &self.0 {
            Target::Regular(path) => Some(existing_ancestor(directory_of(path))),
            Target::Stdout | Target::Special(_) => None,
        }
    }

    /// Warns if the name of the file says a compression that its content does not have, as `app.tgz` for one that is
    /// uncompressed; `advice` is what to do, given that compression.
    pub fn check_name(&self, algorithm: Algorithm, advice: impl FnOnce(Algorithm) -> String, progress: &Progress) {
        let (Target::Regular(path) | Target::Special(path)) = &self.0 else { return };
        let said = path.file_name().and_then(OsStr::to_str).and_then(Algorithm::of_file_name);
        if let Some(said) = said.filter(|said| *said != Algorithm::Uncompressed && *said != algorithm) {
            let path = path.display();
            progress.warn(format!("{path} is not compressed with {said}, as its name says: {}", advice(said)));
        }
    }

    /// Writes the whole content: immediately, to a temporary file beside a regular destination; on publication,
    /// to a stream.
    ///
    /// # Errors
    /// Errors of `fill`, and I/O errors; then nothing remains.
    pub fn fill<'a>(self, fill: impl FnOnce(&mut dyn Write) -> Result<()> + Send + 'a) -> Result<Filled<'a>> {
        match self.0 {
            Target::Regular(destination) => fill_file(destination, |file| write(file, fill)),
            target => Ok(Filled(State::Waiting { target, fill: Box::new(fill) })),
        }
    }

    /// As [`fill`](Self::fill), with the bytes of `bundle`.
    ///
    /// # Errors
    /// A blob that is different from its descriptor, and I/O errors; then nothing remains.
    pub fn fill_with<'a>(self, bundle: Bundle<'a>, work: &'a Work) -> Result<Filled<'a>> {
        let advice = |_| "the layers in it are compressed, an archive of images is not".to_owned();
        self.check_name(Algorithm::Uncompressed, advice, &work.progress);
        match self.0 {
            Target::Regular(destination) => fill_file(destination, |file| bundle.write_to_file(file, work)),
            target => Ok(Filled(State::Waiting { target, fill: Box::new(move |out| bundle.write(out, work)) })),
        }
    }
}

/// Writes a temporary file beside `destination`.
fn fill_file<'a>(destination: PathBuf, fill: impl FnOnce(&File) -> Result<()>) -> Result<Filled<'a>> {
    let parent = directory_of(&destination);
    let parents = MadeDirectories::make(parent)?;
    let mut file = ScratchFile::new_in(parent)?;
    fill(file.file()).attempt(|| format!("cannot write {}", destination.display()))?;
    Ok(Filled(State::Written { file, destination, parents }))
}

/// Returns the target of a path, which need not exist yet. Loops were ruled out before.
pub(crate) fn follow(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    while let Ok(target) = path.read_link() {
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

fn write(to: impl Write, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut buffered = BufWriter::with_capacity(128 << 10, to);
    fill(&mut buffered)?;
    buffered.flush()?;
    Ok(())
}

impl Filled<'_> {
    /// Returns when it is published.
    pub fn turn(&self) -> Turn {
        match self.0 {
            State::Written { .. } => Turn::Local,
            State::Waiting { .. } => Turn::Stream,
        }
    }

    /// Makes the content visible, and returns where; `None` for standard output.
    ///
    /// # Errors
    /// I/O errors, and for a stream those of writing the content.
    pub fn publish(self) -> Result<Option<PathBuf>> {
        let (target, fill) = match self.0 {
            State::Written { file, destination, parents } => {
                file.persist(&destination)?;
                drop(parents);
                return Ok(Some(destination));
            }
            State::Waiting { target, fill } => (target, fill),
        };
        match target {
            Target::Stdout => {
                write(io::stdout().lock(), fill).attempt(|| "cannot write to standard output".to_owned())?;
                Ok(None)
            }
            Target::Special(path) | Target::Regular(path) => {
                let open = || -> Result<File> { Ok(OpenOptions::new().write(true).open(&path)?) };
                let written = open().and_then(|file| write(file, fill));
                written.attempt(|| format!("cannot write {}", path.display()))?;
                Ok(Some(path))
            }
        }
    }
}

impl std::fmt::Debug for Filled<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filled").field("turn", &self.turn()).finish_non_exhaustive()
    }
}
