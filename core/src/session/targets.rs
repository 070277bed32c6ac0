//! Requested destinations, checked before the build.

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::{ImageStore, check_parent, directory_of, existing_ancestor};
use longshore_oci::{Context, Error, ErrorKind, Result};
use rustix::fs::{Access, FileType, OFlags, access, fcntl_getfl, fstat, makedev};

use crate::layout::LayoutDirectory;
use crate::output::Dest;
use crate::sink::{Destination, FileSink, Output, follow};

/// Where an output goes.
#[derive(Debug, Clone)]
pub(super) enum Target {
    None,
    ImageStore,
    Stdout,
    File(PathBuf),
    Layout(PathBuf),
    Directory(PathBuf),
}

impl Target {
    /// Checks that `dest` is what an exporter of type `kind` needs, and can be written.
    pub(super) fn check(kind: &str, destination: Destination, dest: Option<&Dest>) -> Result<Self> {
        use Destination::{File, NamedFile, OptionalFile};
        let refuse = |reason: String| refuse(kind, &reason);
        let directory = |dest: Option<&Dest>| match dest {
            Some(Dest::Path(path)) => check_directory(path).map(|()| path.clone()),
            Some(Dest::Stdout) => Err(refuse("a directory cannot be standard output".to_owned())),
            None => Err(refuse("it needs a directory".to_owned()).with_hint("add dest=DIRECTORY")),
        };
        match (destination, dest) {
            (Destination::None | Destination::OptionalFile, None) => Ok(Self::None),
            (Destination::ImageStore, None) => Ok(Self::ImageStore),
            (Destination::None | Destination::ImageStore, Some(_)) => {
                Err(refuse("it has no destination: leave out `dest`".to_owned()))
            }
            (Destination::NamedFile, None) => {
                Err(refuse("it needs a destination".to_owned())
                    .with_hint("add dest=FILE, or dest=- for standard output"))
            }
            (File | NamedFile | OptionalFile, None | Some(Dest::Stdout)) if !is_stdout_open() => {
                check_stdout().attempt(|| format!("cannot write type={kind}")).map(|()| Self::Stdout)
            }
            (File | NamedFile | OptionalFile, None | Some(Dest::Stdout)) if io::stdout().is_terminal() => {
                Err(refuse("an archive is not written to a terminal".to_owned()).with_hint("add dest=FILE"))
            }
            (File | NamedFile | OptionalFile, None | Some(Dest::Stdout)) => Ok(Self::Stdout),
            (File | NamedFile | OptionalFile, Some(Dest::Path(path))) => {
                check_file(path).map(|()| Self::File(path.clone()))
            }
            (Destination::Layout, dest) => {
                let path = directory(dest)?;
                check_layout(&path)?;
                Ok(Self::Layout(path))
            }
            (Destination::Directory, dest) => directory(dest).map(Self::Directory),
        }
    }

    /// Hands the destination to an exporter of type `kind`.
    pub(super) fn open(&self, kind: &str, images: Option<&Arc<dyn ImageStore>>) -> Result<Output> {
        Ok(match self {
            Self::None => Output::None,
            Self::ImageStore => Output::ImageStore(images.ok_or_else(|| no_image_store(kind))?.clone()),
            Self::Stdout => Output::File(FileSink::stdout()),
            Self::File(path) => Output::File(FileSink::path(path)?),
            Self::Layout(path) => Output::Layout(path.clone()),
            Self::Directory(path) => Output::Directory(path.clone()),
        })
    }

    /// Returns its path as it was written.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::None | Self::ImageStore | Self::Stdout => None,
            Self::File(path) | Self::Layout(path) | Self::Directory(path) => Some(path),
        }
    }

    /// Returns its canonical path, however it was written.
    fn place(&self) -> Option<PathBuf> {
        let path = self.path()?;
        let existing = existing_ancestor(path);
        let rest = path.strip_prefix(&existing).unwrap_or(path);
        let place = existing.canonicalize().ok()?;
        // Joining an empty path would add a slash.
        Some(if rest.as_os_str().is_empty() { place } else { place.join(rest) })
    }

    /// Returns the directory for temporary files of the destination, if it needs any.
    pub(super) fn scratch(&self) -> Option<PathBuf> {
        let place = self.place()?;
        match self {
            // A pipe or a device is written directly.
            Self::File(path) if path.metadata().is_ok_and(|found| !found.is_file()) => None,
            Self::File(_) => Some(directory_of(&place).to_owned()),
            _ if place.is_dir() => Some(place),
            _ => Some(directory_of(&place).to_owned()),
        }
    }

    /// Returns an existing directory on the same file system as the destination, if any.
    pub(super) fn neighbour(&self) -> Option<PathBuf> {
        match self {
            Self::None | Self::ImageStore | Self::Stdout => None,
            Self::File(path) => {
                path.metadata().map_or(true, |found| found.is_file()).then(|| existing_ancestor(directory_of(path)))
            }
            Self::Layout(path) | Self::Directory(path) => Some(existing_ancestor(path)),
        }
    }
}

fn refuse(kind: &str, reason: &str) -> Error {
    Error::option(format!("type={kind}: {reason}"))
}

