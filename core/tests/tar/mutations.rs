//! Seeded archives: of several dialects, with fields in every form, and some fields changed.

use std::ops::Range;

use crate::blocks::{
    BLOCK, GID, Header, KIND, LINK, MAGIC, MAJOR, MINOR, MODE, MTIME, NAME, PREFIX, SIZE, UID, extension, padded, pax,
};

/// An archive, and how many of its fields or headers were changed.
#[derive(Debug)]
pub struct Case {
    pub bytes: Vec<u8>,
    pub mutations: usize,
}

/// Numbers that look random, and are the same for the same seed (xorshift64*).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// A path that does not end in a slash.
    fn name(&mut self, longest: usize) -> String {
        let length = self.below(longest);
        let path = (0..length).map(|_| char::from(self.of(b"abcdefg.-_/ "))).collect::<String>();
        path + "z"
    }
}

/// An archive of a few entries; half of them have one change, some have more.
pub fn case(random: &mut Random) -> Case {
    let mut case = Case { bytes: Vec::new(), mutations: 0 };
    let planned = random.of(&[0, 1, 1, 1, 2, 3]);
    let entries = 1 + random.below(3);
    for at in 0..entries {
        let left = planned - case.mutations;
        let changes = if at == entries - 1 { left } else { random.below(left + 1) };
        case.bytes.extend(entry(random, changes));
        case.mutations += changes;
    }
    case.bytes.extend(vec![0; random.of(&[0, 1, 2, 2, 20]) * BLOCK]);
    case
}

fn entry(random: &mut Random, changes: usize) -> Vec<u8> {
    let kind = random.of(b"0000000\x007123456");
    let content = if matches!(kind, b'0' | b'7' | 0) { random.below(3) * random.below(700) } else { 0 };
    let mut bytes = extensions(random, content);
    let mut header = header(random, kind, content);
    let mut error = 0;
    for _ in 0..changes {
        match random.below(12) {
            0 => error = 1,
            1..4 => bytes.extend(change_sequence(random)),
            _ => header = change(random, header),
        }
    }
    let block = match random.below(10) {
        _ if error != 0 => header.block_with(|sum| format!("{:06o}\0 ", sum + error)),
        0..2 => header.signed_block(),
        2 => header.block_with(|sum| format!("{sum:7o} ")),
        _ => header.block(),
    };
    bytes.extend(block);
    bytes.extend(padded(random.bytes(content)));
    bytes
}

fn header(random: &mut Random, kind: u8, size: usize) -> Header {
    let magic: &[u8] = random.of(&[
        b"ustar\x0000",
        b"ustar\x0000",
        b"ustar\0\0\0",
        b"ustar\0  ",
        b"ustar\x000\0",
        b"ustar  \0",
        b"ustar  \0",
        b"",
    ]);
    let mut header = Header::new(kind, random.name(60)).with(MAGIC, magic);
    if magic.starts_with(b"ustar\0") && random.one_in(2) {
        header = header.with(PREFIX, random.name(50));
    }
    if matches!(kind, b'1' | b'2') {
        header = header.with(LINK, random.name(60));
    }
    let owner = random.of(&[0, 1000, 65534, 0o7777777]);
    let time = random.next() >> random.of(&[31, 34, 40, 60]);
    let numbers = [
        (MODE, random.of(&[0o644, 0o755, 0o4711, 0o1777, 0o100600])),
        (UID, owner),
        (GID, owner / 2),
        (SIZE, size as u64),
        (MTIME, time),
    ];
    for (field, value) in numbers {
        let form = number(random, field.len(), value);
        header = header.with(field, form);
    }
    if matches!(kind, b'3' | b'4') {
        let (major, minor) = (number(random, 8, 8), number(random, 8, 300));
        header = header.with(MAJOR, major).with(MINOR, minor);
    }
    header
}

/// A number in one of the forms that all readers take.
fn number(random: &mut Random, width: usize, value: u64) -> Vec<u8> {
    let digits = width - 1;
    let mut text = match random.below(9) {
        0..4 => format!("{value:0digits$o}\0"),
        4 => format!("{value:0digits$o} "),
        5 => format!("{value:digits$o} "),
        6 => format!("{value:0width$o}"),
        7 => format!("{value:o}"),
        _ => {
            // Base 256: the last bytes of the field, in its width.
            let bytes = [&[0; 4][..], &value.to_be_bytes()].concat();
            return [&[0x80], &bytes[bytes.len() - digits..]].concat();
        }
    };
    text.truncate(width);
    text.into_bytes()
}

