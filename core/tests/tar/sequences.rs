//! Headers in an order, or with a size, that readers take for different files.

use longshore_core::ErrorKind;
use longshore_core::archive::EntryKind;

use crate::blocks::{Header, MAGIC, archive, extension, file, pax, record};
use crate::{entries, error};

fn long_name() -> Vec<u8> {
    extension(b'L', "the/long/name\0")
}

fn long_link() -> Vec<u8> {
    extension(b'K', "the/long/link\0")
}

fn path() -> Vec<u8> {
    pax(&[("path", b"the/pax/path")])
}

fn time() -> Vec<u8> {
    pax(&[("mtime", b"77")])
}

fn global() -> Vec<u8> {
    extension(b'g', record("comment", b"0123456789abcdef"))
}

#[test]
fn an_entry_has_one_kind_of_extension_and_each_once() {
    let cases: [(&str, [Vec<u8>; 2], &str); 13] = [
        (
            "a name, then a path",
            [long_name(), path()],
            "PAX header `pax/header` at byte 2048 follows the GNU long name",
        ),
        ("a name, then other records", [long_name(), time()], "follows the GNU long name `././@LongLink` at byte 1024"),
        ("a link, then a PAX header", [long_link(), path()], "follows the GNU long link"),
        (
            "a PAX header, then a name",
            [path(), long_name()],
            "GNU long name `././@LongLink` at byte 2048 follows the PAX",
        ),
        ("other records, then a link", [time(), long_link()], "follows the PAX header `pax/header` at byte 1024"),
        ("two PAX headers", [path(), path()], "an entry has one PAX header"),
        ("two PAX headers of other records", [time(), path()], "an entry has one PAX header"),
        ("an empty PAX header first", [pax(&[]), path()], "an entry has one PAX header"),
        ("two names", [long_name(), long_name()], "an entry has one long name"),
        ("two links", [long_link(), long_link()], "an entry has one long link"),
        ("a global header after a PAX header", [path(), global()], "may not come between"),
        ("a global header after a name", [long_name(), global()], "may not come between"),
        ("a global header after a link", [long_link(), global()], "may not come between"),
    ];
    for (what, extensions, expected) in cases {
        let error = error(&archive(&[file("first", b"x"), extensions.concat(), file("a", b"")]), what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}");
        assert!(error.message().contains(expected), "{what}: {error}");
        assert!(error.message().contains("for the same entry"), "{what}: {error}");
        assert!(error.hint().is_some(), "{what}");
    }
}

#[test]
fn extensions_of_one_kind_are_of_the_next_entry_only() {
    let gnu = |kind, name: &str| Header::new(kind, name).with(MAGIC, "ustar  \0").block();
    let parts = [
        global(),
        path(),
        file("cut", b"x"),
        global(),
        long_link(),
        long_name(),
        gnu(b'2', "cut"),
        long_name(),
        long_link(),
        gnu(b'1', "cut"),
        gnu(b'0', "plain"),
    ];
    let found = entries(&archive(&parts), "valid");
    let found: Vec<_> = found.iter().map(|entry| (entry.display(), String::from_utf8_lossy(&entry.link))).collect();
    let expected =
        [("the/pax/path", ""), ("the/long/name", "the/long/link"), ("the/long/name", "the/long/link"), ("plain", "")];
    assert_eq!(found, expected.map(|(path, link)| (path.to_owned(), link.into())));
}

/// GNU tar skips as many bytes as the size says, where Python and Go read the next header.
#[test]
fn only_files_have_data() {
    let hidden = file("hidden", b"");
    for (what, kind) in [("symbolic link", b'2'), ("character device", b'3'), ("block device", b'4'), ("fifo", b'6')] {
        let header = Header::new(kind, "a").size(512).block();
        let record = [pax(&[("size", b"512")]), Header::new(kind, "a").block()].concat();
        for (header, at) in [(header, 0), (record, 1024)] {
            let error = error(&archive(&[header, hidden.clone()]), what);
            let expected = format!("the tar entry `a` at byte {at} is a {what} with a `size`");
            assert!(error.message().starts_with(&expected), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
    let link = [pax(&[("size", b"512")]), Header::new(b'1', "a").block()].concat();
    let found = error(&archive(&[link, hidden.clone()]), "a hard link");
    assert!(found.message().contains("is a hard link with a `size`"), "{found}");
    let directory = Header::new(0, "d/").size(512).block();
    let found = error(&archive(&[directory, hidden.clone()]), "an old directory");
    assert!(found.message().contains("is a directory with a `size`"), "{found}");
    // A record that takes the size back says what all readers say.
    let none = [pax(&[("size", b"0")]), Header::new(b'2', "a").size(512).block()].concat();
    assert_eq!(entries(&archive(&[none, hidden]), "no size").len(), 2);
}

/// GNU tar makes a directory of it.
#[test]
fn a_name_that_ends_in_a_slash_is_of_a_directory() {
    for kind in *b"07" {
        let error = error(&archive(&[Header::new(kind, "a/").block()]), "a file");
        assert!(error.message().contains("is a regular file whose name ends in a slash"), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let named = [pax(&[("path", b"a/")]), Header::new(b'0', "a").block()].concat();
    assert!(error(&archive(&[named]), "a PAX path").message().contains("ends in a slash"));
}

/// Of headers from before ustar, Python looks at the name that the header itself has.
#[test]
fn old_headers_say_twice_whether_they_are_of_a_directory() {
    for (short, long) in [("a/", "a/long"), ("a", "a/long/")] {
        let header = || Header::new(0, short).block();
        for (what, extension) in
            [("long name", extension(b'L', format!("{long}\0"))), ("PAX path", pax(&[("path", long.as_bytes())]))]
        {
            let error = error(&archive(&[extension, header()]), what);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let expected = format!("the tar entry `{long}` at byte 1024 is a file or a directory");
            assert!(error.message().starts_with(&expected), "{what}: {error}");
        }
    }
    let both = entries(&archive(&[extension(b'L', "a/long/\0"), Header::new(0, "a/").block()]), "both");
    assert_eq!((both[0].display().as_str(), both[0].kind), ("a/long", EntryKind::Directory));
}

#[test]
fn a_global_header_sets_nothing_for_entries() {
    let records: [(&str, &[u8]); 8] = [
        ("path", b"b"),
        ("linkpath", b"b"),
        ("size", b"1"),
        ("uid", b"1"),
        ("gid", b"1"),
        ("mtime", b"1"),
        ("SCHILY.xattr.user.a", b"1"),
        ("GNU.sparse.realsize", b"1"),
    ];
    for (key, value) in records {
        let error = error(&archive(&[extension(b'g', record(key, value)), file("a", b"")]), key);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{key}");
        let expected = format!("the global PAX header `pax/header` at byte 0 sets `{key}` for all files");
        assert_eq!(error.message(), expected);
    }
}
