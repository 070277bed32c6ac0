//! The one tar reader.
//!
//! `tar::Header` decodes the fields; what a sequence of headers means is decided here, in one place
//! and with limits, because readers that disagree about it have been a class of vulnerabilities of
//! their own (CVE-2025-62518 and others: the size of a PAX header must win over the header's).

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use longshore_oci::{Error, ErrorKind, Result};

use super::{BLOCK, Entry, EntryKind, PAX_XATTR, padding};

/// Largest PAX header or GNU long name, in bytes.
const EXTENSION_LIMIT: u64 = 1 << 20;

/// Reads a tar archive entry by entry; the data of an entry is read from the reader itself.
///
/// Reads ustar, PAX and GNU archives. Sparse files, multi-volume archives and other kinds of entry
/// that a layer cannot have are [`ErrorKind::Unsupported`].
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// Bytes of the current entry that were not read yet, and the padding after them.
    left: u64,
    padding: usize,
    /// Whether anything was read.
    started: bool,
}

/// What extension headers say about the next entry.
#[derive(Default)]
struct Overrides {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// Starts to read an archive.
    pub fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0, started: false }
    }

    /// The next entry; what was not read of the one before is skipped. `None` at the end.
    ///
    /// # Errors
    /// Not a tar archive, one that ends within an entry, or one with entries that are not read here.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut overrides = Overrides::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            if !(kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions()
                || kind.is_gnu_longname()
                || kind.is_gnu_longlink())
            {
                return self.entry(&header, overrides).map(Some);
            }
            let data = self.extension(&header)?;
            if kind.is_gnu_longname() {
                overrides.path = Some(until_nul(data));
            } else if kind.is_gnu_longlink() {
                overrides.link = Some(until_nul(data));
            } else {
                pax(&data, kind.is_pax_global_extensions(), &mut overrides)?;
            }
        }
    }

    /// Whether the input turned out to have no bytes at all. Known after the last entry.
    pub fn is_empty(&self) -> bool {
        !self.started
    }

    /// Reads to the end of the input, past what follows the archive.
    ///
    /// # Errors
    /// Those of the input.
    pub fn drain(mut self) -> Result<()> {
        self.skip()?;
        io::copy(&mut self.input, &mut io::sink())?;
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        let left = self.left.checked_add(self.padding as u64).ok_or_else(truncated)?;
        let skipped = io::copy(&mut (&mut self.input).take(left), &mut io::sink())?;
        (self.left, self.padding) = (0, 0);
        if skipped < left { Err(truncated()) } else { Ok(()) }
    }

    /// The next header block, checked. `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<tar::Header>> {
        let mut block = [0; BLOCK];
        match read_full(&mut self.input, &mut block)? {
            // An archive without its two empty blocks is complete to every reader.
            0 => return Ok(None),
            BLOCK => self.started = true,
            _ => return Err(truncated()),
        }
        if block.iter().all(|byte| *byte == 0) {
            // One empty block followed by an entry: some readers stop here, others go on.
            let second = read_full(&mut self.input, &mut block)?;
            if block[..second].iter().any(|byte| *byte != 0) {
                return Err(Error::input("the tar archive has an entry after an empty block"));
            }
            return Ok(None);
        }
        let header = tar::Header::from_byte_slice(&block).clone();
        let mut sum = 8 * u32::from(b' ');
        sum += block[..148].iter().chain(&block[156..]).map(|byte| u32::from(*byte)).sum::<u32>();
        match header.cksum() {
            Ok(claimed) if claimed == sum => Ok(Some(header)),
            _ => Err(Error::input("not a tar archive: a header has a wrong checksum")),
        }
    }

    fn extension(&mut self, header: &tar::Header) -> Result<Vec<u8>> {
        let size = header.entry_size()?;
        if size > EXTENSION_LIMIT {
            return Err(Error::input(format!(
                "a tar extension header has {size} bytes, more than the limit of {EXTENSION_LIMIT}"
            )));
        }
        let mut data = vec![0; size as usize];
        if read_full(&mut self.input, &mut data)? < data.len() {
            return Err(truncated());
        }
        self.padding = padding(size);
        Ok(data)
    }

    fn entry(&mut self, header: &tar::Header, overrides: Overrides) -> Result<Entry> {
        let mut path = overrides.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let ends_in_slash = path.ends_with(b"/");
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        let kind = match header.as_bytes()[156] {
            // Before ustar, a directory was a file whose name ends in a slash.
            0 if ends_in_slash => EntryKind::Directory,
            0 | b'0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::CharDevice,
            b'4' => EntryKind::BlockDevice,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(unsupported(other, &path)),
        };
        let size = if kind == EntryKind::File { overrides.size.map_or_else(|| header.entry_size(), Ok)? } else { 0 };
        let is_device = matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice);
        let device =
            if is_device { (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0)) } else { (0, 0) };
        let link = overrides.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
        (self.left, self.padding) = (size, padding(size));
        Ok(Entry {
            path,
            kind,
            link: link.unwrap_or_default(),
            size,
            mode: header.mode()? & 0o7777,
            uid: overrides.uid.map_or_else(|| header.uid(), Ok)?,
            gid: overrides.gid.map_or_else(|| header.gid(), Ok)?,
            mtime: overrides.mtime.map_or_else(|| header.mtime().map(|mtime| mtime as i64), Ok)?,
            device,
            xattrs: overrides.xattrs,
        })
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Passes over the data of the current entry without reading it. Answers where in the input it begins.
    pub(super) fn pass_over(&mut self) -> Result<u64> {
        let offset = self.input.stream_position()?;
        let end = offset.checked_add(self.left).and_then(|end| end.checked_add(self.padding as u64));
        self.input.seek(SeekFrom::Start(end.ok_or_else(truncated)?))?;
        (self.left, self.padding) = (0, 0);
        Ok(offset)
    }
}

