//! Layouts in tar archives: requirements on the archive itself.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use longshore_core::archive::{Entry, EntryKind, Reader};
use longshore_core::{Context, Result};

use super::Problems;

/// Unpacks an archive to `to` and checks its entries.
pub(super) fn unpack(path: &Path, to: &Path, problems: &mut Problems) {
    let unpacked = read(path, to, problems);
    problems.check(unpacked, "the archive");
    let ended = ends_empty(path);
    if problems.check(ended, "the archive") == Some(false) {
        problems.add("the archive: it does not end in two empty blocks");
    }
}

fn read(path: &Path, to: &Path, problems: &mut Problems) -> Result<()> {
    let file = File::open(path).attempt(|| format!("cannot open {}", path.display()))?;
    let mut reader = Reader::new(BufReader::with_capacity(128 << 10, file));
    let mut last = String::new();
    while let Some(entry) = reader.next_entry()? {
        let name = name(&entry);
        attributes(&name, &entry, problems);
        if name == last {
            problems.add(format!("the archive: `{name}` is there twice"));
            continue;
        }
        if name < last {
            problems.add(format!("the archive: `{name}` comes after `{last}`"));
        }
        last.clone_from(&name);
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            problems.add(format!("the archive: `{name}` leads out of it"));
            continue;
        }
        let place = to.join(&name);
        if entry.kind == EntryKind::Directory {
            fs::create_dir_all(&place).attempt(|| format!("cannot create `{name}`"))?;
        } else {
            place.parent().map_or(Ok(()), fs::create_dir_all)?;
            let copied = File::create(&place).and_then(|mut file| io::copy(&mut reader, &mut file));
            copied.attempt(|| format!("cannot unpack `{name}`"))?;
        }
    }
    reader.drain()
}

/// Returns the name used for sorting: that of a directory ends in a slash.
fn name(entry: &Entry) -> String {
    let slash = if entry.kind == EntryKind::Directory { "/" } else { "" };
    format!("{}{slash}", String::from_utf8_lossy(&entry.path))
}

fn attributes(name: &str, entry: &Entry, problems: &mut Problems) {
    let mut problem = |what: String| problems.add(format!("the archive: `{name}` {what}"));
    let mode = match (entry.kind, name) {
        (EntryKind::Directory, _) => 0o755,
        (EntryKind::File, "oci-layout") => 0o444,
        (EntryKind::File, name) if name.starts_with("blobs/") => 0o444,
        (EntryKind::File, _) => 0o644,
        (kind, _) => return problem(format!("is a {kind}")),
    };
    if entry.mode != mode {
        problem(format!("has the mode {:04o}, expected {mode:04o}", entry.mode));
    }
    if entry.mtime != 0 {
        problem(format!("was changed {} seconds after 1970", entry.mtime));
    }
    if (entry.uid, entry.gid) != (0, 0) {
        problem(format!("belongs to {}:{}", entry.uid, entry.gid));
    }
    if !entry.xattrs.is_empty() {
        problem("has extended attributes".to_owned());
    }
}

fn ends_empty(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length < 1024 || !length.is_multiple_of(512) {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1024))?;
    let mut end = [0; 1024];
    file.read_exact(&mut end)?;
    Ok(end == [0; 1024])
}
