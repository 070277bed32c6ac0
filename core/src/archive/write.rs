//! The one tar writer.
//!
//! The header format is chosen as by Go's `archive/tar` for PAX: plain ustar if everything fits, otherwise
//! a PAX header with only the records that do not fit, sorted by key.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::{BLOCK, Entry, EntryKind, PAX_XATTR, padding};

const NAME: usize = 100;
const PREFIX: usize = 155;

/// Writes a tar archive to `W`.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes an entry and, for a regular file, all of `data`, which has [`Entry::size`] bytes.
    ///
    /// `data` is read to its end, where verifying readers say whether they are content.
    ///
    /// # Errors
    /// `UnexpectedEof` if `data` is shorter, `InvalidData` if it is longer, and the errors of `data`
    /// and of the output. The archive is of no use after one.
    pub fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
        self.header(entry)?;
        let size = if entry.kind == EntryKind::File { entry.size } else { 0 };
        let copied = copy(&mut (&mut *data).take(size), &mut self.out)?;
        if copied < size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{copied} of {size} bytes")));
        }
        if io::copy(&mut data.take(1), &mut io::sink())? > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {size} bytes")));
        }
        self.out.write_all(&[0; BLOCK][..padding(size)])
    }

    /// Ends the archive with two empty blocks.
    ///
    /// # Errors
    /// Errors of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    /// Writes everything before the data of an entry.
    pub(crate) fn header(&mut self, entry: &Entry) -> io::Result<()> {
        let mut path = entry.path.clone();
        if entry.kind == EntryKind::Directory {
            path.push(b'/');
        }
        let records = Records::of(entry, &path);
        if records.ustar_is_enough {
            let (prefix, name) = split(&path).unwrap_or((b"", &path));
            return self.out.write_all(&block(entry, name, prefix));
        }
        self.pax(&path, &records.pax)?;
        self.out.write_all(&block(entry, &ascii(&path), b""))
    }

    /// Returns the output, without ending the archive.
    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn pax(&mut self, path: &[u8], records: &BTreeMap<Vec<u8>, Vec<u8>>) -> io::Result<()> {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let (directory, file) = slash.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
        let name = [directory, b"PaxHeaders.0", file].into_iter().filter(|part| !part.is_empty());
        let mut name = ascii(&name.collect::<Vec<_>>().join(&b'/'));
        name.truncate(NAME);
        while name.last() == Some(&b'/') {
            name.pop();
        }
        let header = Entry::file(name, 0, data.len() as u64);
        let mut block = block(&header, &header.path, b"");
        block[TYPE] = b'x';
        // Go leaves the device numbers of this header empty.
        block[329..345].fill(0);
        checksum(&mut block);
        self.out.write_all(&block)?;
        self.out.write_all(&data)?;
        self.out.write_all(&[0; BLOCK][..padding(data.len() as u64)])
    }
}

/// Copies all of `from`, in steps large enough to keep system calls few.
pub(crate) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<u64> {
    let mut buffer = [0; 64 << 10];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => {
                to.write_all(&buffer[..count])?;
                copied += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Values that do not fit a ustar header, and whether they are needed.
struct Records {
    pax: BTreeMap<Vec<u8>, Vec<u8>>,
    ustar_is_enough: bool,
}

impl Records {
    fn of(entry: &Entry, path: &[u8]) -> Self {
        let mut records = Self { pax: BTreeMap::new(), ustar_is_enough: true };
        let fits = path.len() <= NAME || split(path).is_some();
        if !path.is_ascii() || path.len() > NAME {
            // Also written for a split name, if something else needs PAX.
            records.add("path", path, fits && path.is_ascii());
        }
        if !entry.link.is_ascii() || entry.link.len() > NAME {
            records.add("linkpath", &entry.link, false);
        }
        let numbers = [
            ("uid", i128::from(entry.uid), 8),
            ("gid", i128::from(entry.gid), 8),
            ("size", i128::from(entry.size), 12),
            ("mtime", i128::from(entry.mtime), 12),
        ];
        for (key, number, width) in numbers {
            if !fits_octal(number, width) {
                records.add(key, number.to_string().as_bytes(), false);
            }
        }
        for (name, value) in &entry.xattrs {
            records.add([PAX_XATTR.as_bytes(), name].concat(), value, false);
        }
        records
    }

    fn add(&mut self, key: impl Into<Vec<u8>>, value: &[u8], ustar_is_enough: bool) {
        self.pax.insert(key.into(), value.to_vec());
        self.ustar_is_enough &= ustar_is_enough;
    }
}

/// Splits a path at a slash into ustar's prefix and name, if it is too long for the name alone.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME || !path.is_ascii() {
        return None;
    }
    let searched = if path.len() > PREFIX + 1 { &path[..=PREFIX] } else { path.strip_suffix(b"/").unwrap_or(path) };
    let slash = searched.iter().rposition(|byte| *byte == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && !name.is_empty() && name.len() <= NAME).then_some((prefix, name))
}

