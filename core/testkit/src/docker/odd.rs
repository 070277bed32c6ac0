//! Archives that can only be reproduced by keeping every byte.

use crate::sample::Random;

const BLOCK: usize = 512;

/// Archives that dockerd takes as layers, by what is odd about them. None needs a layer below.
pub fn odd_tars(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let mut random = Random::new(seed);
    vec![
        ("no bytes", Vec::new()),
        ("no files", Tar::new(Format::Posix).end(2)),
        ("names and links of GNU", gnu(&mut random)),
        ("headers from before POSIX", old(&mut random)),
        ("PAX headers", pax(&mut random)),
        ("a global PAX header", global(&mut random)),
        ("names that are not UTF-8", not_unicode(&mut random)),
        ("names that JSON escapes", escaped(&mut random)),
        ("names from here and from the root", anchored(&mut random)),
        ("files below links to directories", linked(&mut random)),
        ("numbers in base 256", wide(&mut random)),
        ("one empty block at the end", some(&mut random).end(1)),
        ("no empty blocks at the end", some(&mut random).end(0)),
        ("no padding at the end", unpadded(&mut random)),
        ("empty blocks up to a record", some(&mut random).end(17)),
        ("megabytes of empty blocks", some(&mut random).end(5000)),
        ("junk behind the end", [some(&mut random).end(2), random.bytes(700_001)].concat()),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Without a magic.
    Old,
    Gnu,
    Posix,
}

/// An archive being built, field by field.
struct Tar {
    format: Format,
    bytes: Vec<u8>,
}

impl Tar {
    fn new(format: Format) -> Self {
        Self { format, bytes: Vec::new() }
    }

    /// Adds a header that claims `size` bytes, followed by `data`.
    fn put(mut self, kind: u8, name: &[u8], link: &[u8], size: &[u8], data: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        let mode: &[u8] = if kind == b'5' { b"0000755\0" } else { b"0000644\0" };
        let magic: &[u8] = match self.format {
            Format::Old => b"",
            Format::Gnu => b"ustar  \0",
            Format::Posix => b"ustar\x0000",
        };
        let fields: [(usize, &[u8]); 9] = [
            (0, name),
            (100, mode),
            (108, b"0000000\0"),
            (116, b"0000000\0"),
            (124, size),
            (136, b"13650415236\0"),
            (148, b"        "),
            (157, link),
            (257, magic),
        ];
        for (at, field) in fields {
            block[at..at + field.len()].copy_from_slice(field);
        }
        block[156] = kind;
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend(block);
        self.bytes.extend(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self
    }

    fn data(self, kind: u8, name: &[u8], data: &[u8]) -> Self {
        self.put(kind, name, b"", octal(data.len()).as_bytes(), data)
    }

    fn file(self, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        self.data(b'0', name.as_ref(), content)
    }

    fn directory(self, name: &str) -> Self {
        self.data(b'5', name.as_bytes(), b"")
    }

    fn link(self, kind: u8, name: &str, to: &str) -> Self {
        self.put(kind, name.as_bytes(), to.as_bytes(), octal(0).as_bytes(), b"")
    }

    fn pax(self, kind: u8, name: &str, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.data(kind, name.as_bytes(), &data)
    }

    fn end(mut self, blocks: usize) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + blocks * BLOCK, 0);
        self.bytes
    }
}

fn octal(size: usize) -> String {
    format!("{size:011o}\0")
}

/// Returns a PAX record; its length counts itself.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length);
    [length.map(|length| length.to_string()).unwrap_or_default().as_bytes(), &rest].concat()
}

fn some(random: &mut Random) -> Tar {
    Tar::new(Format::Posix).directory("some/").file("some/file", &random.text(1000)).file("some/empty", b"")
}

fn gnu(random: &mut Random) -> Vec<u8> {
    let (name, link) = (format!("gnu/{}", "n".repeat(250)), format!("/gnu/{}", "k".repeat(200)));
    let with_nul = |name: &str| [name.as_bytes(), b"\0"].concat();
    let tar = Tar::new(Format::Gnu).directory("gnu/");
    let tar = tar.data(b'L', b"././@LongLink", &with_nul(&name)).file(&name[..100], &random.text(700));
    let tar = tar.data(b'K', b"././@LongLink", &with_nul(&link)).link(b'2', "gnu/link", &link[..100]);
    let tar = tar.data(b'K', b"././@LongLink", &with_nul(&name)).data(b'L', b"././@LongLink", &with_nul(&link[1..]));
    tar.link(b'1', &link[1..101], &name[..100]).file("gnu/short", &random.text(512)).end(2)
}