impl<R: Read> Read for Reader<R> {
    /// Reads data of the current entry; at its end, nothing.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(truncated().into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn truncated() -> Error {
    Error::input("the tar archive ends early")
}

fn unsupported(kind: u8, path: &[u8]) -> Error {
    let path = String::from_utf8_lossy(path).escape_debug().to_string();
    let kind = char::from(kind);
    let error =
        Error::new(ErrorKind::Unsupported, format!("`{path}` is a tar entry of type `{}`", kind.escape_debug()));
    if kind == 'S' {
        return error.with_hint("that is a sparse file: make the archive again without --sparse");
    }
    error
}

fn until_nul(mut data: Vec<u8>) -> Vec<u8> {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    data.truncate(end);
    data
}

/// Reads PAX records (POSIX.1-2001, pax, "Extended Header"): `LENGTH KEY=VALUE\n`.
fn pax(mut data: &[u8], global: bool, overrides: &mut Overrides) -> Result<()> {
    let malformed = || Error::input("a PAX header is malformed");
    while !data.is_empty() {
        let space = data.iter().take(20).position(|byte| *byte == b' ').ok_or_else(malformed)?;
        let length: usize = number(&data[..space]).ok_or_else(malformed)?;
        let record = data.get(space + 1..length).ok_or_else(malformed)?;
        let record = record.strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(malformed)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if global {
            refuse_global(key)?;
        } else {
            apply(key, value, overrides).ok_or_else(malformed)??;
        }
        data = &data[length..];
    }
    Ok(())
}

/// Readers disagree whether a global header changes the files after it, so it may only comment.
fn refuse_global(key: &[u8]) -> Result<()> {
    if matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime") {
        let key = String::from_utf8_lossy(key);
        return Err(Error::new(ErrorKind::Unsupported, format!("a global PAX header sets `{key}` for all files")));
    }
    Ok(())
}

/// Applies one record; `None` if its value is malformed.
fn apply(key: &[u8], value: &[u8], overrides: &mut Overrides) -> Option<Result<()>> {
    match key {
        b"path" | b"linkpath" if value.is_empty() || value.contains(&0) => return None,
        b"path" => overrides.path = Some(value.to_vec()),
        b"linkpath" => overrides.link = Some(value.to_vec()),
        // As in Go, a size is a signed number.
        b"size" => overrides.size = Some(number(value).filter(|size| i64::try_from(*size).is_ok())?),
        b"uid" => overrides.uid = Some(number(value)?),
        b"gid" => overrides.gid = Some(number(value)?),
        b"mtime" => {
            let whole = value.split(|byte| *byte == b'.').next()?;
            overrides.mtime = Some(std::str::from_utf8(whole).ok()?.parse().ok()?);
        }
        _ if key.starts_with(b"GNU.sparse.") => {
            let error = Error::new(ErrorKind::Unsupported, "the tar archive has a sparse file");
            return Some(Err(error.with_hint("make the archive again without --sparse")));
        }
        _ => {
            if let Some(name) = key.strip_prefix(PAX_XATTR.as_bytes()) {
                overrides.xattrs.insert(name.to_vec(), value.to_vec());
            }
        }
    }
    Some(Ok(()))
}

