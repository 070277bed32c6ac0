//! One header block: its fields in each of tar's dialects.
//!
//! The magic distinguishes v7, old GNU, ustar and star; the version after ustar's magic is ignored,
//! because old writers leave it empty. PAX archives have ustar headers. A field that GNU tar, Python's
//! `tarfile` and Go's `archive/tar` read alike is read the same way here; where they differ, it is
//! an error.

use std::ops::Range;

use super::BLOCK;

/// The bytes of a header.
pub(super) type Block = [u8; BLOCK];

const NAME: Range<usize> = 0..100;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;
/// The shorter prefix of star, which is followed by times.
const STAR_PREFIX: Range<usize> = 345..476;
/// The times of old GNU, in the place of ustar's prefix.
const GNU_TIMES: [Range<usize>; 2] = [345..357, 357..369];
const STAR_TRAILER: Range<usize> = 508..512;

/// The fields of a header block that are used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) link: Vec<u8>,
    /// Permissions, set-user-ID, set-group-ID and sticky bits.
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// At most `i64::MAX`.
    pub(super) size: u64,
    pub(super) mtime: i64,
    /// Major and minor number; 0 for all but devices.
    pub(super) device: (u32, u32),
}

/// An unreadable field: its name (POSIX.1-2017, pax, "ustar Interchange Format"), and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) field: &'static str,
    pub(super) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Without a magic.
    V7,
    Gnu,
    Ustar,
    Star,
}

impl Dialect {
    fn of(block: &Block) -> Self {
        match &block[MAGIC] {
            b"ustar  \0" => Self::Gnu,
            magic if !magic.starts_with(b"ustar\0") => Self::V7,
            _ if &block[STAR_TRAILER] == b"tar\0" => Self::Star,
            _ => Self::Ustar,
        }
    }
}

/// Returns the byte for the kind of entry that the header describes.
pub(super) fn kind(block: &Block) -> u8 {
    block[KIND]
}

/// Returns whether the checksum is right: the sum of the bytes, with its own field counted as spaces. Some writers
/// add signed bytes.
pub(super) fn is_checked(block: &Block) -> bool {
    let bytes = || block[..CHECKSUM.start].iter().chain(&[b' '; 8]).chain(&block[CHECKSUM.end..]);
    let unsigned: i64 = bytes().map(|byte| i64::from(*byte)).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    number(&block[CHECKSUM]).is_ok_and(|claimed| claimed == unsigned || claimed == signed)
}

