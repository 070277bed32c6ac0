//! The headers of a tar archive, read by the kit itself in the way of Go's `archive/tar`, with which
//! dockerd extracts archives.

use std::ops::Range;

const BLOCK: usize = 512;

/// The kind of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    Directory,
    /// A device or a pipe.
    Special,
    /// A global PAX header, which Go returns as a separate file.
    Global,
}

/// A file in an archive.
#[derive(Debug)]
pub(super) struct Member<'a> {
    /// Everything between the previous content and this one: padding and headers.
    pub(super) raw: &'a [u8],
    /// The name in the archive, including extension headers.
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// The target of a link.
    pub(super) link: Vec<u8>,
    /// Empty for all but regular files.
    pub(super) content: &'a [u8],
}

/// A whole archive: its bytes are those of its parts, in order.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    pub(super) members: Vec<Member<'a>>,
    /// Padding of the last member and the two empty blocks, as far as present.
    pub(super) end: &'a [u8],
    /// Bytes after them.
    pub(super) junk: &'a [u8],
}

/// Reads an archive.
///
/// # Panics
/// If Go would refuse it, or if it has sparse files.
pub(super) fn read(tar: &[u8]) -> Archive<'_> {
    let mut parser = Parser { tar, at: 0, content_end: 0 };
    let mut members = Vec::new();
    while let Some(member) = parser.member() {
        members.push(member);
    }
    let (end, junk) = tar[parser.content_end..].split_at(parser.at - parser.content_end);
    Archive { members, end, junk }
}

/// The contents of extension headers before a file.
#[derive(Debug, Default)]
struct Extensions {
    /// From a PAX header.
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<usize>,
    /// From GNU headers, which take precedence.
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

struct Parser<'a> {
    tar: &'a [u8],
    at: usize,
    /// Where the content of the last member ended.
    content_end: usize,
}

impl<'a> Parser<'a> {
    fn member(&mut self) -> Option<Member<'a>> {
        let mut extensions = Extensions::default();
        loop {
            let header = self.header()?;
            match header[156] {
                b'x' => extensions = self.records(header).with_long(extensions),
                b'L' => extensions.long_name = Some(until_nul(self.data(header)).to_vec()),
                b'K' => extensions.long_link = Some(until_nul(self.data(header)).to_vec()),
                b'g' => {
                    let at = self.at;
                    let name = self.records(header).path.unwrap_or_else(|| name(header));
                    // Go reads only the records, so their padding belongs to the next file.
                    let end = at + number(&header[124..136]);
                    return Some(self.finish(name, Kind::Global, Vec::new(), end..end));
                }
                b'S' => panic!("{} at byte {} is a sparse file", shown(&name(header)), self.at - BLOCK),
                _ => return Some(self.file(header, extensions)),
            }
        }
    }

    /// Returns the next header; `None` at the end, with [`at`](Self::at) then behind it.
    fn header(&mut self) -> Option<&'a [u8]> {
        let block = self.block()?;
        if block.iter().all(|byte| *byte == 0) {
            let next = self.block();
            let ends = next.is_none_or(|next| next.iter().all(|byte| *byte == 0));
            assert!(ends, "an empty block and then another one, at byte {}", self.at);
            return None;
        }
        assert!(checksums(block).contains(&(number(&block[148..156]) as i64)), "no header at byte {}", self.at - BLOCK);
        Some(block)
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        // The padding of the last file may be missing.
        self.at = self.at.min(self.tar.len());
        if self.at == self.tar.len() {
            return None;
        }
        let block = self.tar.get(self.at..self.at + BLOCK);
        self.at += BLOCK;
        Some(block.unwrap_or_else(|| panic!("the archive ends inside of a block, at byte {}", self.tar.len())))
    }

    /// Returns the data of an extension header.
    fn data(&mut self, header: &[u8]) -> &'a [u8] {
        let data = self.range(number(&header[124..136]));
        self.at = data.end.next_multiple_of(BLOCK);
        &self.tar[data]
    }

    fn range(&self, size: usize) -> Range<usize> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.tar.len());
        self.at..end.unwrap_or_else(|| panic!("{size} bytes of data at byte {} are not there", self.at))
    }

    /// Returns the records of a PAX header.
    fn records(&mut self, header: &[u8]) -> Extensions {
        let at = self.at;
        let mut rest = self.data(header);
        let mut extensions = Extensions::default();
        while !rest.is_empty() {
            let record = record(rest).unwrap_or_else(|| panic!("the PAX header at byte {at} is none"));
            rest = &rest[record.length..];
            // An empty value restores the one in the ustar header.
            let value = Some(record.value.to_vec()).filter(|value| !value.is_empty());
            match record.key {
                b"path" => extensions.path = value,
                b"linkpath" => extensions.link = value,
                b"size" => extensions.size = value.map(|value| decimal(&value)),
                key => assert!(!key.starts_with(b"GNU.sparse."), "the header at byte {at} is of a sparse file"),
            }
        }
        extensions
    }

    fn file(&mut self, header: &[u8], extensions: Extensions) -> Member<'a> {
        let name = extensions.long_name.or(extensions.path).unwrap_or_else(|| name(header));
        let link = extensions.long_link.or(extensions.link).unwrap_or_else(|| until_nul(&header[157..257]).to_vec());
        let kind = match header[156] {
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' | b'4' | b'6' => Kind::Special,
            b'5' => Kind::Directory,
            // Before POSIX, this was the only way to mark a directory.
            0 if name.ends_with(b"/") => Kind::Directory,
            _ => Kind::File,
        };
        let size = extensions.size.unwrap_or_else(|| number(&header[124..136]));
        let content = self.range(if kind == Kind::File { size } else { 0 });
        self.finish(name, kind, link, content)
    }

    fn finish(&mut self, name: Vec<u8>, kind: Kind, link: Vec<u8>, content: Range<usize>) -> Member<'a> {
        let raw = &self.tar[self.content_end..content.start];
        self.content_end = content.end;
        self.at = content.end.next_multiple_of(BLOCK);
        Member { raw, name, kind, link, content: &self.tar[content] }
    }
}

