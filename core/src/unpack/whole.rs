//! A whole root file system in one directory.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use longshore_content::{MadeDirectories, ScratchDirectory, Work, directory_of, is_root, is_scratch, remove_leftovers};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::attributes::Writer;
use super::filling::{Filling, take_out_leftovers};
use super::place::Placer;
use super::{apply, open_directory, place, stage};
use crate::layer::BlobSource;
use crate::tree::merged::MergedTree;

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
/// [`Unavailable`](crate::ErrorKind::Unavailable) if another process unpacks into the same directory. Then
/// nothing is left at `to`.
pub fn unpack(layers: &[BlobSource], to: &Path, work: &Work) -> Result<()> {
    let unpacked = match destination(to)? {
        Destination::Missing(to) => unpack_to_missing(layers, &to, work),
        Destination::Empty(to) => unpack_to_empty(layers, &to, work),
    };
    unpacked.attempt(|| format!("cannot unpack to {}", to.display()))
}

/// The directory is created beside `to`, and renamed when it is complete.
fn unpack_to_missing(layers: &[BlobSource], to: &Path, work: &Work) -> Result<()> {
    let parent = directory_of(to);
    let made = MadeDirectories::make(parent)?;
    let staging = ScratchDirectory::new_in(parent)?;
    // Not inside the other one: an ordinary user cannot move a read-only directory to another parent.
    let tree = ScratchDirectory::new_in(parent)?;
    let root = open_directory(tree.path())?;
    with_tree(layers, staging.path(), &root, work, |placer| placer.finish(&root))?;
    drop(staging);
    tree.persist(to)?;
    drop(made);
    Ok(())
}

/// An empty directory may be a mount point, into which nothing can be moved from outside.
fn unpack_to_empty(layers: &[BlobSource], to: &Path, work: &Work) -> Result<()> {
    let root = open_directory(to)?;
    let lock = fs::File::from(root.try_clone()?);
    if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
        let message = format!("cannot unpack to {}: another process is unpacking to it", to.display());
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    let scratch = ScratchDirectory::new_in(to)?;
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).attempt(|| format!("cannot create {}", tree.display()))?;
    let tree_root = open_directory(&tree)?;
    let staging = scratch.path().to_owned();
    with_tree(layers, &staging, &tree_root, work, |placer| {
        let filling = Filling::begin(&tree, to)?;
        placer.finish_below(&root)?;
        if is_root() {
            // Users other than root might be unable to remove the list from a read-only root.
            placer.finish_root(&root)?;
        }
        let written = || format!("cannot write {}", to.display());
        rustix::fs::syncfs(&root).attempt(written)?;
        // If the directory is not empty, a rerun does not look for leftovers.
        scratch.remove()?;
        filling.finish()?;
        placer.finish_root(&root)?;
        rustix::fs::fsync(&root).attempt(written)
    })
}

/// Writes the tree of `layers` to `root`, and calls `finish` to complete it.
fn with_tree(
    layers: &[BlobSource],
    staging: &Path,
    root: &OwnedFd,
    work: &Work,
    finish: impl FnOnce(Placer<'_>) -> Result<()>,
) -> Result<()> {
    let (staging, entries) = stage::stage_all(layers, staging, &|_| true, Writer::new(work), work)?;
    let mut merged = MergedTree::default();
    for (entries, layer) in entries.into_iter().zip(layers) {
        apply(&mut merged, layer, entries, &work.cancel)?;
    }
    finish(place::place(&merged, root, &staging, work)?)
}

/// Where to unpack a tree.
enum Destination {
    /// A missing path that ends in a name.
    Missing(PathBuf),
    /// An empty directory, as a path without links.
    Empty(PathBuf),
}

/// Determines what is at `to`, ignoring leftovers of dead runs.
fn destination(to: &Path) -> Result<Destination> {
    let refuse = |reason: &str| {
        Err(Error::option(format!("cannot unpack to {}: {reason}", to.display()))
            .with_hint("name a new or empty directory"))
    };
    match fs::metadata(to) {
        Ok(found) if !found.is_dir() => refuse("it is not a directory"),
        Ok(_) => {
            let path = to.canonicalize().attempt(|| format!("cannot unpack to {}", to.display()))?;
            // A dead run that created it may have left its staging directory.
            remove_leftovers(directory_of(&path));
            take_out_leftovers(&path);
            let mut entries = fs::read_dir(&path).attempt(|| format!("cannot unpack to {}", to.display()))?;
            if entries.any(|entry| entry.map_or(true, |entry| !is_scratch(&entry.file_name()))) {
                return refuse("it is not empty");
            }
            Ok(Destination::Empty(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Strip a slash or a dot at the end, which cannot be part of a new directory's name.
            let path: PathBuf = to.components().collect();
            if path.is_symlink() {
                refuse("it is a dangling link")
            } else if path.file_name().is_none() {
                refuse("it does not end in a name")
            } else {
                Ok(Destination::Missing(path))
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => refuse("it is not a directory"),
        Err(error) => Err(error).attempt(|| format!("cannot unpack to {}", to.display())),
    }
}