/// Drops non-ASCII bytes, for ustar fields that a PAX record overrides.
fn ascii(name: &[u8]) -> Vec<u8> {
    name.iter().copied().filter(|byte| byte.is_ascii() && *byte != 0).collect()
}

fn fits_octal(number: i128, width: usize) -> bool {
    number >= 0 && number < 1 << ((width - 1) * 3)
}

/// Returns a PAX record, whose decimal length counts itself.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let fixed = key.len() + value.len() + 3;
    let mut length = fixed + fixed.to_string().len();
    if length.to_string().len() != fixed.to_string().len() {
        length = fixed + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

const TYPE: usize = 156;

/// Returns a ustar header block (POSIX.1-1988, pax interchange format, "ustar").
fn block(entry: &Entry, name: &[u8], prefix: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    text(&mut block[0..NAME], name);
    octal(&mut block[100..108], entry.mode.into());
    octal(&mut block[108..116], entry.uid.into());
    octal(&mut block[116..124], entry.gid.into());
    octal(&mut block[124..136], entry.size.into());
    octal(&mut block[136..148], entry.mtime.into());
    block[TYPE] = match entry.kind {
        EntryKind::File => b'0',
        EntryKind::HardLink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::CharDevice => b'3',
        EntryKind::BlockDevice => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    };
    text(&mut block[157..257], &ascii(&entry.link));
    block[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut block[329..337], entry.device.0.into());
    octal(&mut block[337..345], entry.device.1.into());
    text(&mut block[345..500], prefix);
    checksum(&mut block);
    block
}

fn text(field: &mut [u8], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
    if value.len() > field.len() && field[length - 1] == b'/' {
        // A truncated name that ends in a slash would be a directory to some readers.
        let kept = field.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
        field[kept] = 0;
    }
}

/// Writes `number`, or 0 if it does not fit and is in a PAX record.
fn octal(field: &mut [u8], number: i128) {
    let number = if fits_octal(number, field.len()) { number } else { 0 };
    let digits = field.len() - 1;
    field[..digits].copy_from_slice(format!("{number:0digits$o}").as_bytes());
    field[digits] = 0;
}

fn checksum(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    octal(&mut block[148..155], sum.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entry: &Entry) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        writer.append(entry, &mut &vec![b'x'; entry.size as usize][..]).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn a_record_counts_its_own_length() {
        assert_eq!(record(b"path", b"x"), b"9 path=x\n");
        assert_eq!(record(b"pat", &[b'x'; 91]).len(), 99);
        assert!(record(b"pat", &[b'x'; 91]).starts_with(b"99 pat="));
        assert!(record(b"pat", &[b'x'; 92]).starts_with(b"101 pat="));
    }

    #[test]
    fn long_names_split_at_the_last_slash_that_fits() {
        let path = [vec![b'd'; 90], vec![b'e'; 60]].join(&b'/');
        let (prefix, name) = split(&path).unwrap();
        assert_eq!((prefix.len(), name.len()), (90, 60));
        assert_eq!(split(&[vec![b'd'; 160], vec![b'e'; 10]].join(&b'/')), None);
        assert_eq!(split(&[b'd'; 101]), None);
        assert_eq!(split(&[b'd'; 100]), None);
    }

    #[test]
    fn plain_headers_need_no_pax() {
        assert_eq!(written(&Entry::file("a", 0o644, 3)).len(), 4 * BLOCK);
        assert_eq!(written(&Entry::new("d", EntryKind::Directory, 0o755)).len(), 3 * BLOCK);
    }

    #[test]
    fn what_does_not_fit_becomes_a_record() {
        let cases: [(&str, Entry); 5] = [
            ("uid=2097152\n", Entry { uid: 1 << 21, ..Entry::file("a", 0o644, 0) }),
            ("mtime=-5\n", Entry { mtime: -5, ..Entry::file("a", 0o644, 0) }),
            ("path=caf\u{e9}\n", Entry::file("caf\u{e9}", 0o644, 0)),
            ("linkpath=é\n", Entry { link: "é".into(), ..Entry::new("a", EntryKind::Symlink, 0o777) }),
            (
                "SCHILY.xattr.security.capability=\u{1}\u{2}\n",
                Entry {
                    xattrs: BTreeMap::from([(b"security.capability".to_vec(), vec![1, 2])]),
                    ..Entry::file("a", 0o755, 0)
                },
            ),
        ];
        for (record, entry) in cases {
            let bytes = written(&entry);
            assert_eq!(bytes[TYPE], b'x', "{record}");
            let found = bytes.windows(record.len()).any(|window| window == record.as_bytes());
            assert!(found, "{record}");
        }
    }

    #[test]
    fn data_of_another_size_is_an_error() {
        let error = |size| {
            let mut writer = Writer::new(Vec::new());
            writer.append(&Entry::file("a", 0o644, size), &mut &b"abc"[..]).unwrap_err()
        };
        assert_eq!((error(5).kind(), error(5).to_string().as_str()), (io::ErrorKind::UnexpectedEof, "3 of 5 bytes"));
        assert_eq!((error(2).kind(), error(2).to_string().as_str()), (io::ErrorKind::InvalidData, "more than 2 bytes"));
    }
}
