//! A directory that files are put into: beside what is there, or in place of it.
//!
//! Everything is written under temporary names first. A directory that is missing then appears as a whole; an empty one
//! is filled so that the next run can empty it again; in one with files, each is replaced by a rename, so it is either
//! the old one or the new one, whatever happens to the process. What is deleted goes last.

mod filling;
mod mark;
mod publish;
mod record;
mod stage;

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use longshore_content::{MadeDirectories, ScratchDirectory, Work, directory_of, is_scratch, remove_leftovers};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::attributes::Writer;
use super::below::{names, open_root};
use super::stage::{Content, apply, stage_all};
use crate::archive::Entry;
use crate::layer::BlobSource;
use crate::tree::merged::MergedTree;
use filling::take_out_leftovers;
use mark::{listing, marked};

/// A visitor of entries: each with its content, which is empty for all but regular files.
pub type FileEntries<'v> = dyn FnMut(&Entry, &mut dyn Read) -> Result<()> + 'v;

/// A directory of files.
#[derive(Debug, Clone)]
pub struct FilesDirectory {
    root: PathBuf,
    /// Whether the directory is the root of a tree, with its attributes and nothing else in it.
    is_root_of_tree: bool,
    /// Whether what is not among the new files is removed.
    deletes: bool,
    /// Whether that may remove what no export put there.
    may_delete_all: bool,
}

/// Files that are complete, under temporary names. Dropping it discards them.
#[derive(Debug)]
pub struct StagedFiles {
    directory: FilesDirectory,
    tree: MergedTree<Content>,
    place: Place,
}

/// Where files are staged, and put from there.
#[derive(Debug)]
struct Place {
    /// The path without links of a directory that exists; of a new one, without a slash at its end.
    root: PathBuf,
    state: State,
    /// Has the staging directory of each layer, by its number.
    scratch: ScratchDirectory,
    /// Held until the files are in their places: of two exports at once, the second is refused.
    _lock: Option<File>,
    /// Dropped after what is in them.
    _parents: MadeDirectories,
}

/// What is at the path of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Empty,
    HasFiles,
}

/// Unpacks `layers`, the base first, into the directory `to`, which is missing or empty. A symbolic link to an
/// empty directory is followed.
///
/// Each file that survives is written once. Root gives files the owners that the layers say; for others
/// all files are their own, and devices and attributes that only root may set are left out with a
/// warning. Directories that no layer describes belong to root, have the mode 0755 and are of 1970.
///
/// A directory that is missing appears as a whole, once everything is on the medium, whatever happens to
/// the process. In one that exists, a process that is killed may leave a part, which the next call for the same
/// directory takes out first. Killed at the very end, it leaves a tree that is complete but for the time of the
/// directory itself, which is not taken out.
///
/// # Errors
/// [`InvalidOption`](crate::ErrorKind::InvalidOption) if something is at `to`;
/// [`Corrupt`](crate::ErrorKind::Corrupt) for a layer that does not have its diffID;
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for one that cannot be applied or is beyond the limits;
/// [`Unavailable`](crate::ErrorKind::Unavailable) if another process writes into the same directory. Then
/// nothing is left at `to`.
pub fn unpack(layers: &[BlobSource], to: &Path, work: &Work) -> Result<()> {
    let directory = FilesDirectory { is_root_of_tree: true, ..FilesDirectory::new(to) };
    let unpacked = directory.stage_layers(layers, work).and_then(|staged| staged.put(work));
    unpacked.attempt(|| format!("cannot unpack to {}", to.display()))
}

impl FilesDirectory {
    /// Returns the directory `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), is_root_of_tree: false, deletes: false, may_delete_all: false }
    }

    /// Sets whether what is not among the new files is removed, and whether that may remove what no export put there.
    #[must_use]
    pub fn with_delete(self, deletes: bool, may_delete_all: bool) -> Self {
        Self { deletes, may_delete_all, ..self }
    }

    /// Fails if files would be removed that no export put there.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) for such a directory, for one with a mount point in it, and for
    /// the root of the file system; I/O errors.
    pub fn check(&self) -> Result<()> {
        if self.root.canonicalize().is_ok_and(|root| root == Path::new("/")) {
            return Err(Error::option("files are not written to / itself").with_hint("name a directory below it"));
        }
        if !self.deletes || !self.root.exists() {
            return Ok(());
        }
        let root = open_root(&self.root)?;
        let list = listing(&root).attempt(|| format!("cannot use {} with mode=delete", self.root.display()))?;
        if self.may_delete_all || list.is_none() || marked(&root) == list {
            return Ok(());
        }
        let root = self.root.display();
        let message = format!("{root} has files that no export put there, and mode=delete would remove them");
        Err(Error::option(message).with_hint("choose an empty directory, or add allow-delete=true"))
    }

    /// Stages the tree of `layers`, several of which are read at a time.
    fn stage_layers(&self, layers: &[BlobSource], work: &Work) -> Result<StagedFiles> {
        let place = self.place()?;
        let (_, entries) = stage_all(layers, place.scratch.path(), &|_| true, Writer::new(work), work)?;
        let mut tree = MergedTree::default();
        for (entries, layer) in entries.into_iter().zip(layers) {
            apply(&mut tree, layer, entries, &work.cancel)?;
        }
        Ok(StagedFiles { directory: self.clone(), tree, place })
    }

    /// Prepares the place: leftovers of dead runs are removed from it.
    fn place(&self) -> Result<Place> {
        let root = match fs::metadata(&self.root) {
            Ok(found) if !found.is_dir() => return Err(self.refuse("it is not a directory")),
            Ok(_) => return self.place_that_exists(),
            // A slash or a dot at the end is no part of a new directory's name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.root.components().collect::<PathBuf>(),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(self.refuse("it is not a directory"));
            }
            Err(error) => return Err(error.into()),
        };
        if root.is_symlink() {
            return Err(self.refuse("it is a dangling link"));
        }
        if root.file_name().is_none() {
            return Err(self.refuse("it does not end in a name"));
        }
        let parents = MadeDirectories::make(directory_of(&root))?;
        // A run that made the directory and died may have left its files beside it: they are removed.
        let scratch = ScratchDirectory::new_in(directory_of(&root))?;
        Ok(Place { root, state: State::Missing, scratch, _lock: None, _parents: parents })
    }

    fn place_that_exists(&self) -> Result<Place> {
        let root = self.root.canonicalize()?;
        remove_leftovers(directory_of(&root));
        // What is in it is looked at once no other export can change it.
        let opened = open_root(&root)?;
        let lock = File::from(opened.try_clone()?);
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Error::new(ErrorKind::Unavailable, "another process is writing to it"));
        }
        if self.is_root_of_tree {
            take_out_leftovers(&opened, &root);
        } else {
            // What a killed run of `unpack` left is completed: files of others may be among it by now.
            drop(record::left_in(&root));
        }
        let mut names = names(&opened)?.into_iter();
        let has_files = names.any(|(name, _)| !is_scratch(OsStr::from_bytes(&name)));
        if has_files && self.is_root_of_tree {
            return Err(self.refuse("it is not empty"));
        }
        let state = if has_files { State::HasFiles } else { State::Empty };
        let scratch = ScratchDirectory::new_in(&root)?;
        Ok(Place { root, state, scratch, _lock: Some(lock), _parents: MadeDirectories::default() })
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::option(reason.to_owned()).with_hint("name a new or empty directory")
    }
}
