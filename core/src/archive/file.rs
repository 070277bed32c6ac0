//! A tar archive in a file, whose entries are read in place: nothing is unpacked by name.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use longshore_oci::{Context, Error, ErrorKind, Result};

use super::{Entry, EntryKind, Reader};
use crate::compression::{Algorithm, decoder, detect};

/// How many links are followed from one entry to a file.
const LINKS: usize = 16;

/// A tar archive in a file.
pub struct TarFile {
    file: File,
    entries: HashMap<Vec<u8>, Found>,
}

#[derive(Debug, Clone)]
enum Found {
    File {
        offset: u64,
        size: u64,
    },
    /// Its target, from the top of the archive.
    Link(Vec<u8>),
    Other,
}

impl TarFile {
    /// Indexes the archive in `file`. One that is compressed is decompressed to a temporary file first.
    ///
    /// # Errors
    /// Not a tar archive, one that ends early, or one that has two entries with the same path.
    pub fn open(mut file: File) -> Result<Self> {
        let mut start = [0; 6];
        let length = file.read_at(&mut start, 0)?;
        if detect(&start[..length])? != Algorithm::Uncompressed {
            file.rewind()?;
            return Self::spool(file);
        }
        file.rewind()?;
        let length = file.metadata()?.len();
        let mut reader = Reader::new(&file);
        let mut entries = HashMap::new();
        while let Some(entry) = reader.next_entry()? {
            let place = reader.place().clone();
            let offset = reader.position();
            if offset.checked_add(entry.size).is_none_or(|end| end > length) {
                return Err(place.cut(length));
            }
            reader.pass_over()?;
            let paths = entry_path(&entry).and_then(|path| Ok((path, link_target(&entry)?)));
            let (path, target) = paths.attempt(|| format!("cannot read the {place}"))?;
            let found = match (entry.kind, target) {
                (EntryKind::File, _) => Found::File { offset, size: entry.size },
                (_, Some(target)) => Found::Link(target),
                _ => Found::Other,
            };
            if entries.insert(path, found).is_some_and(|before| !matches!(before, Found::Other)) {
                return Err(place.ambiguous("has the path of an earlier entry"));
            }
        }
        Ok(Self { file, entries })
    }

    /// Copies what can be read once, decompressed, to a temporary file and indexes that.
    ///
    /// # Errors
    /// As [`open`](Self::open), and errors of the input.
    pub fn spool(input: impl Read + Send) -> Result<Self> {
        let mut file = tempfile::tempfile().attempt(|| "cannot create a temporary file".to_owned())?;
        let (_, mut input) = decoder(input)?;
        io::copy(&mut input, &mut file).attempt(|| "cannot copy the archive to a temporary file".to_owned())?;
        file.flush()?;
        let mut start = [0; 6];
        let length = file.read_at(&mut start, 0)?;
        if detect(&start[..length])? != Algorithm::Uncompressed {
            return Err(Error::new(ErrorKind::Unsupported, "the archive is compressed twice"));
        }
        Self::open(file)
    }

    /// Returns whether `path` is a file, or a link to one.
    pub fn contains(&self, path: &str) -> bool {
        self.locate(path).is_ok()
    }

    /// Returns the size of the file at `path`, in bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn size(&self, path: &str) -> Result<u64> {
        self.locate(path).map(|(_, size)| size)
    }

    /// Reads the file at `path` from byte `from`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if no file has that path, or a link leads nowhere.
    pub fn read(&self, path: &str, from: u64) -> Result<impl Read + Send + '_> {
        let (offset, size) = self.locate(path)?;
        let from = from.min(size);
        Ok(Slice { file: &self.file, offset: offset + from, left: size - from })
    }

    /// Reads the whole document at `path`, of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read), and a larger document.
    pub fn document(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let size = self.size(path)?;
        if size > limit {
            return Err(Error::input(format!("`{path}` has {size} bytes, more than the limit of {limit}")));
        }
        let mut bytes = Vec::new();
        self.read(path, 0)?.read_to_end(&mut bytes).attempt(|| format!("cannot read `{path}`"))?;
        Ok(bytes)
    }

    fn locate(&self, path: &str) -> Result<(u64, u64)> {
        let missing = || Error::new(ErrorKind::NotFound, format!("`{}` is not in the archive", path.escape_debug()));
        let mut at = resolve(b"", path.as_bytes())?;
        for _ in 0..LINKS {
            match self.entries.get(&at) {
                Some(Found::File { offset, size }) => return Ok((*offset, *size)),
                Some(Found::Link(target)) => at.clone_from(target),
                Some(Found::Other) | None => return Err(missing()),
            }
        }
        Err(Error::input(format!("`{}` is a loop of links", path.escape_debug())))
    }
}