/// A decimal number without sign or space.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads until `buffer` is full or the input ends.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;

    fn round_trip(entries: &[Entry]) -> Vec<Entry> {
        let mut writer = Writer::new(Vec::new());
        for entry in entries {
            writer.append(entry, &mut io::repeat(b'x').take(entry.size)).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let mut reader = Reader::new(&bytes[..]);
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
    }

    #[test]
    fn reads_what_the_writer_writes() {
        let long = [vec![b'd'; 160], vec![b'\xff'; 155]].join(&b'/');
        let entries = [
            Entry { mtime: -5, uid: 1 << 40, ..Entry::file(long.clone(), 0o4755, 1000) },
            Entry { link: long, ..Entry::new("h", EntryKind::HardLink, 0o644) },
            Entry { device: (1, 3), ..Entry::new("null", EntryKind::CharDevice, 0o666) },
            Entry {
                xattrs: BTreeMap::from([(b"security.capability".to_vec(), vec![0, 10, 61])]),
                ..Entry::file("cap", 0o755, 0)
            },
            Entry::new("dir", EntryKind::Directory, 0o1777),
        ];
        assert_eq!(round_trip(&entries), entries);
    }

    #[test]
    fn the_size_of_a_pax_header_wins() {
        let mut bytes = Vec::new();
        let mut pax = Entry::file("PaxHeaders.0/a", 0, 13);
        pax.mode = 0;
        let mut writer = Writer::new(&mut bytes);
        writer.append(&pax, &mut &b"13 size=1024\n"[..]).unwrap();
        bytes[156] = b'x';
        fix_checksum(&mut bytes[..BLOCK]);
        Writer::new(&mut bytes).append(&Entry::file("a", 0o644, 0), &mut io::empty()).unwrap();
        bytes.extend([b'y'; 1024]);
        let mut reader = Reader::new(&bytes[..]);
        assert_eq!(reader.next_entry().unwrap().unwrap().size, 1024);
        assert!(reader.next_entry().unwrap().is_none());
    }

    fn fix_checksum(block: &mut [u8]) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }

    #[test]
    fn refuses_what_readers_disagree_about() {
        let archive = |kind: u8, data: &[u8]| {
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            writer.append(&Entry::file("a", 0o644, data.len() as u64), &mut &data[..]).unwrap();
            bytes[156] = kind;
            fix_checksum(&mut bytes[..BLOCK]);
            bytes
        };
        let after_empty = [archive(b'0', b""), vec![0; BLOCK], archive(b'0', b"")].concat();
        let cases: [(&str, Vec<u8>); 11] = [
            ("after an empty block", after_empty),
            ("malformed", archive(b'x', b"29 size=18446744073709551615\n")),
            ("wrong checksum", vec![b'x'; BLOCK]),
            ("ends early", vec![b'x'; 100]),
            ("ends early", archive(b'0', b"abc")[..BLOCK].to_vec()),
            ("type `S`", archive(b'S', b"")),
            ("malformed", archive(b'x', b"5 path=a\n")),
            ("malformed", archive(b'x', b"99999999999999999999 a=b\n")),
            ("malformed", archive(b'x', b"9 path=a\n\n")),
            ("sparse", archive(b'x', b"22 GNU.sparse.major=1\n")),
            ("global PAX", archive(b'g', b"10 path=a\n")),
        ];
        for (expected, bytes) in cases {
            let mut reader = Reader::new(&bytes[..]);
            let error = std::iter::from_fn(|| reader.next_entry().transpose()).find_map(Result::err);
            let error = error.unwrap_or_else(|| panic!("{expected}: read"));
            assert!(error.message().contains(expected), "{expected}: {error}");
        }
    }
}
