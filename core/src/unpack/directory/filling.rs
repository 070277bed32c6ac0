//! Filling an empty directory, so that the next run after a crash can tell what to remove again.
//!
//! A list of the moved entries is in the directory until they are complete, and locked as long as the run lives.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use longshore_content::{LiveFile, SCRATCH_PREFIX, is_scratch, remove_tree};
use longshore_oci::{Context, Result};

/// The start of the list.
const HEAD: &[u8] = b"longshore unpack\0";

/// An entry at the top of the tree: its inode number, which identifies it, and its name.
type Item = (u64, Vec<u8>);

/// Entries moved into a directory. Dropping it moves everything out again.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    to: &'a Path,
    items: Vec<Item>,
    list: Option<LiveFile>,
}

impl<'a> Filling<'a> {
    /// Moves everything in `tree` to the empty directory `to`.
    ///
    /// # Errors
    /// I/O errors; then `to` is empty again.
    pub(super) fn begin(tree: &Path, to: &'a Path) -> Result<Self> {
        let fill = || -> Result<Self> {
            let mut items = Vec::new();
            for entry in fs::read_dir(tree)? {
                let entry = entry?;
                items.push((entry.metadata()?.ino(), entry.file_name().into_vec()));
            }
            let list = LiveFile::create(to, SCRATCH_PREFIX)?;
            let lines = items.iter().map(|(number, name)| [number.to_string().as_bytes(), b" ", name, b"\0"].concat());
            let mut file = list.file();
            file.write_all(&[HEAD, &lines.collect::<Vec<_>>().concat()].concat())?;
            // The files, their names and the list are on disk before the first name appears.
            rustix::fs::syncfs(file)?;
            let filling = Self { to, items, list: Some(list) };
            for (_, name) in &filling.items {
                let name = std::ffi::OsStr::from_bytes(name);
                fs::rename(tree.join(name), to.join(name))?;
            }
            Ok(filling)
        };
        fill().attempt(|| format!("cannot fill {}", to.display()))
    }

    /// Keeps everything in place, and removes the list.
    ///
    /// # Errors
    /// I/O errors of the disk; then `to` is empty again.
    pub(super) fn finish(mut self) -> Result<()> {
        self.list.take().map_or(Ok(()), LiveFile::remove)?;
        self.items.clear();
        Ok(())
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        take_out(self.to, &self.items);
        drop(self.list.take());
    }
}

/// Removes from `to` what a killed run put there, and no other files.
pub(super) fn take_out_leftovers(to: &Path) {
    let Ok(entries) = fs::read_dir(to) else { return };
    for path in entries.flatten().filter(|entry| is_scratch(&entry.file_name())).map(|entry| entry.path()) {
        let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
        let Some(list) = is_file.then(|| LiveFile::abandoned(&path)).flatten() else { continue };
        let Some(items) = read(&list) else {
            drop(list.keep());
            continue;
        };
        if let Ok(found) = fs::metadata(to) {
            // The root of a tree may be read-only.
            let _ = fs::set_permissions(to, PermissionsExt::from_mode(found.mode() & 0o7777 | 0o700));
        }
        take_out(to, &items);
    }
}

fn take_out(to: &Path, items: &[Item]) {
    for (number, name) in items {
        let path = to.join(std::ffi::OsStr::from_bytes(name));
        // Another file may have the name by now, or the entry may still be in the tree.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.ino() == *number) {
            let _ = remove_tree(&path);
        }
    }
}

/// Returns the contents of a list; `None` if the file is not a list, or is incomplete.
fn read(list: &LiveFile) -> Option<Vec<Item>> {
    let mut text = Vec::new();
    let read: io::Result<usize> = list.file().read_to_end(&mut text);
    read.ok()?;
    let lines = text.strip_prefix(HEAD)?;
    let lines = lines.split_inclusive(|byte| *byte == 0).filter_map(|line| line.strip_suffix(b"\0"));
    let item = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        let number = std::str::from_utf8(&line[..at]).ok()?.parse().ok()?;
        let name = &line[at + 1..];
        let is_name = !name.is_empty() && !name.contains(&b'/') && !matches!(name, b"." | b"..");
        is_name.then(|| (number, name.to_vec()))
    };
    lines.map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn tree(place: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
        let (tree, to) = (place.join("tree"), place.join("to"));
        fs::create_dir_all(tree.join("usr/bin")).unwrap();
        fs::write(tree.join("usr/bin/tool"), "").unwrap();
        fs::write(tree.join("line\nbreak"), "").unwrap();
        fs::create_dir(&to).unwrap();
        (tree, to)
    }

    #[test]
    fn what_a_killed_run_moved_is_taken_out_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (tree, to) = tree(place.path());
        let mut filling = Filling::begin(&tree, &to).unwrap();
        filling.items.clear();
        // The lock ends, as with the process.
        drop(filling.list.take().map(LiveFile::keep));
        drop(filling);
        // As if the first had not been moved yet, and somebody had put a file of that name there.
        fs::rename(to.join("line\nbreak"), tree.join("line\nbreak")).unwrap();
        fs::write(to.join("line\nbreak"), "theirs").unwrap();
        fs::set_permissions(to.join("usr"), PermissionsExt::from_mode(0o555)).unwrap();
        fs::set_permissions(&to, PermissionsExt::from_mode(0o555)).unwrap();
        assert_eq!(names(&to).len(), 3);
        take_out_leftovers(&to);
        assert_eq!(names(&to), ["line\nbreak"]);
        assert_eq!(fs::read(to.join("line\nbreak")).unwrap(), b"theirs");
    }

    #[test]
    fn a_run_that_fails_leaves_the_directory_empty_and_one_that_lives_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let (tree, to) = tree(place.path());
        let filling = Filling::begin(&tree, &to).unwrap();
        take_out_leftovers(&to);
        assert_eq!(names(&to).len(), 3);
        drop(filling);
        assert!(names(&to).is_empty());
        let (tree, to) = (place.path().join("other"), to);
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), "").unwrap();
        Filling::begin(&tree, &to).unwrap().finish().unwrap();
        assert_eq!(names(&to), ["file"]);
    }
}