/// Returns where a link points, from the top of the archive; `None` for other entries.
///
/// # Errors
/// The link points outside the archive.
pub fn link_target(entry: &Entry) -> Result<Option<Vec<u8>>> {
    match entry.kind {
        EntryKind::HardLink => resolve(b"", &entry.link).map(Some),
        EntryKind::Symlink => symlink(&entry_path(entry)?, entry).map(Some),
        _ => Ok(None),
    }
}

/// Returns the path of an entry from the top of the archive, without `.` and `..`.
///
/// # Errors
/// The path is outside the archive.
pub fn entry_path(entry: &Entry) -> Result<Vec<u8>> {
    resolve(b"", &entry.path)
}

fn symlink(path: &[u8], entry: &Entry) -> Result<Vec<u8>> {
    let directory = path.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |at| &path[..at]);
    resolve(if entry.link.starts_with(b"/") { b"" } else { directory }, &entry.link)
}

/// Returns a path from the top of the archive, which it cannot leave.
fn resolve(directory: &[u8], path: &[u8]) -> Result<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in directory.split(|byte| *byte == b'/').chain(path.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_some() => {}
            b".." => {
                let path = String::from_utf8_lossy(path).escape_debug().to_string();
                return Err(Error::input(format!("`{path}` is outside the archive")));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join(&b'/'))
}

/// A part of a file. Several can be read at the same time.
struct Slice<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if count == 0 && wanted > 0 {
            return Err(Error::input("the archive became shorter while it was read").into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

impl fmt::Debug for TarFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarFile").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use crate::compression::Encoding;

    fn archive(entries: &[(Entry, &str)]) -> Vec<u8> {
        let mut tar = Writer::new(Vec::new());
        for (entry, data) in entries {
            let entry = Entry { size: data.len() as u64, ..entry.clone() };
            tar.append(&entry, &mut data.as_bytes()).unwrap();
        }
        tar.finish().unwrap()
    }

    fn link(path: &str, kind: EntryKind, target: &str) -> (Entry, &'static str) {
        (Entry { link: target.into(), ..Entry::new(path, kind, 0o644) }, "")
    }

    fn open(bytes: &[u8]) -> Result<TarFile> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        TarFile::open(file)
    }

    #[test]
    fn links_lead_to_files_inside_only() {
        let file = |path: &str| Entry::file(path, 0o644, 0);
        let bytes = archive(&[
            (file("a/layer.tar"), "content"),
            link("b/layer.tar", EntryKind::Symlink, "../a/layer.tar"),
            link("c", EntryKind::Symlink, "/b/layer.tar"),
            link("d", EntryKind::HardLink, "./a/layer.tar"),
            link("loop", EntryKind::Symlink, "loop"),
            link("nowhere", EntryKind::Symlink, "missing"),
        ]);
        let gzip = Encoding::new(Algorithm::Gzip, None).unwrap().encode(&bytes).unwrap();
        for tar in [open(&bytes).unwrap(), open(&gzip).unwrap(), TarFile::spool(&bytes[..]).unwrap()] {
            for path in ["a/layer.tar", "./b/layer.tar", "c", "d"] {
                assert_eq!(tar.document(path, 10).unwrap(), b"content", "{path}");
            }
            let mut rest = String::new();
            tar.read("c", 3).unwrap().read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "tent");
            for path in ["loop", "nowhere", "../x", "a"] {
                assert!(!tar.contains(path), "{path}");
            }
            assert!(tar.document("a/layer.tar", 6).unwrap_err().message().contains("limit"));
        }
    }

    #[test]
    fn refuses_what_is_ambiguous_or_outside() {
        let file = |path: &str| (Entry::file(path, 0o644, 0), "x");
        let cut = archive(&[(Entry::file("a", 0o644, 0), "xyz")])[..513].to_vec();
        for (bytes, expected) in [
            (archive(&[file("a"), file("./a")]), "the tar entry `./a` at byte 1024 has the path of an earlier entry"),
            (archive(&[file("../a")]), "the tar entry `../a` at byte 0: `../a` is outside the archive"),
            (archive(&[link("a", EntryKind::Symlink, "../../x")]), "outside"),
            (cut, "ends early: at byte 513, within the tar entry `a` at byte 0"),
            (vec![b'x'; 600], "checksum"),
        ] {
            let error = open(&bytes).unwrap_err().with_causes();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
