//! The contents of a directory, to compare before and after.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use longshore_core::oci::{Digest, Hasher};

/// Returns the digest of a file, or of a directory tree: names, kinds, modes, content and link targets, but
/// no times and owners.
///
/// # Panics
/// What is there cannot be read.
pub fn digest_of(path: &Path) -> Digest {
    Digest::of(listing_of(path).join("\n").as_bytes())
}

/// Returns the input of [`digest_of`]: one line per file, sorted. Empty for a missing path.
///
/// # Panics
/// As [`digest_of`].
pub fn listing_of(path: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    list(path, ".", &mut lines).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    lines
}

fn list(path: &Path, name: &str, lines: &mut Vec<String>) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    let kind = metadata.file_type();
    let what = if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_symlink() {
        format!("link to {}", fs::read_link(path)?.as_os_str().as_bytes().escape_ascii())
    } else if kind.is_file() {
        format!("{} bytes {}", metadata.len(), hash(path)?)
    } else if kind.is_fifo() {
        "pipe".to_owned()
    } else {
        "device or socket".to_owned()
    };
    lines.push(format!("{name} {:04o} {what}", metadata.permissions().mode() & 0o7777));
    if kind.is_dir() {
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = format!("{name}/{}", entry.file_name().as_bytes().escape_ascii());
            list(&entry.path(), &name, lines)?;
        }
    }
    Ok(())
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::sha256();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
