//! The one tar reader.
//!
//! The meaning of a sequence of headers is decided here, in one place and with limits, because disagreements
//! between readers have been a class of vulnerabilities of their own (CVE-2025-62518 and others: the
//! size of a PAX header must win over the header's). `docs/tar.md` lists the rules.

use std::io::{self, Read, Seek, SeekFrom};

use longshore_oci::{Error, Result};

use super::extensions::{Extensions, noun};
use super::header::{self, Block, Header};
use super::place::Place;
use super::{BLOCK, Entry, EntryKind, padding};

/// Largest PAX header or GNU long name, in bytes.
const EXTENSION_LIMIT: u64 = 1 << 20;

/// Reads a tar archive entry by entry; the data of an entry is read from the reader itself.
///
/// Reads v7, ustar, PAX, GNU and star archives. Sparse files, multi-volume archives and other kinds of
/// entry that a layer cannot have are [`ErrorKind::Unsupported`](longshore_oci::ErrorKind::Unsupported).
/// Errors name the entry and where its header begins.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// The offset in the archive of the next byte to read.
    position: u64,
    /// Unread bytes of the current entry, and the padding after them.
    left: u64,
    padding: usize,
    /// The header that was read last.
    current: Place,
}

impl<R: Read> Reader<R> {
    /// Starts to read an archive.
    pub fn new(input: R) -> Self {
        let current = Place { what: "tar entry", path: Vec::new(), offset: 0 };
        Self { input, position: 0, left: 0, padding: 0, current }
    }

    /// Returns the next entry, past unread data of the one before; `None` at the end.
    ///
    /// # Errors
    /// Not a tar archive; one that ends within an entry; a header that is malformed, that readers take
    /// for different things, or of a kind that is not read here.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip()?;
            let offset = self.position;
            let Some(block) = self.block()? else {
                extensions.check_end()?;
                return Ok(None);
            };
            let kind = header::kind(&block);
            let Some(what) = noun(kind) else {
                let path = extensions.path().map_or_else(|| header::path(&block), <[u8]>::to_vec);
                self.current = Place { what: "tar entry", path, offset };
                return self.entry(&block, extensions).map(Some);
            };
            self.current = Place { what, path: header::path(&block), offset };
            let data = self.extension(&block)?;
            extensions.add(kind, self.current.clone(), data)?;
        }
    }

    /// Returns where the header of the current entry begins in the archive, in bytes.
    pub fn offset(&self) -> u64 {
        self.current.offset
    }

    /// Returns whether the input turned out to have no bytes at all. Known after the last entry.
    pub fn is_empty(&self) -> bool {
        self.position == 0
    }

    /// Reads to the end of the input, past what follows the archive.
    ///
    /// # Errors
    /// Errors of the input.
    pub fn drain(mut self) -> Result<()> {
        self.skip()?;
        io::copy(&mut self.input, &mut io::sink())?;
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        let skipped = self.pass(self.left)?;
        if skipped < self.left {
            return Err(self.current.cut(self.position));
        }
        self.left = 0;
        // The last entry may lack its padding: its data is complete.
        self.pass(self.padding as u64)?;
        self.padding = 0;
        Ok(())
    }

    /// Reads `count` bytes, or fewer at the end of the input; returns how many.
    fn pass(&mut self, count: u64) -> Result<u64> {
        let passed = io::copy(&mut (&mut self.input).take(count), &mut io::sink());
        let passed = passed.map_err(|error| self.current.broken(self.position, error))?;
        self.position += passed;
        Ok(passed)
    }

    /// Reads until `buffer` is full or the input ends; returns how many bytes it has.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.current.broken(self.position + filled as u64, error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Reads the next header block and checks it. `None` at the end of the archive.
    fn block(&mut self) -> Result<Option<Block>> {
        let offset = self.position;
        let mut block = [0; BLOCK];
        let count = self.fill(&mut block)?;
        if offset == 0 && (1..BLOCK).contains(&count) {
            return Err(Error::input(format!("not a tar archive: it ends early, after {count} of {BLOCK} bytes")));
        }
        if block.iter().all(|byte| *byte == 0) {
            // An archive that ends without its empty blocks, or within them, is complete for other readers too.
            // If an entry follows the first empty block, some readers stop before it and others read it.
            let second = self.fill(&mut block)?;
            if block[..second].iter().any(|byte| *byte != 0) {
                let message = format!("the tar archive has an entry after an empty block, at byte {offset}");
                return Err(Error::input(message));
            }
            return Ok(None);
        }
        if count < BLOCK {
            return Err(Error::input(format!("the tar archive ends early: within the header at byte {offset}")));
        }
        if !header::is_checked(&block) {
            let after = if offset == 0 { String::new() } else { format!(", after the {},", self.current) };
            let message = format!("not a tar archive: the header at byte {offset}{after} has a wrong checksum");
            return Err(Error::input(message));
        }
        Ok(Some(block))
    }

    /// Reads the data of the current extension header.
    fn extension(&mut self, block: &Block) -> Result<Vec<u8>> {
        let place = &self.current;
        let size = Header::parse(block).map_err(|error| place.malformed(error.field, error.why))?.size;
        if size > EXTENSION_LIMIT {
            let why = format!("{size} bytes are more than the limit of {EXTENSION_LIMIT}");
            return Err(place.malformed("size", why));
        }
        let mut data = vec![0; size as usize];
        if self.fill(&mut data)? < data.len() {
            return Err(self.current.cut(self.position));
        }
        self.padding = padding(size);
        Ok(data)
    }

    /// Reads the header of the current entry.
    fn entry(&mut self, block: &Block, extensions: Extensions) -> Result<Entry> {
        let place = &self.current;
        let header = Header::parse(block).map_err(|error| place.malformed(error.field, error.why))?;
        let (link, records) = extensions.into_parts();
        if header::kind(block) == 0 && header::path(block).ends_with(b"/") != place.path.ends_with(b"/") {
            return Err(place.ambiguous("is a file or a directory: only one of its two names ends in a slash"));
        }
        let kind = entry_kind(header::kind(block), place)?;
        if records.is_sparse {
            return Err(place.unsupported("is a sparse file").with_hint(WITHOUT_SPARSE));
        }
        if kind != EntryKind::File && takes_room(header::kind(block), header.size, records.size) {
            return Err(place.ambiguous(format!("is a {kind} with a `size`: some readers skip as many bytes")));
        }
        let mut path = place.path.clone();
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        let size = if kind == EntryKind::File { records.size.unwrap_or(header.size) } else { 0 };
        (self.left, self.padding) = (size, padding(size));
        Ok(Entry {
            path,
            kind,
            link: link.unwrap_or(header.link),
            size,
            mode: header.mode,
            uid: records.uid.unwrap_or(header.uid),
            gid: records.gid.unwrap_or(header.gid),
            mtime: records.mtime.unwrap_or(header.mtime),
            device: header.device,
            xattrs: records.xattrs,
        })
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Returns the header of the current entry, for errors.
    pub(super) fn place(&self) -> &Place {
        &self.current
    }

    /// Returns the offset of the current entry's data in the archive, if none of it has been read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Skips the data of the current entry without reading it, even past the end of the input.
    pub(super) fn pass_over(&mut self) -> Result<()> {
        let count = self.left.checked_add(self.padding as u64).and_then(|count| i64::try_from(count).ok());
        let count = count.ok_or_else(|| self.current.malformed("size", "the number is out of range"))?;
        self.input.seek(SeekFrom::Current(count))?;
        self.position += count.unsigned_abs();
        (self.left, self.padding) = (0, 0);
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    /// Reads data of the current entry; nothing at its end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = match self.input.read(&mut buffer[..wanted]) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(self.current.broken(self.position, error).into());
            }
            read => read?,
        };
        if count == 0 {
            return Err(self.current.cut(self.position).into());
        }
        self.position += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

