//! The records of a PAX header (POSIX.1-2017, pax, "pax Extended Header").

use std::collections::BTreeMap;

use longshore_oci::Result;

use super::place::Place;
use super::{BLOCK, PAX_XATTR};

/// Prefix of the keys that describe a sparse file, in every version of the format.
const SPARSE: &[u8] = b"GNU.sparse.";

/// The records of a PAX header for the entry after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    /// At most `i64::MAX`, as are the owner and the group.
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) is_sparse: bool,
    /// The path of a sparse file; [`path`](Self::path) is then a made-up one.
    pub(super) sparse_path: Option<Vec<u8>>,
}

impl Records {
    /// Reads the data of the header at `place`. If a key is given twice, the last record counts.
    ///
    /// # Errors
    /// Data that is not a sequence of records; an invalid value for its key.
    pub(super) fn parse(data: &[u8], place: &Place) -> Result<Self> {
        let mut records = Self::default();
        for_each(data, place, |key, value| {
            records.set(key, value).map_err(|why| {
                let value = value.escape_ascii();
                place.malformed(String::from_utf8_lossy(key).escape_debug(), format!("`{value}` {why}"))
            })
        })?;
        Ok(records)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.link = Some(name(value)?),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ if key.starts_with(SPARSE) => {
                self.is_sparse = true;
                if key == b"GNU.sparse.name" {
                    self.sparse_path = Some(name(value)?);
                }
            }
            _ => {
                if let Some(name) = key.strip_prefix(PAX_XATTR.as_bytes()) {
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                }
            }
        }
        Ok(())
    }
}

/// Checks the data of a global PAX header, which may only have keys that are ignored for entries: readers
/// disagree whether it changes the entries after it.
///
/// # Errors
/// As [`Records::parse`]; a record that would change entries.
pub(super) fn check_global(data: &[u8], place: &Place) -> Result<()> {
    for_each(data, place, |key, _| {
        let is_read = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime")
            || key.starts_with(SPARSE)
            || key.starts_with(PAX_XATTR.as_bytes());
        if is_read {
            let key = String::from_utf8_lossy(key);
            return Err(place.unsupported(format!("sets `{}` for all files", key.escape_debug())));
        }
        Ok(())
    })
}

/// Calls `each` with the key and the value of each record, `LENGTH KEY=VALUE\n`.
fn for_each(data: &[u8], place: &Place, mut each: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let at = place.offset + (BLOCK + data.len() - rest.len()) as u64;
        let malformed =
            || place.malformed("record", format!("at byte {at} is not `LENGTH KEY=VALUE` with a line feed"));
        let (length, key, value) = record(rest).ok_or_else(malformed)?;
        each(key, value)?;
        rest = &rest[length..];
    }
    Ok(())
}

/// Returns the length, the key and the value of the first record.
fn record(data: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&data[..space]).ok()?).ok()?;
    let pair = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&pair[..equals], &pair[equals + 1..]);
    // A reader in C would see a shorter key, which ends at the NUL.
    (!key.is_empty() && !key.contains(&0)).then_some((length, key, value))
}

/// Returns a path. For some readers an empty one restores the path in the header, for others it is the path.
fn name(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    if value.is_empty() || value.contains(&0) {
        return Err("is not a path");
    }
    Ok(value.to_vec())
}

/// Returns a 63-bit decimal number without a sign or spaces.
fn number(digits: &[u8]) -> Result<u64, &'static str> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("is not a decimal number");
    }
    let number =
        digits.iter().try_fold(0, |number: i64, digit| number.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
    number.and_then(|number| u64::try_from(number).ok()).ok_or("is out of range")
}

/// Seconds since 1970, rounded down: `[-]SECONDS[.FRACTION]`.
fn time(value: &[u8]) -> Result<i64, &'static str> {
    let (is_negative, digits) = value.strip_prefix(b"-").map_or((false, value), |digits| (true, digits));
    let dot = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = dot.map_or((digits, &b""[..]), |at| (&digits[..at], &digits[at + 1..]));
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err("is not a number of seconds");
    }
    let sign = if is_negative { -1 } else { 1 };
    let seconds = whole
        .iter()
        .try_fold(0, |number: i64, digit| number.checked_mul(10)?.checked_add(sign * i64::from(digit - b'0')));
    let below = i64::from(is_negative && fraction.iter().any(|digit| *digit != b'0'));
    seconds.and_then(|seconds| seconds.checked_sub(below)).ok_or("is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { what: "PAX header", path: b"pax/a".to_vec(), offset: 1024 }
    }

    #[test]
    fn times_are_rounded_down() {
        let cases = [
            ("0", 0),
            ("1700000000.999999999", 1_700_000_000),
            ("7.", 7),
            ("-3", -3),
            ("-3.000", -3),
            ("-3.25", -4),
            ("-0.000000001", -1),
            ("-0", 0),
            ("9223372036854775807.9", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text.as_bytes()), Ok(expected), "{text}");
        }
        for text in ["", "-", ".5", "+5", "1e3", "0x10", "1.5.", "1. 5", "1.-5", " 1", "inf"] {
            assert_eq!(time(text.as_bytes()), Err("is not a number of seconds"), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "-9223372036854775808.5"] {
            assert_eq!(time(text.as_bytes()), Err("is out of range"), "{text}");
        }
    }

    #[test]
    fn the_last_record_of_a_key_counts() {
        let data = b"7 uid=1\n10 a=b=c\n\n7 uid=2\n";
        assert!(Records::parse(data, &place()).is_err(), "a length that is too short");
        let data = b"8 uid=1\n10 a=b=c\n\n8 uid=2\n24 SCHILY.xattr.user.a=\n";
        let found = Records::parse(data, &place()).unwrap();
        let xattrs = BTreeMap::from([(b"user.a".to_vec(), Vec::new())]);
        assert_eq!(found, Records { uid: Some(2), xattrs, ..Records::default() });
    }

    #[test]
    fn errors_name_the_header_and_the_record() {
        let cases: [(&[u8], &str); 9] = [
            (b"8 uid=1\n8 gid=x\n", "has a malformed `gid`: `x` is not a decimal number"),
            (b"28 size=9223372036854775808\n", "has a malformed `size`: `9223372036854775808` is out of range"),
            (b"31 uid=18446744073709551615000\n", "has a malformed `uid`"),
            (b"11 mtime=-\n", "has a malformed `mtime`: `-` is not a number of seconds"),
            (b"8 path=\n", "has a malformed `path`"),
            (b"14 linkpath=\0\n", "has a malformed `linkpath`"),
            (b"8 uid=1\n8 uid=12\n", "has a malformed `record`: at byte 1544"),
            (b"6 =ab\n", "malformed `record`: at byte 1536"),
            (b"7 a\0=b\n", "malformed `record`: at byte 1536"),
        ];
        for (data, expected) in cases {
            let error = Records::parse(data, &place()).unwrap_err();
            assert!(error.message().starts_with("the PAX header `pax/a` at byte 1024 "), "{error}");
            assert!(error.message().contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_global_header_changes_no_entry() {
        check_global(b"52 comment=44136fa355b3678a1146ad16f7e8649e94fb4fc2\n", &place()).unwrap();
        for record in ["8 gid=1\n", "25 SCHILY.xattr.user.a=1\n", "22 GNU.sparse.major=1\n"] {
            let error = check_global(record.as_bytes(), &place()).unwrap_err();
            assert!(error.message().contains("for all files"), "{record}: {error}");
        }
    }
}