/// Returns the error for an output of type `kind` to the image store, in a run without one.
pub(super) fn no_image_store(kind: &str) -> Error {
    refuse(kind, "there is no image store in this run")
        .with_hint("use an image store, or choose a type with a file, such as type=oci,dest=FILE")
}

/// Returns the error for an output of type `kind` to a read-only image store.
pub(super) fn read_only_image_store(kind: &str) -> Error {
    Error::new(ErrorKind::Denied, format!("type={kind}: the image store cannot be written to"))
        .with_hint("choose another store, or a type with a file, such as type=oci,dest=FILE")
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::ImageStore => f.write_str("the image store"),
            Self::Stdout => f.write_str("-"),
            Self::File(path) | Self::Layout(path) | Self::Directory(path) => path.display().fmt(f),
        }
    }
}

/// Refuses two outputs that would overwrite each other.
pub(super) fn check_together<'a>(targets: impl Iterator<Item = &'a Target>) -> Result<()> {
    let targets: Vec<&Target> = targets.collect();
    for (at, target) in targets.iter().enumerate() {
        if let Some(message) = targets[..at].iter().find_map(|before| conflict(before, target)) {
            return Err(Error::option(message).with_hint("give each its own dest"));
        }
    }
    Ok(())
}

/// Refuses a destination whose parent directories are missing, unless another output creates them.
pub(super) fn check_parents<'a>(targets: impl Iterator<Item = &'a Target> + Clone) -> Result<()> {
    let is_made = |path: &Path| {
        let is_parent = |target: &Target| match target {
            Target::Layout(made) | Target::Directory(made) => made == directory_of(path),
            _ => false,
        };
        targets.clone().any(is_parent)
    };
    let check = |path: &Path| check_parent(path).attempt(|| format!("cannot write {}", path.display()));
    for target in targets.clone() {
        match target {
            Target::File(path) if path.is_symlink() && !path.exists() => check(&follow(path))?,
            Target::File(path) | Target::Layout(path) | Target::Directory(path) if !is_made(path) => check(path)?,
            _ => {}
        }
    }
    Ok(())
}

/// Returns why two outputs cannot be combined, if so: only layouts can be shared.
fn conflict(before: &Target, target: &Target) -> Option<String> {
    match (before, target) {
        (Target::Stdout, Target::Stdout) => return Some("two outputs write to standard output".to_owned()),
        (Target::Layout(_), Target::Layout(_)) => return None,
        _ => {}
    }
    let (one, other) = (before.place()?, target.place()?);
    // Nothing is below a file, and what is below a directory of files may be replaced or removed by them.
    let holds = |target: &Target| matches!(target, Target::File(_) | Target::Directory(_));
    let within = (holds(before) && other.starts_with(&one)) || (holds(target) && one.starts_with(&other));
    (one == other || within).then(|| format!("two outputs write to {target}"))
}

fn check_file(path: &Path) -> Result<()> {
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::option(format!("destination {} is a directory", path.display())));
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => Err(Error::option(format!("destination {} is a directory", path.display()))),
        // Anything but a regular file is written in place.
        Ok(found) if !found.is_file() => check_writable(path, path),
        _ => check_writable(&existing_ancestor(directory_of(path)), path),
    }
}

fn check_directory(path: &Path) -> Result<()> {
    match path.metadata() {
        Ok(found) if !found.is_dir() => Err(Error::option(format!("destination {} is a file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            Err(Error::option(format!("destination {} is a link to nothing", path.display())))
        }
        _ => check_writable(&existing_ancestor(path), path),
    }
}

fn check_layout(path: &Path) -> Result<()> {
    check_directory(path)?;
    LayoutDirectory::new(path).check().attempt(|| format!("cannot write to the layout {}", path.display()))
}

fn check_writable(existing: &Path, destination: &Path) -> Result<()> {
    let found = existing.metadata().attempt(|| format!("cannot write {}", destination.display()))?;
    if !found.is_dir() && existing != destination {
        let message = format!("cannot write {}: {} is not a directory", destination.display(), existing.display());
        return Err(Error::option(message));
    }
    access(existing, Access::WRITE_OK).map_err(|error| {
        let error = Error::from(error);
        let kind = error.kind();
        let message = format!("cannot write {}: {} is not writable", destination.display(), existing.display());
        Error::new(if kind == ErrorKind::Other { ErrorKind::Denied } else { kind }, message).with_source(error)
    })
}

/// Fails if what is written to standard output is lost: it was closed when this process began.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable), if so.
pub fn check_stdout() -> Result<()> {
    if is_stdout_open() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Unavailable, "standard output is closed, or /dev/null");
    Err(error.with_hint("redirect standard output to a file or a pipe, or name a file"))
}

/// Returns whether standard output was open for writing when this process began. If it was closed, the runtime opens
/// `/dev/null` for reading and writing; a shell opens it for writing only.
fn is_stdout_open() -> bool {
    let stdout = io::stdout();
    let (Ok(flags), Ok(stat)) = (fcntl_getfl(&stdout), fstat(&stdout)) else { return false };
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    let is_null = is_device && stat.st_rdev == makedev(1, 3);
    match flags & OFlags::RWMODE {
        OFlags::RDONLY => false,
        OFlags::RDWR => !is_null,
        _ => true,
    }
}
