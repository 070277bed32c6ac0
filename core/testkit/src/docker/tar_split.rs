//! Archives taken apart like tar-split: everything but the contents of files becomes a list.

use std::io::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::Compression;
use flate2::write::GzEncoder;
use longshore_core::oci::json;
use serde_json::{Map, Value};

use super::archive;
use super::crc64::crc64;

/// Most bytes after the end of an archive in one entry.
const JUNK: usize = 1 << 20;

/// An archive taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The list, in the order of the archive.
    pub entries: Vec<SplitEntry>,
    /// What the list does not hold, in the same order.
    pub files: Vec<SplitFile>,
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitEntry {
    /// Bytes of the archive: headers, padding, the blocks at its end, and anything after them.
    Segment(Vec<u8>),
    /// The place of a file's content in the archive.
    File {
        /// Its name in the archive.
        name: Vec<u8>,
        /// Bytes of content; 0 for anything but a regular file.
        size: u64,
        /// The CRC-64 of the content, if there is any.
        checksum: Option<u64>,
    },
}

/// A regular file that has content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitFile {
    /// Its name as it stands in the archive.
    pub name: Vec<u8>,
    /// Its content.
    pub content: Vec<u8>,
}

/// Takes an uncompressed archive apart.
///
/// Each file is an entry for its headers and one for itself, and so is a global PAX header. Two things are
/// other than in dockerd: it refuses an archive with a path twice, and for a link with a size it writes
/// that size, although no content follows, so that it cannot read such a layer again. Here the size is 0.
///
/// # Panics
/// If it is not a tar archive, or if it has sparse files.
pub fn split(tar: &[u8]) -> Split {
    let archive = archive::read(tar);
    let mut split = Split { entries: Vec::new(), files: Vec::new() };
    let segment = |bytes: &[u8]| SplitEntry::Segment(bytes.to_vec());
    for member in archive.members {
        let size = member.content.len() as u64;
        let checksum = (size > 0).then(|| crc64(member.content));
        split.entries.push(segment(member.raw));
        split.entries.push(SplitEntry::File { name: member.name.clone(), size, checksum });
        if size > 0 {
            split.files.push(SplitFile { name: member.name, content: member.content.to_vec() });
        }
    }
    // The last one is always empty: dockerd, at least up to 20.10, counts the read at the end as one.
    let end = Some(archive.end).filter(|end| !end.is_empty()).into_iter();
    split.entries.extend(end.chain(archive.junk.chunks(JUNK)).chain([&[][..]]).map(segment));
    split
}

impl Split {
    /// Returns the list as JSON, one object a line.
    pub fn json(&self) -> Vec<u8> {
        let lines = self.entries.iter().enumerate().flat_map(|(position, entry)| {
            let mut line = json::compact(&entry.document(position)).expect("an object is JSON");
            line.push(b'\n');
            line
        });
        lines.collect()
    }

    /// Returns the list as `tar-split.json.gz` holds it.
    pub fn gzip(&self) -> Vec<u8> {
        gzip(&self.json())
    }
}

impl SplitEntry {
    /// Returns the fields in tar-split's order; empty ones are omitted, except the payload.
    fn document(&self, position: usize) -> Map<String, Value> {
        let mut document = Map::new();
        let mut put = |key: &str, value: Value| drop(document.insert(key.to_owned(), value));
        let base64 = |bytes: &[u8]| Value::from(BASE64_STANDARD.encode(bytes));
        match self {
            Self::Segment(bytes) => {
                put("type", 2.into());
                put("payload", base64(bytes));
            }
            Self::File { name, size, checksum } => {
                put("type", 1.into());
                match str::from_utf8(name) {
                    Ok("") => {}
                    Ok(name) => put("name", name.into()),
                    Err(_) => put("name_raw", base64(name)),
                }
                if *size > 0 {
                    put("size", (*size).into());
                }
                put("payload", checksum.map_or(Value::Null, |checksum| base64(&checksum.to_be_bytes())));
            }
        }
        put("position", position.into());
        document
    }
}

/// Compresses `bytes`, for lists that no archive gives.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory can be written")
}
