//! The entries of an archive as text, however they were read.

use longshore_core::archive::{Entry, EntryKind};

/// What an entry is, in one line, and its time in seconds, where that is known.
pub type Line = (String, Option<i64>);

/// The entries of an archive, or why it is refused.
pub type Listing = Result<Vec<Line>, String>;

/// Whether two readers take an archive for the same entries.
pub fn same(one: &[Line], other: &[Line]) -> bool {
    let same_time = |one: Option<i64>, other: Option<i64>| one.is_none() || other.is_none() || one == other;
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && same_time(one.1, other.1))
}

/// An entry as the reader returns it.
pub fn line(entry: &Entry) -> Line {
    let (major, minor) = entry.device;
    let (kind, size) = match entry.kind {
        EntryKind::File => ('-', entry.size.to_string()),
        EntryKind::HardLink => ('h', "0".to_owned()),
        EntryKind::Symlink => ('l', "0".to_owned()),
        EntryKind::CharDevice => ('c', format!("{major},{minor}")),
        EntryKind::BlockDevice => ('b', format!("{major},{minor}")),
        EntryKind::Directory => ('d', "0".to_owned()),
        EntryKind::Fifo => ('p', "0".to_owned()),
    };
    let link = if matches!(kind, 'h' | 'l') { shown(&entry.link) } else { String::new() };
    let (mode, uid, gid) = (entry.mode, entry.uid, entry.gid);
    (format!("{kind} {mode:04o} {uid}/{gid} {size} {} {link}", path(&entry.path)), Some(entry.mtime))
}

/// A line of `tar --list --verbose --numeric-owner --full-time --absolute-names --quoting-style=escape --quote-chars=' '`.
pub fn gnu_line(listed: &str) -> Line {
    let words = words(listed);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [permissions, owner, size, date, rest @ ..] = &words[..] else { panic!("a line of tar is cut: {listed}") };
    // A time that is too large for a date is listed as the number.
    let (time, rest) = match (date.parse(), rest) {
        (Ok(time), rest) => (Some(time), rest),
        (Err(_), [time, rest @ ..]) => (seconds(date, time), rest),
        (Err(_), []) => panic!("a line of tar is cut: {listed}"),
    };
    let kind = match &permissions[..1] {
        "C" => "-",
        kind if "-hlcbdp".contains(kind) => kind,
        _ => "?",
    };
    let (name, link) = match rest {
        // An entry without a name.
        ["->", link] | ["link", "to", link] => ("", *link),
        [name, "->", link] | [name, "link", "to", link] => (*name, *link),
        [name] | [name, "->"] | [name, "link", "to"] => (*name, ""),
        // Of a kind that tar describes in words.
        [name, ..] if kind == "?" => (*name, ""),
        [] => ("", ""),
        _ => panic!("a line of tar is not understood: {listed}"),
    };
    // What a hard link to nothing is listed as.
    let link = if kind == "h" && link == "." { "" } else { link };
    let size = if matches!(kind, "-" | "c" | "b") { *size } else { "0" };
    let mode = mode(&permissions.as_bytes()[1..]);
    (format!("{kind} {mode:04o} {owner} {size} {} {}", path(&unescaped(name)), shown(&unescaped(link))), time)
}

/// The parts of a line between spaces. Those of names have a backslash before them.
fn words(line: &str) -> Vec<String> {
    let mut characters = line.chars();
    let mut words = vec![String::new()];
    while let Some(character) = characters.next() {
        match character {
            ' ' => words.push(String::new()),
            character => words.last_mut().unwrap().push(character),
        }
        if character == '\\' {
            words.last_mut().unwrap().extend(characters.next());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `rwxr-sr-t` as a number.
fn mode(letters: &[u8]) -> u32 {
    let special = |letter: &u8, bit: u32| if matches!(letter, b's' | b'S' | b't' | b'T') { bit } else { 0 };
    let set = letters.iter().fold(0, |mode, letter| mode << 1 | u32::from(!matches!(letter, b'-' | b'S' | b'T')));
    set | special(&letters[2], 0o4000) | special(&letters[5], 0o2000) | special(&letters[8], 0o1000)
}

/// Seconds since 1970 of `YEAR-MM-DD` and `HH:MM:SS[.FRACTION]`, rounded down.
fn seconds(date: &str, time: &str) -> Option<i64> {
    let (year, days) = date.rsplit_once('-').and_then(|(date, day)| {
        let (year, month) = date.rsplit_once('-')?;
        Some((year.parse::<i64>().ok()?, (month.parse::<i64>().ok()?, day.parse::<i64>().ok()?)))
    })?;
    let (month, day) = days;
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let mut parts = time.split('.').next()?.split(':').map(|part| part.parse::<i64>().ok());
    Some(days * 86400 + parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
}

/// The bytes of a name that GNU tar escaped.
fn unescaped(name: &str) -> Vec<u8> {
    let mut bytes = name.bytes();
    let mut found = Vec::new();
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next() } else { None };
        found.push(match escaped {
            None => byte,
            Some(digit @ b'0'..=b'7') => {
                let rest = [bytes.next(), bytes.next()].map(|digit| digit.expect("three digits") - b'0');
                (digit - b'0') * 64 + rest[0] * 8 + rest[1]
            }
            Some(letter) => match letter {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                other => other,
            },
        });
    }
    found
}

fn path(path: &[u8]) -> String {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    shown(&path[..end])
}

/// Graphic characters, and other bytes in octal.
fn shown(name: &[u8]) -> String {
    let character = |byte: &u8| match byte {
        b'!'..=b'~' if *byte != b'\\' => char::from(*byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    name.iter().map(character).collect()
}
