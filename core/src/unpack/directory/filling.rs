//! Filling an empty directory, so that the next run after a crash can tell what to remove again.
//!
//! A record of the moved entries is in the directory until they are complete.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use longshore_content::{LiveFile, remove_tree_at};
use longshore_oci::{Context, Result};
use rustix::fs::{AtFlags, Mode, fchmod, fstat, renameat, statat};

use super::record::{self, Kind};
use crate::unpack::below::names;

/// An entry at the top of the tree: its inode number, which identifies it, and its name.
type Item = (u64, Vec<u8>);

/// Entries moved into a directory. Dropping it moves everything out again.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    root: &'a OwnedFd,
    items: Vec<Item>,
    record: Option<LiveFile>,
}

impl<'a> Filling<'a> {
    /// Moves everything in `tree` to the empty directory `root`, whose path is `to`. With `is_recorded`, the next run takes
    /// it out if this one is killed.
    ///
    /// # Errors
    /// I/O errors; then the directory is empty again.
    pub(super) fn begin(tree: &OwnedFd, root: &'a OwnedFd, to: &Path, is_recorded: bool) -> Result<Self> {
        let fill = || -> Result<Self> {
            let mut items = Vec::new();
            for (name, _) in names(tree)? {
                items.push((statat(tree, &name, AtFlags::SYMLINK_NOFOLLOW)?.st_ino, name));
            }
            let lines = items.iter().map(|(number, name)| [number.to_string().as_bytes(), b" ", name].concat());
            let record = if is_recorded { Some(record::create(to, Kind::Moved, lines)?) } else { None };
            // The files, their names and the record are on disk before the first name appears.
            rustix::fs::syncfs(root)?;
            let filling = Self { root, items, record };
            for (_, name) in &filling.items {
                renameat(tree, name, root, name)?;
            }
            Ok(filling)
        };
        fill().attempt(|| format!("cannot fill {}", to.display()))
    }

    /// Keeps everything in place, and removes the record.
    ///
    /// # Errors
    /// I/O errors of the disk; then the directory is empty again.
    pub(super) fn finish(mut self) -> Result<()> {
        self.record.take().map_or(Ok(()), LiveFile::remove)?;
        self.items.clear();
        Ok(())
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        take_out(self.root, self.record.as_ref(), &self.items);
    }
}

/// Removes from the directory `root`, whose path is `to`, what a killed run moved there, and no other files.
pub(super) fn take_out_leftovers(root: &OwnedFd, to: &Path) {
    for record in record::left_in(to) {
        let items = record::lines(&record, Kind::Moved).and_then(|lines| lines.iter().map(|line| item(line)).collect());
        let items: Vec<Item> = items.unwrap_or_default();
        if let (false, Ok(found)) = (items.is_empty(), fstat(root)) {
            // The root of a tree may be read-only.
            let _ = fchmod(root, Mode::from_raw_mode(found.st_mode & 0o7777 | 0o700));
        }
        take_out(root, Some(&record), &items);
    }
}