/// Extension headers of one kind.
fn extensions(random: &mut Random, size: usize) -> Vec<u8> {
    let name = random.name(300);
    match random.below(10) {
        0 => extension(b'L', format!("{name}\0")),
        1 => extension(b'K', format!("{name}\0")),
        2 => [extension(b'K', format!("{name}\0")), extension(b'L', random.name(200) + "\0")].concat(),
        3 => pax(&[("path", name.as_bytes())]),
        4 => pax(&[("size", size.to_string().as_bytes()), ("linkpath", name.as_bytes())]),
        5 => pax(&[("comment", name.as_bytes())]),
        _ => Vec::new(),
    }
}

/// A PAX record in a form of its own. None is a time with a fraction before 1970: GNU tar 1.34 reads `-1.5` as -0.5.
fn value(random: &mut Random) -> (&'static str, &'static [u8]) {
    let values: [&[u8]; 16] = [
        b"0",
        b"5",
        b"007",
        b"4294967295",
        b"4294967296",
        b"9223372036854775807",
        b"9223372036854775808",
        b"18446744073709551615",
        b"-1",
        b"-300",
        b"12.75",
        b"12.",
        b".5",
        b"+5",
        b"1e3",
        b"",
    ];
    (random.of(&["uid", "gid", "mtime"]), random.of(&values))
}

/// Changes a field to what it should not be, or to what readers may not take alike.
fn change(random: &mut Random, header: Header) -> Header {
    // GNU tar does not read the size of a hard link, which is none.
    let size = if header.kind() == b'1' { MODE } else { SIZE };
    let numeric = [MODE, UID, GID, size.clone(), MTIME, MAJOR, MINOR];
    match random.below(12) {
        0 => header.with(KIND, [random.of(b"\x0001234567gxLKSVMDNX8z")]),
        1 => header.with(MAGIC, random.of(&[&b"ustar\0\0\0"[..], b"ustar   ", b"USTAR\0", b"tar", b"ustar\x0001"])),
        2 => header.with(PREFIX, random.name(150)),
        3 => header.with(508..512, "tar\0"),
        4 => {
            let name = random.name(90) + random.of(&["/", "//", "\0/hidden"]);
            header.with(NAME, name)
        }
        5 => {
            let at = random.of(&[NAME.start, LINK.start]) + random.below(100);
            header.with(at..at + 1, random.bytes(1))
        }
        6 if size == SIZE => header.with(SIZE, random.of(&[&b"00000001000\0"[..], b"00000000001\0", b"777777777777"])),
        _ => {
            let field = numeric[random.below(numeric.len())].clone();
            let form = odd_number(random, field.clone());
            header.with(field, form)
        }
    }
}

fn odd_number(random: &mut Random, field: Range<usize>) -> Vec<u8> {
    let width = field.len();
    let forms: [&[u8]; 18] = [
        b"",
        b"            ",
        b"\x000000005",
        b"5\0junk",
        b"5 junk",
        b"5 5",
        b"5\t",
        b"\t5",
        b"-1",
        b"+1",
        b"8",
        b"x",
        b"0o7",
        b"1_7",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
        b"\x80\0\0\x01\0\0\0\0\0\0\0\x05",
        b"\x81\0\0\0\0\0\0\0\0\0\0\x05",
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    let mut form = if random.one_in(8) { random.bytes(width) } else { random.of(&forms).to_vec() };
    form.truncate(width);
    form
}

/// One more extension header, or an empty block.
fn change_sequence(random: &mut Random) -> Vec<u8> {
    match random.below(14) {
        0 => extension(b'L', "another/name\0"),
        1 => extension(b'K', "another/link\0"),
        2 => pax(&[("path", b"another/path")]),
        3 => pax(&[("mtime", b"7")]),
        4 => extension(b'g', b"19 comment=comment\n"),
        5 => extension(b'L', ""),
        6 => pax(&[("GNU.sparse.major", b"1")]),
        7 => vec![0; BLOCK],
        _ => pax(&[("comment", b"odd"), value(random)]),
    }
}
