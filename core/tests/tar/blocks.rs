//! Header blocks, field by field.

use std::ops::Range;

pub const BLOCK: usize = 512;

pub const NAME: Range<usize> = 0..100;
pub const MODE: Range<usize> = 100..108;
pub const UID: Range<usize> = 108..116;
pub const GID: Range<usize> = 116..124;
pub const SIZE: Range<usize> = 124..136;
pub const MTIME: Range<usize> = 136..148;
pub const CHECKSUM: Range<usize> = 148..156;
pub const KIND: Range<usize> = 156..157;
pub const LINK: Range<usize> = 157..257;
pub const MAGIC: Range<usize> = 257..265;
pub const MAJOR: Range<usize> = 329..337;
pub const MINOR: Range<usize> = 337..345;
pub const PREFIX: Range<usize> = 345..500;

/// A header block; without changes, of an empty regular file in a ustar archive.
#[derive(Debug, Clone)]
pub struct Header([u8; BLOCK]);

impl Header {
    pub fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        let header = Self([0; BLOCK]).with(NAME, name).with(MODE, "0000640\0").with(UID, "0001750\0");
        let header = header.with(GID, "0000144\0").with(SIZE, "00000000000\0").with(MTIME, "14000000000\0");
        header.with(KIND, [kind]).with(MAGIC, "ustar\x0000").with(MAJOR, "0000000\0").with(MINOR, "0000000\0")
    }

    /// Replaces a field; bytes that it lacks are NUL.
    pub fn with(mut self, field: Range<usize>, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.0[field.clone()].fill(0);
        self.0[field.start..field.start + value.len()].copy_from_slice(value);
        self
    }

    pub fn kind(&self) -> u8 {
        self.0[KIND.start]
    }

    pub fn size(self, size: usize) -> Self {
        self.with(SIZE, format!("{size:011o}\0"))
    }

    /// The block with its checksum.
    pub fn block(self) -> Vec<u8> {
        let sum: i64 = self.bytes().map(i64::from).sum();
        self.checked(&format!("{sum:06o}\0 "))
    }

    /// The block with the checksum of writers whose bytes have a sign.
    pub fn signed_block(self) -> Vec<u8> {
        let sum: i64 = self.bytes().map(|byte| i64::from(byte.cast_signed())).sum();
        self.checked(&format!("{sum:06o}\0 "))
    }

    /// The block with its checksum written in a form of its own, by its value.
    pub fn block_with(self, checksum: impl Fn(i64) -> String) -> Vec<u8> {
        let sum: i64 = self.bytes().map(i64::from).sum();
        self.checked(&checksum(sum))
    }

    fn checked(self, checksum: &str) -> Vec<u8> {
        self.with(CHECKSUM, checksum).0.to_vec()
    }

    /// The bytes that the checksum is of: its own field counts as spaces.
    fn bytes(&self) -> impl Iterator<Item = u8> {
        let header = self.clone().with(CHECKSUM, "        ");
        header.0.into_iter()
    }
}

/// A regular file.
pub fn file(name: &str, content: &[u8]) -> Vec<u8> {
    padded([Header::new(b'0', name).size(content.len()).block(), content.to_vec()].concat())
}

/// A header that says more about the entry after it.
pub fn extension(kind: u8, data: impl AsRef<[u8]>) -> Vec<u8> {
    let (name, data) = (if kind == b'x' || kind == b'g' { "pax/header" } else { "././@LongLink" }, data.as_ref());
    padded([Header::new(kind, name).size(data.len()).block(), data.to_vec()].concat())
}

/// A PAX header with these records.
pub fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    extension(b'x', records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<_>>())
}

/// A PAX record; its length counts itself.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
    [length.to_string().as_bytes(), &rest].concat()
}

/// Bytes up to the end of a block.
pub fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// An archive of these parts.
pub fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), vec![0; 2 * BLOCK]].concat()
}