/// Returns the path in a header. Only ustar and star have a prefix.
pub(super) fn path(block: &Block) -> Vec<u8> {
    let name = until_nul(&block[NAME]);
    let prefix = match Dialect::of(block) {
        Dialect::V7 | Dialect::Gnu => b"",
        Dialect::Ustar => until_nul(&block[PREFIX]),
        Dialect::Star => until_nul(&block[STAR_PREFIX]),
    };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

impl Header {
    /// Reads the fields of a block with a right checksum.
    ///
    /// # Errors
    /// A field that is not a number, is out of range or negative (only times may be); a prefix where readers
    /// disagree whether it is one.
    pub(super) fn parse(block: &Block) -> Result<Self, Malformed> {
        let dialect = Dialect::of(block);
        check_prefix(block, dialect)?;
        let signed = |name, range: Range<usize>| number(&block[range]).map_err(|why| Malformed { field: name, why });
        let unsigned = |name, range: Range<usize>| {
            let negative = |_| Malformed { field: name, why: "a negative number".to_owned() };
            signed(name, range).and_then(|number| u64::try_from(number).map_err(negative))
        };
        let device = |name, range| {
            let large = |_| Malformed { field: name, why: "the number is out of range".to_owned() };
            unsigned(name, range).and_then(|number| u32::try_from(number).map_err(large))
        };
        let is_device = matches!(kind(block), b'3' | b'4') && dialect != Dialect::V7;
        Ok(Self {
            link: until_nul(&block[LINK]).to_vec(),
            mode: (unsigned("mode", 100..108)? & 0o7777) as u32,
            uid: unsigned("uid", 108..116)?,
            gid: unsigned("gid", 116..124)?,
            size: unsigned("size", 124..136)?,
            mtime: signed("mtime", 136..148)?,
            device: if is_device { (device("devmajor", 329..337)?, device("devminor", 337..345)?) } else { (0, 0) },
        })
    }
}

/// Fails if readers disagree about where the prefix is, or whether it is one.
fn check_prefix(block: &Block, dialect: Dialect) -> Result<(), Malformed> {
    let why = match dialect {
        Dialect::Star if block[STAR_PREFIX.end - 1] != 0 => "it fills its field, which in other formats is longer",
        // Go before 1.8 wrote a prefix there, and newer versions read it; GNU tar does not.
        Dialect::Gnu if GNU_TIMES.into_iter().any(|time| block[time.start] != 0 && number(&block[time]).is_err()) => {
            "an old GNU header has none, but times in its place, and these are not times"
        }
        _ => return Ok(()),
    };
    Err(Malformed { field: "prefix", why: why.to_owned() })
}

/// Reads a number: octal digits surrounded by spaces, or base 256, whose first byte is 0x80, or 0xff
/// for negative numbers. An empty field is 0. Bytes after a NUL that ends the digits are ignored.
fn number(field: &[u8]) -> Result<i64, String> {
    if let [sign @ (0x80 | 0xff), digits @ ..] = field {
        return base_256(*sign == 0xff, digits).ok_or_else(|| "the number is out of range".to_owned());
    }
    let text = without_spaces(until_nul(field));
    let rest = &field[until_nul(field).len()..];
    let octal = |digit: &u8| (b'0'..=b'7').contains(digit);
    // Some readers look for the number after a NUL, others do not.
    let is_hidden = text.is_empty() && !rest.iter().all(|byte| matches!(byte, 0 | b' '));
    if is_hidden || !text.iter().all(octal) {
        return Err(format!("`{}` is not an octal number", field.escape_ascii()));
    }
    // At most twelve digits.
    Ok(text.iter().fold(0, |number, digit| number * 8 + i64::from(digit - b'0')))
}

/// Returns a number in two's complement with a known sign.
fn base_256(is_negative: bool, digits: &[u8]) -> Option<i64> {
    let start = if is_negative { -1 } else { 0 };
    digits.iter().try_fold(start, |number: i64, byte| number.checked_mul(256)?.checked_add(i64::from(*byte)))
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let is_digit = |byte: &u8| *byte != b' ';
    let start = text.iter().position(is_digit).unwrap_or(text.len());
    let end = text.iter().rposition(is_digit).map_or(start, |at| at + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_form_that_writers_use() {
        let cases: [(&[u8], i64); 16] = [
            (b"0000644\0", 0o644),
            (b"0000644 ", 0o644),
            (b"000644 \0", 0o644),
            (b"   644 \0", 0o644),
            (b"644\0\0\0\0\0", 0o644),
            (b"00000644", 0o644),
            (b"     644", 0o644),
            (b"17\0junk!", 0o17),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"        ", 0),
            (b"  \0     ", 0),
            (b"777777777777", (1 << 36) - 1),
            (b"\x80\0\0\0\0\x20\0\0", 1 << 21),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfb", -5),
            (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", i64::MIN),
        ];
        for (field, expected) in cases {
            assert_eq!(number(field), Ok(expected), "{}", field.escape_ascii());
        }
    }

    #[test]
    fn no_number_is_guessed_or_cut() {
        let cases: [(&[u8], &str); 13] = [
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", "out of range"),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\x05", "out of range"),
            (b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", "out of range"),
            (b"\x81\0\0\0\0\0\0\0", "not an octal"),
            (b"\xc0\0\0\0\0\0\0\0", "not an octal"),
            (b"\x000000644", "not an octal"),
            (b"12 34\0\0\0", "not an octal"),
            (b"0000648\0", "not an octal"),
            (b"-000001\0", "not an octal"),
            (b"+000001\0", "not an octal"),
            (b"\t00012\0\0", "not an octal"),
            (b"0o17\0\0\0\0", "not an octal"),
            (b"1_7\0\0\0\0\0", "not an octal"),
        ];
        for (field, expected) in cases {
            let why = number(field).unwrap_err();
            assert!(why.contains(expected), "{}: {why}", field.escape_ascii());
        }
    }
}
