//! A whole root file system in one directory.

use std::fs;
use std::io;
use std::path::Path;

use longshore_content::{MadeDirectories, ScratchDirectory, Work, is_scratch};
use longshore_oci::{Context, Error, Result};

use super::attributes::Writer;
use super::{apply, open_directory, place, stage};
use crate::layer::BlobSource;
use crate::tree::merged::MergedTree;

/// Unpacks `layers`, the base first, into the directory `to`, which is missing or empty.
///
/// Each file that survives is written once. Root gives files the owners that the layers say; for others
/// all files are their own, and devices and attributes that only root may set are left out with a
/// warning. Directories that no layer describes belong to root, have the mode 0755 and are of 1970.
///
/// # Errors
/// [`InvalidOption`](crate::ErrorKind::InvalidOption) if something is at `to`;
/// [`Corrupt`](crate::ErrorKind::Corrupt) for a layer that does not have its diffID;
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for one that cannot be applied or is beyond the limits. Then
/// nothing is left at `to`, unless it was an empty directory and the medium failed while it was filled.
pub fn unpack(layers: &[BlobSource], to: &Path, work: &Work) -> Result<()> {
    let exists = check_destination(to)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // An empty directory may be a file system of its own, into which nothing can be moved from outside.
    let place = if exists { to } else { parent };
    let made = MadeDirectories::make(place)?;
    let scratch = ScratchDirectory::new_in(place)?;
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).attempt(|| format!("cannot make {}", tree.display()))?;
    let (staging, entries) = stage::stage_all(layers, scratch.path(), &|_| true, Writer::new(work), work)?;
    let mut merged = MergedTree::default();
    for (entries, layer) in entries.into_iter().zip(layers) {
        apply(&mut merged, layer, entries, &work.cancel)?;
    }
    let root = open_directory(&tree)?;
    let placer = place::place(&merged, &root, &staging, work)?;
    if exists {
        move_children(&tree, to)?;
        drop(scratch);
        placer.finish(&open_directory(to)?)?;
    } else if Writer::new(work).is_root {
        placer.finish(&root)?;
        fs::rename(&tree, to).attempt(|| format!("cannot make {}", to.display()))?;
    } else {
        // An ordinary user cannot move a directory that is read-only.
        fs::rename(&tree, to).attempt(|| format!("cannot make {}", to.display()))?;
        placer.finish(&root)?;
    }
    drop(made);
    Ok(())
}

/// Whether there is an empty directory.
fn check_destination(to: &Path) -> Result<bool> {
    let refuse = |reason: &str| {
        Err(Error::option(format!("cannot unpack to {}: {reason}", to.display()))
            .with_hint("give the name of a directory that is missing or empty"))
    };
    match fs::read_dir(to) {
        Ok(mut entries) => {
            // What an earlier run left is removed by this one.
            if entries.any(|entry| entry.map_or(true, |entry| !is_scratch(&entry.file_name()))) {
                return refuse("it is not empty");
            }
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if to.is_symlink() {
                refuse("it is a link to nothing")
            } else {
                Ok(false)
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => refuse("it is not a directory"),
        Err(error) => Err(error).attempt(|| format!("cannot unpack to {}", to.display())),
    }
}

fn move_children(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).attempt(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        fs::rename(entry.path(), &to).attempt(|| format!("cannot make {}", to.display()))?;
    }
    Ok(())
}