fn old(random: &mut Random) -> Vec<u8> {
    let tar = Tar::new(Format::Old).data(0, b"old/", b"").data(0, b"old/file", &random.text(100));
    // Spaces in place of zeros, as in the first tars.
    tar.put(0, b"old/spaces", b"", b"        144 ", &random.bytes(100)).end(2)
}

fn pax(random: &mut Random) -> Vec<u8> {
    let long = format!("pax/{}/größe-文書", "d".repeat(120));
    let latin = b"pax/latin-\xe9\xff";
    let content = random.bytes(1500);
    let tar = Tar::new(Format::Posix).directory("pax/");
    let records: [(&str, &[u8]); 3] = [("mtime", b"1600000000.123456789"), ("path", long.as_bytes()), ("comment", b"")];
    let tar = tar.pax(b'x', "PaxHeaders.0/long", &records).file("pax/cut", &random.text(300));
    // The size in the ustar header does not count.
    let tar = tar.pax(b'x', "PaxHeaders.0/size", &[("size", b"1500")]);
    let tar = tar.put(b'0', b"pax/size", b"", octal(0).as_bytes(), &content);
    let tar = tar.pax(b'x', "PaxHeaders.0/latin", &[("path", latin)]).file("pax/ascii", &random.text(20));
    let tar = tar.pax(b'x', "PaxHeaders.0/link", &[("linkpath", long.as_bytes())]).link(b'1', "pax/again", "pax/cut");
    // An empty value does not clear the header's.
    tar.pax(b'x', "PaxHeaders.0/empty", &[("path", b"")]).file("pax/kept", &random.text(30)).end(2)
}

fn global(random: &mut Random) -> Vec<u8> {
    let tar =
        Tar::new(Format::Posix).pax(b'g', "pax_global_header", &[("comment", b"44136fa355b3678a1146ad16f7e8649e")]);
    tar.file("global", &random.text(40)).end(2)
}

fn not_unicode(random: &mut Random) -> Vec<u8> {
    let names: [&[u8]; 3] = [b"raw/\xff", b"raw/caf\xe9", b"raw/half-\xe6\x96"];
    let tar = Tar::new(Format::Posix).directory("raw/");
    let tar = names.iter().fold(tar, |tar, name| tar.file(name, &random.text(60)));
    tar.file(b"raw/empty-\xfe", b"").end(2)
}

fn escaped(random: &mut Random) -> Vec<u8> {
    let names =
        ["\"quoted\"", "back\\slash", "line\nbreak", "\u{1}\u{7f}", "<a>&b", "\u{2028}", "größe", "\u{1f4e6}", " "];
    let tar = Tar::new(Format::Posix);
    names.iter().fold(tar, |tar, name| tar.file(name, &random.text(10))).end(2)
}

fn anchored(random: &mut Random) -> Vec<u8> {
    let tar = Tar::new(Format::Posix).directory("./").directory("./here/").file("./here/file", &random.text(50));
    let tar = tar.file("/root/file", &random.text(50)).file("twice//file", &random.text(50));
    tar.link(b'1', "./here/again", "./here/file").link(b'1', "/root/again", "/root/file").end(2)
}

/// dockerd extracts in a chroot, so both `/` and anything above it in a link mean the root of the layer.
fn linked(random: &mut Random) -> Vec<u8> {
    let tar = Tar::new(Format::Posix).directory("usr/").directory("usr/lib/").directory("deep/").directory("deep/er/");
    let tar = tar.link(b'2', "lib", "/usr/lib").file("lib/absolute", &random.text(70));
    let tar = tar.link(b'2', "lib64", "usr/lib").file("lib64/relative", &random.text(80));
    let tar = tar.link(b'2', "deep/er/up", "../../../../usr").file("deep/er/up/above", &random.text(90));
    let tar = tar.link(b'2', "chain", "deep/er/up/lib").file("chain/last", &random.text(100));
    tar.link(b'1', "lib/hard", "lib/absolute").end(2)
}

fn wide(random: &mut Random) -> Vec<u8> {
    let size = [&[0x80][..], &[0; 9], &[3, 0xe9]].concat();
    Tar::new(Format::Gnu).put(b'0', b"wide", b"", &size, &random.bytes(1001)).end(2)
}

fn unpadded(random: &mut Random) -> Vec<u8> {
    let mut tar = some(random).file("last", &random.text(100)).end(0);
    tar.truncate(tar.len() - (BLOCK - 100));
    tar
}
