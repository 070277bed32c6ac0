//! Errors say which entry, where in the archive, and which field.

use std::ops::Range;

use longshore_core::ErrorKind;

use crate::blocks::{
    GID, Header, MAGIC, MAJOR, MINOR, MODE, MTIME, PREFIX, SIZE, UID, archive, extension, file, pax, record,
};
use crate::error;

#[test]
fn a_malformed_field_of_a_header() {
    let negative = [0xff; 8];
    let cases: [(&str, Range<usize>, &[u8], &str); 14] = [
        ("mode", MODE, b"rw-r--r--".split_at(8).0, "`rw-r--r-` is not an octal number"),
        ("mode", MODE, &negative, "a negative number"),
        ("uid", UID, b"1000x\0", "`1000x\\x00\\x00\\x00` is not an octal number"),
        ("uid", UID, &negative, "a negative number"),
        ("uid", UID, b"-7\0", "`-7"),
        ("gid", GID, b"0000009\0", "is not an octal number"),
        ("gid", GID, b"\xff\xff\xff\xff\xff\xff\xff\0", "a negative number"),
        ("size", SIZE, b"0x10\0", "is not an octal number"),
        ("size", SIZE, &[0xff; 12], "a negative number"),
        ("size", SIZE, b"\x80\0\0\x02\0\0\0\0\0\0\0\x01", "the number is out of range"),
        ("mtime", MTIME, b"1.5\0", "is not an octal number"),
        ("mtime", MTIME, b"\x80\x01\0\0\0\0\0\0\0\0\0\0", "the number is out of range"),
        ("devmajor", MAJOR, b"tty\0", "is not an octal number"),
        ("devminor", MINOR, b"\x80\0\0\x01\0\0\0\0", "the number is out of range"),
    ];
    for (field, range, value, expected) in cases {
        let header = Header::new(b'4', "dev/sdb").with(PREFIX, "root").with(range, value).block();
        let error = error(&archive(&[file("first", b"content"), header]), field);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let start = format!("the tar entry `root/dev/sdb` at byte 1024 has a malformed `{field}`: ");
        assert!(error.message().starts_with(&start), "{error}");
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn a_malformed_field_of_an_entry_with_another_name() {
    let wrong = || Header::new(b'0', "short").with(GID, "x").block();
    for (what, extension, at) in [
        ("a PAX path", pax(&[("path", "größe/\u{1b}[31m".as_bytes())]), 1024),
        ("a long name", extension(b'L', "größe/\u{1b}[31m\0"), 1024),
    ] {
        let error = error(&archive(&[extension, wrong()]), what);
        let start = format!("the tar entry `größe/\\u{{1b}}[31m` at byte {at} has a malformed `gid`: ");
        assert!(error.message().starts_with(&start), "{what}: {error}");
    }
}

#[test]
fn a_malformed_record() {
    let cases: [(&str, &[u8]); 14] = [
        ("path", b""),
        ("path", b"a\0b"),
        ("linkpath", b""),
        ("size", b"-1"),
        ("size", b"+1"),
        ("size", b""),
        ("size", b"0x20"),
        ("uid", b" 5"),
        ("uid", b"9223372036854775808"),
        ("gid", b"1e3"),
        ("gid", b"18446744073709551616"),
        ("mtime", b"yesterday"),
        ("mtime", b"1.5.2"),
        ("mtime", b"9223372036854775808"),
    ];
    for (key, value) in cases {
        let error = error(&archive(&[file("first", b""), pax(&[("uid", b"5"), (key, value)]), file("a", b"")]), key);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let start = format!("the PAX header `pax/header` at byte 512 has a malformed `{key}`: ");
        assert!(error.message().starts_with(&start), "{error}");
    }
    let good = record("uid", b"5");
    let bad: [&[u8]; 10] = [
        b"no record",
        b"8",
        b"8 gid=55\n",
        b"7 gid=5\n",
        b"100 gid=5\n",
        b"6 gid5\n",
        b"5 =5\n",
        b"-8 gid=5\n",
        b"18446744073709551615 gid=5\n",
        b"\0",
    ];
    for data in bad {
        let error = error(&archive(&[extension(b'x', [&good, data].concat()), file("a", b"")]), "records");
        let expected = "the PAX header `pax/header` at byte 0 has a malformed `record`: at byte 520";
        assert!(error.message().starts_with(expected), "{}: {error}", data.escape_ascii());
    }
}

#[test]
fn entries_that_are_not_read() {
    let sparse = |record: &[(&str, &[u8])]| [pax(record), file("GNUSparseFile.0/a", b"")].concat();
    let cases = [
        (Header::new(b'S', "db").with(MAGIC, "ustar  \0").block(), "tar entry `db` at byte 512 is a sparse file"),
        (sparse(&[("GNU.sparse.map", b"0,1")]), "tar entry `GNUSparseFile.0/a` at byte 1536 is a sparse file"),
        (
            sparse(&[("GNU.sparse.major", b"1"), ("GNU.sparse.name", b"real")]),
            "tar entry `real` at byte 1536 is a sparse file",
        ),
        (Header::new(b'V', "label").block(), "tar entry `label` at byte 512 is of the type `V`"),
        (Header::new(b'M', "more").block(), "tar entry `more` at byte 512 is of the type `M`"),
        (Header::new(0x1b, "odd").block(), "tar entry `odd` at byte 512 is of the type `\\u{1b}`"),
    ];
    for (bytes, expected) in cases {
        let error = error(&archive(&[file("first", b""), bytes]), expected);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{expected}");
        assert!(error.message().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn headers_that_are_none_or_too_long() {
    let error_of = |bytes: &[u8]| error(bytes, "no header").message().to_owned();
    let text = [file("first", b"content"), vec![b'?'; 512]].concat();
    let expected =
        "not a tar archive: the header at byte 1024, after the tar entry `first` at byte 0, has a wrong checksum";
    assert_eq!(error_of(&text), expected);
    let long = Header::new(b'x', "pax/header").size((1 << 20) + 1).block();
    let expected = "the PAX header `pax/header` at byte 0 has a malformed `size`: 1048577 bytes are more than the limit of 1048576";
    assert_eq!(error_of(&long), expected);
    let negative = Header::new(b'L', "././@LongLink").with(SIZE, [0xff; 12]).block();
    assert_eq!(
        error_of(&negative),
        "the GNU long name `././@LongLink` at byte 0 has a malformed `size`: a negative number"
    );
    for data in ["", "\0", "\0name"] {
        let bytes = archive(&[extension(b'L', data), file("a", b"")]);
        assert_eq!(error_of(&bytes), "the GNU long name `././@LongLink` at byte 0 is empty", "{data:?}");
    }
}
