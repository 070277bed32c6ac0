//! Records of a run in the directory that it writes to, which the next run reads if this one is killed.
//!
//! A record is locked as long as its run lives. The next run removes the files that it lists, so a record is
//! read only if this user wrote it and nobody else can; `place` leaves out files of images with such names.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use longshore_content::{LiveFile, RECORD_PREFIX, is_record};
use longshore_oci::{Context, Result};
use rustix::process::geteuid;

/// What a record lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What is moved into an empty directory, which is taken out again: lines of `INODE NAME`.
    Moved,
}

impl Kind {
    fn head(self) -> &'static [u8] {
        match self {
            Self::Moved => b"longshore: moved here\0",
        }
    }
}

/// Creates a record of these lines in the directory `to`. It is on the medium once the file system is flushed.
///
/// # Errors
/// I/O errors.
pub(super) fn create<L: AsRef<[u8]>>(to: &Path, kind: Kind, lines: impl Iterator<Item = L>) -> Result<LiveFile> {
    let record = LiveFile::create(to, RECORD_PREFIX)?;
    let write = || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(record.file());
        out.write_all(kind.head())?;
        for line in lines {
            out.write_all(line.as_ref())?;
            out.write_all(b"\0")?;
        }
        out.flush()
    };
    write().attempt(|| format!("cannot write {}", record.path().display()))?;
    Ok(record)
}

/// Returns the records that dead runs of this user left in the directory `to`, locked. Each is removed when it is
/// dropped.
pub(super) fn left_in(to: &Path) -> Vec<LiveFile> {
    let Ok(entries) = fs::read_dir(to) else { return Vec::new() };
    let paths = entries.flatten().filter(|entry| is_record(&entry.file_name())).map(|entry| entry.path());
    let records = paths.filter_map(|path| LiveFile::abandoned(&path));
    let (own, foreign): (Vec<_>, Vec<_>) = records.partition(is_own);
    foreign.into_iter().for_each(|record| drop(record.keep()));
    own
}

fn is_own(record: &LiveFile) -> bool {
    record.file().metadata().is_ok_and(|found| {
        let is_private = found.mode() & 0o7777 == 0o600 && found.nlink() == 1;
        found.is_file() && found.uid() == geteuid().as_raw() && is_private
    })
}

/// Returns the lines of a record, but for one that was cut; `None` if it is of another kind, or has no head.
pub(super) fn lines(record: &LiveFile, kind: Kind) -> Option<Vec<Vec<u8>>> {
    let mut text = Vec::new();
    record.file().read_to_end(&mut text).ok()?;
    let lines = text.strip_prefix(kind.head())?.split_inclusive(|byte| *byte == 0);
    Some(lines.filter_map(|line| line.strip_suffix(b"\0")).map(<[u8]>::to_vec).collect())
}
