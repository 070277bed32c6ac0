//! Archives that end early, or without what readers do not need.

use std::fs::File;
use std::io::{Read, Seek, Write};

use longshore_core::archive::TarFile;

use crate::blocks::{BLOCK, Header, archive, extension, file, pax};
use crate::{error, read};

/// An archive in a file.
fn open(bytes: &[u8]) -> longshore_core::Result<TarFile> {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    TarFile::open(file)
}

#[test]
fn an_archive_is_complete_with_its_last_byte_of_content() {
    for length in [1_usize, 300, 511, 512, 513, 1500] {
        let content = vec![b'c'; length];
        let bytes = archive(&[file("first", b"1"), file("last", &content)]);
        let end = 3 * BLOCK + length;
        for cut in end..=bytes.len() {
            let found = read(&bytes[..cut]).unwrap_or_else(|error| panic!("{length} {cut}: {error}"));
            assert_eq!(found.len(), 2, "{length} {cut}");
            assert_eq!(found[1].1, content, "{length} {cut}");
        }
        for cut in [end, end + 1, bytes.len() - 2 * BLOCK, bytes.len() - BLOCK].map(|cut| cut.min(bytes.len())) {
            let mut found = Vec::new();
            open(&bytes[..cut]).unwrap().read("last", 0).unwrap().read_to_end(&mut found).unwrap();
            assert_eq!(found, content, "{length} {cut}");
        }
        for cut in (3 * BLOCK..end).step_by(7).chain([end - 1]) {
            let expected =
                format!("the tar archive ends early: at byte {cut}, within the tar entry `last` at byte 1024");
            assert_eq!(error(&bytes[..cut], "cut").message(), expected);
            assert_eq!(open(&bytes[..cut]).unwrap_err().message(), expected);
        }
    }
}

#[test]
fn nothing_is_lost_of_an_archive_that_is_cut_in_a_header() {
    let bytes = archive(&[file("a", b"content"), file("b", b"")]);
    for cut in [2 * BLOCK + 1, 2 * BLOCK + 200, 3 * BLOCK - 1] {
        let message = error(&bytes[..cut], "in a header").message().to_owned();
        assert_eq!(message, "the tar archive ends early: within the header at byte 1024", "{cut}");
    }
    for cut in [1, 100, 511] {
        let expected = format!("not a tar archive: it ends early, after {cut} of 512 bytes");
        assert_eq!(error(&bytes[..cut], "in the first").message(), expected);
        assert_eq!(error(&vec![0; cut], "in an empty one").message(), expected);
    }
}

#[test]
fn an_extension_header_has_an_entry_after_it() {
    for (what, extension) in [("PAX header", pax(&[("uid", b"5")])), ("GNU long name", extension(b'L', "long\0"))] {
        for end in [vec![0; 2 * BLOCK], vec![0; BLOCK], vec![0; 10], Vec::new()] {
            let bytes = [file("a", b""), extension.clone(), end].concat();
            let message = error(&bytes, what).message().to_owned();
            assert!(message.starts_with(&format!("the {what} `")), "{message}");
            assert!(message.ends_with(" at byte 512 is followed by no entry"), "{message}");
        }
        let cut = [file("a", b""), extension[..BLOCK + 3].to_vec()].concat();
        let message = error(&cut, what).message().to_owned();
        assert!(message.starts_with("the tar archive ends early: at byte 1027, within the "), "{message}");
    }
}

#[test]
fn an_entry_after_an_empty_block_is_refused() {
    let after = [file("a", b""), vec![0; BLOCK], file("b", b"")].concat();
    let expected = "the tar archive has an entry after an empty block, at byte 512";
    assert_eq!(error(&after, "one empty block").message(), expected);
    // After two, what follows is not part of the archive.
    let junk = [archive(&[file("a", b"")]), file("b", b""), b"junk".to_vec()].concat();
    assert_eq!(read(&junk).unwrap().len(), 1);
}

#[test]
fn sizes_near_the_largest_number_are_not_added_up() {
    let base_256 = |size: u64| [&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat();
    for size in [i64::MAX as u64, i64::MAX as u64 - 511, i64::MAX as u64 - 512, 1 << 62, u64::from(u32::MAX)] {
        let headers = [
            Header::new(b'0', "big").with(124..136, base_256(size)).block(),
            [pax(&[("size", size.to_string().as_bytes())]), Header::new(b'0', "big").block()].concat(),
        ];
        for header in headers {
            let bytes = [header, vec![b'x'; 700]].concat();
            for error in [error(&bytes, "read"), open(&bytes).unwrap_err()] {
                assert!(error.message().contains("ends early: at byte "), "{size}: {error}");
                assert!(error.message().contains("within the tar entry `big` at byte "), "{size}: {error}");
            }
        }
    }
    for size in [u64::MAX, u64::MAX - 511, 1 << 63] {
        let header = Header::new(b'0', "big").with(124..136, base_256(size)).block();
        let record = [pax(&[("size", size.to_string().as_bytes())]), Header::new(b'0', "big").block()].concat();
        for bytes in [header, record] {
            for error in [error(&bytes, "read"), open(&bytes).unwrap_err()] {
                assert!(error.message().contains("has a malformed `size`"), "{size}: {error}");
                assert!(error.message().ends_with("is out of range"), "{size}: {error}");
            }
        }
    }
}