fn take_out(root: &OwnedFd, record: Option<&LiveFile>, items: &[Item]) {
    let Ok(own) = fstat(root) else { return };
    let of_files = record.and_then(|record| fstat(record.file()).ok()).map_or(own.st_dev, |found| found.st_dev);
    for (number, name) in items {
        let Ok(found) = statat(root, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        // Another file may have the name by now, or the entry may still be in the tree; numbers are those of one file
        // system. One that is an overlay gives its files another device than its directories.
        if found.st_ino == *number && [own.st_dev, of_files].contains(&found.st_dev) {
            let _ = remove_tree_at(root.as_fd(), name);
        }
    }
}

/// Returns the entry that a line of a record is about.
fn item(line: &[u8]) -> Option<Item> {
    let at = line.iter().position(|byte| *byte == b' ')?;
    let number = std::str::from_utf8(&line[..at]).ok()?.parse().ok()?;
    let name = &line[at + 1..];
    let is_name = !name.is_empty() && !name.contains(&b'/') && !matches!(name, b"." | b"..");
    is_name.then(|| (number, name.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::PathBuf;

    use longshore_content::{RECORD_PREFIX, SCRATCH_PREFIX, ScratchDirectory};

    use super::*;
    use crate::unpack::below::open_directory;

    /// A tree, and the directory that it is moved to.
    struct Place {
        root: tempfile::TempDir,
        tree: OwnedFd,
        to: OwnedFd,
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir_all(root.path().join("tree/usr/bin")).unwrap();
            fs::write(root.path().join("tree/usr/bin/tool"), "").unwrap();
            fs::write(root.path().join("tree/line\nbreak"), "").unwrap();
            fs::create_dir(root.path().join("to")).unwrap();
            let [tree, to] = ["tree", "to"].map(|name| open_directory(&root.path().join(name)).unwrap());
            Self { root, tree, to }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn begin(&self) -> Filling<'_> {
            Filling::begin(&self.tree, &self.to, &self.path("to"), true).unwrap()
        }

        /// Fills the directory, and is killed before the end.
        fn fill_and_die(&self) {
            let mut filling = self.begin();
            filling.items.clear();
            drop(filling.record.take().map(LiveFile::keep));
        }

        fn take_out(&self) {
            take_out_leftovers(&self.to, &self.path("to"));
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.path("to")).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        fn record(&self) -> PathBuf {
            let name = self.names().into_iter().find(|name| name.starts_with(RECORD_PREFIX)).unwrap();
            self.path("to").join(name)
        }
    }

    #[test]
    fn what_a_killed_run_moved_is_taken_out_and_nothing_else() {
        let place = Place::new();
        place.fill_and_die();
        // As if the first had not been moved yet, and somebody had put a file of that name there.
        fs::rename(place.path("to/line\nbreak"), place.path("tree/line\nbreak")).unwrap();
        fs::write(place.path("to/line\nbreak"), "theirs").unwrap();
        fs::set_permissions(place.path("to/usr"), PermissionsExt::from_mode(0o555)).unwrap();
        fs::set_permissions(place.path("to"), PermissionsExt::from_mode(0o555)).unwrap();
        assert_eq!(place.names().len(), 3);
        place.take_out();
        assert_eq!(place.names(), ["line\nbreak"]);
        assert_eq!(fs::read(place.path("to/line\nbreak")).unwrap(), b"theirs");
    }

    #[test]
    fn a_run_that_fails_leaves_the_directory_empty_and_one_that_lives_is_left_alone() {
        let mut place = Place::new();
        let filling = place.begin();
        place.take_out();
        assert_eq!(place.names().len(), 3);
        drop(filling);
        assert!(place.names().is_empty());
        fs::create_dir(place.path("other")).unwrap();
        fs::write(place.path("other/file"), "").unwrap();
        place.tree = open_directory(&place.path("other")).unwrap();
        place.begin().finish().unwrap();
        assert_eq!(place.names(), ["file"]);
    }

    /// The store of a run without another one is made in the directory before the record is read.
    #[test]
    fn temporary_files_of_the_next_run_do_not_remove_the_record() {
        let place = Place::new();
        place.fill_and_die();
        drop(ScratchDirectory::new_in(&place.path("to")).unwrap());
        place.take_out();
        assert!(place.names().is_empty(), "{:?}", place.names());
    }

    /// Any user who could write to the directory, and any image with such a file, could get other files removed.
    #[test]
    fn a_record_that_someone_else_could_have_written_is_not_believed() {
        let forgeries: [fn(&Place); 4] = [
            |place| fs::set_permissions(place.record(), PermissionsExt::from_mode(0o644)).unwrap(),
            |place| fs::hard_link(place.record(), place.path("second name")).unwrap(),
            |place| {
                if rustix::process::geteuid().is_root() {
                    std::os::unix::fs::chown(place.record(), Some(1234), None).unwrap();
                } else {
                    fs::set_permissions(place.record(), PermissionsExt::from_mode(0o640)).unwrap();
                }
            },
            |place| fs::rename(place.record(), place.path("to").join(format!("{SCRATCH_PREFIX}x"))).unwrap(),
        ];
        for (at, forge) in forgeries.into_iter().enumerate() {
            let place = Place::new();
            place.fill_and_die();
            forge(&place);
            place.take_out();
            assert_eq!(place.names().len(), 3, "{at}: {:?}", place.names());
        }
    }

    #[test]
    fn a_pipe_that_has_the_name_of_a_record_is_not_waited_for() {
        let place = Place::new();
        let pipe = format!("{RECORD_PREFIX}pipe");
        rustix::fs::mknodat(&place.to, &*pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        place.take_out();
        assert_eq!(place.names(), [pipe]);
        assert!(fs::symlink_metadata(place.record()).unwrap().mode() & 0o600 == 0o600);
    }
}
