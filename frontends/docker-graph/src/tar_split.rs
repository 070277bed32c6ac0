//! tar-split: the parts of a tar archive that are not in files (vbatts/tar-split, `tar/storage`).
//!
//! JSON lines in the order of the archive: segments hold bytes of it, such as headers and padding; files
//! stand for the content of a file, with its size and CRC-64.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_core::{Context, Error, Result};
use serde::Deserialize;

/// Longest line. A segment holds a header with its extensions, or a mebibyte of data after the archive.
const LINE_LIMIT: u64 = 16 << 20;

/// The checksum of no bytes. A link with a size in its header gets an entry with that size, although no content
/// follows. dockerd looks for the content, and cannot read such a layer back; the diffID shows that we can.
const OF_NOTHING: u64 = 0;

/// A part of a tar archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Bytes of the archive.
    Segment(Vec<u8>),
    /// The content of a file.
    File {
        /// Its path in the archive.
        name: Vec<u8>,
        /// Its size in bytes, at least 1.
        size: u64,
        /// Its CRC-64 (GO-ISO).
        crc: u64,
    },
}

/// Reads parts, in order.
pub(crate) struct Parts<R> {
    lines: BufReader<R>,
    line: Vec<u8>,
    position: u64,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    name_raw: Option<Text<'a>>,
    #[serde(default)]
    size: u64,
    #[serde(borrow)]
    payload: Option<Text<'a>>,
    position: u64,
}

/// Borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<R: Read> Parts<R> {
    /// Reads the parts in uncompressed `input`.
    pub(crate) fn new(input: R) -> Self {
        Self { lines: BufReader::with_capacity(64 << 10, input), line: Vec::new(), position: 0 }
    }

    /// Returns the next part; `None` at the end. Entries without content, such as directories, are skipped.
    ///
    /// # Errors
    /// A line that tar-split would not write, or one out of order.
    pub(crate) fn next_part(&mut self) -> Result<Option<Part>> {
        loop {
            self.line.clear();
            self.lines.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut self.line)?;
            if self.line.is_empty() {
                return Ok(None);
            }
            let position = self.position;
            if let Some(part) = part(&self.line, position).attempt(|| format!("tar-split, entry {position}"))? {
                self.position += 1;
                return Ok(Some(part));
            }
            self.position += 1;
        }
    }
}

fn part(line: &[u8], position: u64) -> Result<Option<Part>> {
    if !line.ends_with(b"\n") {
        let cut = if line.len() as u64 == LINE_LIMIT { "it is too long" } else { "it is truncated" };
        return Err(Error::corrupt(cut));
    }
    let malformed = |error: serde_json::Error| Error::corrupt("it is malformed").with_source(error);
    let line: Line<'_> = serde_json::from_slice(line).map_err(malformed)?;
    if line.position != position {
        return Err(Error::corrupt(format!("it claims to be entry {}", line.position)));
    }
    match line.kind {
        1 if line.size == 0 => Ok(None),
        1 => {
            let crc = decode(line.payload.as_ref().unwrap_or(&Text(Cow::Borrowed(""))))?;
            let crc = crc.try_into().map_err(|_| Error::corrupt("its checksum is not 8 bytes long"))?;
            if u64::from_be_bytes(crc) == OF_NOTHING {
                return Ok(None);
            }
            let name = match &line.name_raw {
                Some(raw) if !raw.0.is_empty() => decode(raw)?,
                _ => line.name.map(|name| name.0.into_owned().into_bytes()).unwrap_or_default(),
            };
            Ok(Some(Part::File { name, size: line.size, crc: u64::from_be_bytes(crc) }))
        }
        2 => Ok(Some(Part::Segment(line.payload.as_ref().map(decode).transpose()?.unwrap_or_default()))),
        kind => Err(Error::corrupt(format!("it is of an unknown type, {kind}"))),
    }
}

fn decode(text: &Text<'_>) -> Result<Vec<u8>> {
    STANDARD.decode(text.0.as_bytes()).map_err(|error| Error::corrupt("it is not in base64").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<Vec<Part>> {
        let mut parts = Parts::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(part) = parts.next_part()? {
            all.push(part);
        }
        Ok(all)
    }

    #[test]
    fn parts_in_order() {
        let text = concat!(
            r#"{"type":2,"payload":"AQI=","position":0}"#,
            "\n",
            r#"{"type":1,"name":"d/","payload":null,"position":1}"#,
            "\n",
            r#"{"type":1,"name":"a\u0026b","size":9,"payload":"uQlWx3WkEAE=","position":2}"#,
            "\n",
            r#"{"type":1,"name_raw":"/w==","size":1,"payload":"AAAAAAAAAAE=","position":3}"#,
            "\n",
            r#"{"type":1,"name":"link","size":9,"payload":"AAAAAAAAAAA=","position":4}"#,
            "\n",
            r#"{"type":2,"payload":"","position":5}"#,
            "\n",
        );
        let expected = vec![
            Part::Segment(vec![1, 2]),
            Part::File { name: b"a&b".to_vec(), size: 9, crc: 0xb909_56c7_75a4_1001 },
            Part::File { name: vec![0xff], size: 1, crc: 1 },
            Part::Segment(Vec::new()),
        ];
        assert_eq!(parts(text).unwrap(), expected);
    }

    #[test]
    fn bad_lines_are_named() {
        for (line, expected) in [
            (r#"{"type":2,"payload":"AQI=","position":0}"#, "tar-split, entry 0: it is truncated"),
            ("{\n", "it is malformed"),
            ("{\"type\":2,\"payload\":null,\"position\":1}\n", "it claims to be entry 1"),
            ("{\"type\":3,\"payload\":null,\"position\":0}\n", "unknown type, 3"),
            ("{\"type\":2,\"payload\":\"?\",\"position\":0}\n", "not in base64"),
            ("{\"type\":1,\"name\":\"a\",\"size\":1,\"payload\":null,\"position\":0}\n", "not 8 bytes long"),
            ("{\"type\":1,\"name\":\"a\",\"size\":-1,\"payload\":null,\"position\":0}\n", "malformed"),
        ] {
            let error = parts(line).unwrap_err();
            assert_eq!(error.kind(), longshore_core::ErrorKind::Corrupt, "{line}");
            assert!(error.with_causes().contains(expected), "{}", error.with_causes());
        }
    }
}
