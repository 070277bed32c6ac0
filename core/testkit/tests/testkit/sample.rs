//! Samples are what their seed says, and nothing else.

use std::collections::HashSet;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use longshore_core::ImageContent;
use longshore_core::archive::Reader;
use longshore_core::compression::Algorithm;
use longshore_core::layer::{LayerSource, TarStream};
use longshore_core::oci::Digest;
use longshore_testkit::conformance::{digest_of, listing_of};
use longshore_testkit::sample::{self, ExistingOptions, LargeTar, TarOptions, Tree};

/// Exporters hold digests of what they make of samples: a sample that changes changes all of those.
#[test]
fn golden_samples() {
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    Tree::new(1).write(&tree).unwrap();
    let root = |options: &ExistingOptions| match sample::existing(1, options).content {
        ImageContent::Existing(existing) => existing.root.digest,
        ImageContent::Built(_) => unreachable!(),
    };
    let mut large = Vec::new();
    LargeTar::new(1, 3_000_000).open().unwrap().read_to_end(&mut large).unwrap();
    let digests = [
        ("tree", digest_of(&tree)),
        ("tar", Digest::of(&sample::tar_bytes(1, TarOptions::default()))),
        ("base tar", Digest::of(&sample::tar_bytes(1, TarOptions { whiteouts: false, ..TarOptions::default() }))),
        ("large tar", Digest::of(&large)),
        ("existing", root(&ExistingOptions::default())),
        ("existing index", root(&ExistingOptions { platforms: 3, docker: true, ..ExistingOptions::default() })),
    ];
    let found: Vec<_> = digests.iter().map(|(name, digest)| (*name, digest.short())).collect();
    assert_eq!(
        found,
        [
            ("tree", "bcc890673f5b"),
            ("tar", "90b07c49b179"),
            ("base tar", "aa831e5f8d7d"),
            ("large tar", "1b96a7672fb7"),
            ("existing", "00b8a42b1412"),
            ("existing index", "287c55a7505e"),
        ]
    );
}

#[test]
fn another_seed_is_another_sample() {
    let digests: HashSet<_> = (0..20).map(|seed| Digest::of(&sample::tar_bytes(seed, TarOptions::default()))).collect();
    assert_eq!(digests.len(), 20);
}

#[test]
fn a_layer_has_every_kind_of_file() {
    let bytes = sample::tar_bytes(1, TarOptions { devices: true, ..TarOptions::default() });
    let mut reader = Reader::new(&bytes[..]);
    let entries: Vec<_> = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
    let kinds: HashSet<_> = entries.iter().map(|entry| entry.kind.to_string()).collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    let any = |what: &str, is: &dyn Fn(&longshore_core::archive::Entry) -> bool| {
        assert!(entries.iter().any(is), "no entry with {what}");
    };
    any("a whiteout", &|entry| entry.path == b"etc/.wh.removed");
    any("an opaque marker", &|entry| entry.path.ends_with(b"/.wh..wh..opq"));
    any("a capability", &|entry| entry.xattrs.contains_key(&b"security.capability"[..]));
    any("a long name", &|entry| entry.path.len() == 200);
    any("a name that is no UTF-8", &|entry| std::str::from_utf8(&entry.path).is_err());
    any("a time before 1970", &|entry| entry.mtime < 0);
    any("a set-user-ID bit", &|entry| entry.mode & 0o4000 != 0);
}

#[test]
fn compressed_archives_hold_the_same_files() {
    let plain = sample::tar_bytes(1, TarOptions::default());
    for compression in [Algorithm::Gzip, Algorithm::Zstd] {
        let bytes = sample::tar_bytes(1, TarOptions { compression, ..TarOptions::default() });
        let (found, mut reader) = longshore_core::compression::decoder(&bytes[..]).unwrap();
        let mut decoded = Vec::new();
        reader.read_to_end(&mut decoded).unwrap();
        assert!(found == compression && decoded == plain, "{compression}");
    }
}

#[test]
fn a_large_layer_is_as_large_as_it_says() {
    for size in [0, 1, (1 << 20) - 1, 1 << 20, (5 << 20) + 17] {
        let layer = sample::large_layer(1, size);
        let LayerSource::Tar(source) = &layer.source else { panic!("an archive") };
        let mut reader = Reader::new(source.stream.open().unwrap());
        let files = std::iter::from_fn(|| reader.next_entry().unwrap());
        assert_eq!(files.map(|file| file.size).sum::<u64>(), size);
    }
}

#[test]
fn a_tree_has_every_kind_of_file_and_fixed_times() {
    let place = tempfile::tempdir().unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let times = |name: &str| {
        let root = place.path().join(name);
        let tree = if is_root { Tree::new(7).with_devices() } else { Tree::new(7) };
        tree.write(&root).unwrap();
        let mut times = Vec::new();
        let mut left = vec![root.clone()];
        while let Some(path) = left.pop() {
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            }
            times.push((path.strip_prefix(&root).unwrap().to_owned(), metadata.mtime(), metadata.mtime_nsec()));
        }
        times.sort();
        times
    };
    let first = times("first");
    assert_eq!(times("second"), first);
    let root = place.path().join("first");
    assert_eq!(listing_of(&root), listing_of(&place.path().join("second")));
    assert!(first.iter().any(|(_, seconds, nanoseconds)| *seconds == -2 && *nanoseconds == 500_000_000));
    assert_eq!(root.join("bin/mail").metadata().unwrap().nlink(), 3);
    assert_eq!(root.join("bin/su").metadata().unwrap().mode() & 0o7777, 0o4755);
    assert_eq!(root.join("tmp").metadata().unwrap().mode() & 0o7777, 0o1777);
    assert!(root.join("run/pipe").metadata().unwrap().file_type().is_fifo());
    assert!(!is_root || root.join("run/null").metadata().unwrap().file_type().is_char_device());
    assert!(root.join("bin/dangling").symlink_metadata().unwrap().is_symlink());
}
