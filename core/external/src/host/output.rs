//! What a plugin made, to its place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use longshore_core::content::{directory_of, existing_ancestor, sync_directory};
use longshore_core::{Context, Destination, Error, ErrorKind, Filled, Output, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::protocol::{DestinationKind, OutputPlace};

/// Where the output of a plugin goes.
#[derive(Debug)]
pub(super) enum Place {
    None,
    File(longshore_core::FileSink),
    Directory(PathBuf),
}

/// An output that is complete.
#[derive(Debug)]
pub(super) enum Complete<'a> {
    None,
    File(Filled<'a>),
    Directory { made: PathBuf, to: PathBuf },
}

impl From<DestinationKind> for Destination {
    fn from(kind: DestinationKind) -> Self {
        match kind {
            DestinationKind::None => Self::None,
            DestinationKind::File => Self::File,
            DestinationKind::NamedFile => Self::NamedFile,
            DestinationKind::Directory => Self::Directory,
        }
    }
}

impl Place {
    pub(super) fn new(output: Output, kind: &str) -> Result<Self> {
        match output {
            Output::None => Ok(Self::None),
            Output::File(sink) => Ok(Self::File(sink)),
            Output::Directory(path) => Ok(Self::Directory(path)),
            other => Err(other.unexpected(kind)),
        }
    }

    /// Returns a directory for the plugin's files: on the same file system as the destination, where there is one.
    pub(super) fn scratch(&self) -> PathBuf {
        match self {
            Self::None => std::env::temp_dir(),
            Self::File(sink) => sink.scratch().unwrap_or_else(std::env::temp_dir),
            Self::Directory(path) => existing_ancestor(directory_of(path)),
        }
    }

    /// Returns what the plugin is told, where `path` is that of its output.
    pub(super) fn message(&self, path: PathBuf) -> OutputPlace {
        match self {
            Self::None => OutputPlace::None,
            Self::File(_) => OutputPlace::File(path),
            Self::Directory(_) => OutputPlace::Directory(path),
        }
    }

    /// Takes what the plugin `name` made at `path`.
    ///
    /// # Errors
    /// Nothing, or something else.
    pub(super) fn take<'a>(self, path: &Path, name: &str) -> Result<Complete<'a>> {
        let found = fs::symlink_metadata(path);
        let is = |what: &str| Error::new(ErrorKind::Other, format!("{name} made {what} as its output"));
        match (self, found) {
            (Self::None, _) => Ok(Complete::None),
            (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(is("nothing")),
            (_, Err(error)) => Err(error.into()),
            (Self::File(sink), Ok(found)) if found.is_file() => {
                // A copy, which the plugin cannot change any more.
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut file = File::from(openat(CWD, path, flags, Mode::empty())?);
                Ok(Complete::File(sink.fill(move |out| io::copy(&mut file, out).map(drop).map_err(Into::into))?))
            }
            (Self::Directory(to), Ok(found)) if found.is_dir() => Ok(Complete::Directory { made: path.to_owned(), to }),
            (Self::File(_), Ok(_)) => Err(is("something else than a file")),
            (Self::Directory(_), Ok(_)) => Err(is("something else than a directory")),
        }
    }
}

impl Complete<'_> {
    /// Makes it visible; returns where.
    pub(super) fn publish(self) -> Result<Option<PathBuf>> {
        match self {
            Self::None => Ok(None),
            Self::File(filled) => filled.publish(),
            Self::Directory { made, to } => {
                let publish = || -> Result<()> {
                    rustix::fs::syncfs(File::open(&made)?)?;
                    // Over a directory only if that is empty.
                    fs::rename(&made, &to)?;
                    Ok(sync_directory(directory_of(&to))?)
                };
                publish().attempt(|| format!("cannot create {}", to.display()))?;
                Ok(Some(to))
            }
        }
    }
}

/// Fails for a directory that has files.
pub(super) fn check_directory(path: &Path) -> Result<()> {
    let mut names = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.attempt(|| format!("cannot read {}", path.display()))?,
    };
    match names.next() {
        None => Ok(()),
        Some(_) => {
            Err(Error::option(format!("{} is not empty", path.display())).with_hint("name a new or empty directory"))
        }
    }
}