const WITHOUT_SPARSE: &str = "recreate the archive without --sparse";

/// Returns the kind of the entry with the header at `place`.
fn entry_kind(kind: u8, place: &Place) -> Result<EntryKind> {
    let ends_in_slash = place.path.ends_with(b"/");
    Ok(match kind {
        // Before ustar, a directory was a file with a name that ends in a slash.
        0 if ends_in_slash => EntryKind::Directory,
        b'0' | b'7' if ends_in_slash => {
            return Err(place.ambiguous("is a regular file whose name ends in a slash, to some readers a directory"));
        }
        0 | b'0' | b'7' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        b'S' => return Err(place.unsupported("is a sparse file").with_hint(WITHOUT_SPARSE)),
        other => {
            let kind = char::from(other).escape_debug();
            return Err(place.unsupported(format!("is of the type `{kind}`, which layers do not have")));
        }
    })
}

/// Returns whether some readers expect `size` bytes of data after an entry of this kind, which has none. In the
/// header itself, the size of hard links and directories means something else to all readers.
fn takes_room(kind: u8, header: u64, pax: Option<u64>) -> bool {
    let size = match kind {
        b'5' => 0,
        b'1' => pax.unwrap_or(0),
        _ => pax.unwrap_or(header),
    };
    size > 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
        let sparse = [archive(b'x', b"22 GNU.sparse.major=1\n"), archive(b'0', b"")].concat();
        let cases: [(&str, Vec<u8>); 11] = [
            ("after an empty block, at byte 512", after_empty),
            ("malformed `size`", archive(b'x', b"29 size=18446744073709551615\n")),
            ("wrong checksum", vec![b'x'; BLOCK]),
            ("ends early, after 100 of 512 bytes", vec![b'x'; 100]),
            (
                "ends early: at byte 514, within the tar entry `a` at byte 0",
                archive(b'0', b"abc")[..BLOCK + 2].to_vec(),
            ),
            ("tar entry `a` at byte 0 is a sparse file", archive(b'S', b"")),
            ("malformed", archive(b'x', b"5 path=a\n")),
            ("malformed", archive(b'x', b"99999999999999999999 a=b\n")),
            ("malformed", archive(b'x', b"9 path=a\n\n")),
            ("tar entry `a` at byte 1024 is a sparse file", sparse),
            ("`a` at byte 0 sets `path` for all files", archive(b'g', b"10 path=a\n")),
        ];
        for (expected, bytes) in cases {
            let mut reader = Reader::new(&bytes[..]);
            let error = std::iter::from_fn(|| reader.next_entry().transpose()).find_map(Result::err);
            let error = error.unwrap_or_else(|| panic!("{expected}: read"));
            assert!(error.message().contains(expected), "{expected}: {error}");
        }
    }
}