impl Extensions {
    /// Adds the names from GNU headers.
    fn with_long(self, other: Self) -> Self {
        Self { long_name: other.long_name, long_link: other.long_link, ..self }
    }
}

/// Returns the checksum of a header, with unsigned bytes as in POSIX, and with signed ones as in some old tars.
fn checksums(block: &[u8]) -> [i64; 2] {
    // The field itself counts as spaces.
    let bytes = || block[..148].iter().chain(b"        ").chain(&block[156..]);
    [bytes().map(|byte| i64::from(*byte)).sum(), bytes().map(|byte| i64::from(byte.cast_signed())).sum()]
}

struct Record<'a> {
    length: usize,
    key: &'a [u8],
    value: &'a [u8],
}

/// Returns the first record, `LENGTH KEY=VALUE\n`, whose length includes itself.
fn record(data: &[u8]) -> Option<Record<'_>> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let length = str::from_utf8(&data[..space]).ok()?.parse().ok()?;
    let pair = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some(Record { length, key: &pair[..equals], value: &pair[equals + 1..] })
}

/// Returns the name in a header block; only POSIX headers have a prefix.
fn name(header: &[u8]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    // `star` has a shorter prefix, followed by times.
    let prefix = if &header[508..512] == b"tar\0" { &header[345..476] } else { &header[345..500] };
    let prefix = if &header[257..263] == b"ustar\0" { until_nul(prefix) } else { b"" };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// Returns an octal number, or one in base 256 if its first bit is set.
fn number(field: &[u8]) -> usize {
    if field[0] & 0x80 != 0 {
        assert!(field[0] == 0x80, "a number in a tar header is negative, or far too large");
        let digits = field[1..].iter();
        return digits.fold(0, |number: usize, byte| {
            let number = number.checked_mul(256).expect("a number in a tar header is far too large");
            number + usize::from(*byte)
        });
    }
    let outer = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !outer(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(outer).unwrap_or(digits.len());
    digits[..end].iter().fold(0, |number, digit| {
        assert!((b'0'..=b'7').contains(digit), "`{}` in a tar header is not octal", digits.escape_ascii());
        number * 8 + usize::from(digit - b'0')
    })
}

fn decimal(digits: &[u8]) -> usize {
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.unwrap_or_else(|| panic!("`{}` in a PAX header is not a size", digits.escape_ascii()))
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Returns a name for display.
pub(super) fn shown(name: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(name).escape_debug())
}
