//! Layers as root file systems: by a model, as overlayfs shows them, and against whoever wants out.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod unpack {
    pub(crate) mod destinations;
    pub(crate) mod fixture;
    pub(crate) mod hostile;
}

use std::collections::BTreeMap;
use std::path::Path;

use longshore_core::compression::Algorithm;
use longshore_core::content::{
    BlobMeta, Collector, ContentStore, ImageStore, Mount, PruneOptions, Snapshots, chain_ids,
};
use longshore_core::oci::Digest;
use longshore_core::unpack::{mount, unpack_snapshots};
use longshore_core::{ErrorKind, Work};
use longshore_store::EmbeddedStore;
use longshore_testkit::stack::{self, Item, Stack, directory, file, hard_link, is_root, read_tree, symlink, tar};
use unpack::fixture::{layer_of, layers, snapshots, unpack_to};

/// What overlayfs shows of snapshots; `None` where nobody may mount.
fn mounted(snapshots: &Mount, place: &Path) -> Option<BTreeMap<String, String>> {
    let to = place.join("mounted");
    std::fs::create_dir(&to).unwrap();
    if let Err(error) = mount(snapshots, &to) {
        let may_not = !is_root() || error.kind() == ErrorKind::Denied;
        assert!(may_not && std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "{}", error.with_causes());
        eprintln!("skipped: cannot mount: {}", error.with_causes());
        return None;
    }
    let tree = read_tree(&to);
    rustix::mount::unmount(&to, rustix::mount::UnmountFlags::empty()).unwrap();
    std::fs::remove_dir(&to).unwrap();
    Some(tree)
}

/// A stack of layers, a line an entry.
fn list(stack: &[Vec<Item>]) -> String {
    let line = |(entry, _): &Item| {
        let link = String::from_utf8_lossy(&entry.link).into_owned();
        format!("  {} {} {link} {:o} {} {}\n", entry.display(), entry.kind, entry.mode, entry.uid, entry.mtime)
    };
    stack.iter().map(|layer| format!("layer\n{}", layer.iter().map(line).collect::<String>())).collect()
}

fn show(tree: &BTreeMap<String, String>) -> String {
    tree.iter().map(|(name, what)| format!("{name}: {what}\n")).collect()
}

#[test]
fn random_stacks_become_what_the_rules_say() {
    for seed in 0..400 {
        let Stack { layers: stack, tree: expected } = stack::random(seed);
        let place = tempfile::tempdir().unwrap();
        let to = place.path().join("to");
        unpack_to(&layers(&stack), &to)
            .unwrap_or_else(|error| panic!("{seed}: {}\n{}", error.with_causes(), list(&stack)));
        let found = read_tree(&to);
        assert!(found == expected, "{seed}:\n{}\nexpected\n{}\n{}", show(&found), show(&expected), list(&stack));
    }
}

#[test]
fn overlays_of_random_stacks_are_what_the_rules_say() {
    for seed in 1000..1200 {
        let Stack { layers: stack, tree: expected } = stack::random(seed);
        let place = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(place.path().join("store")).unwrap();
        let layers = layers(&stack);
        // In two steps, so that some snapshots are there before.
        snapshots(&layers[..layers.len() / 2], &store).unwrap();
        let snapshots = snapshots(&layers, &store).unwrap().unwrap();
        let Some(found) = mounted(&snapshots, place.path()) else { return };
        assert!(found == expected, "{seed}:\n{}\nexpected\n{}\n{}", show(&found), show(&expected), list(&stack));
    }
}

/// What is mounted stays, whatever happens to its name, and whatever its path has: the kernel escapes some of it.
#[test]
fn a_mounted_snapshot_is_not_collected() {
    for name in ["store", "a store", "a,store", "a:store", "a\\store", "a\\040store", "a\tstore\nb", "ä"] {
        let place = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(place.path().join(name)).unwrap();
        let layers = layers(&[vec![file("a", "a")], vec![file("b", "b")]]);
        let snapshots = snapshots(&layers, &store).unwrap().unwrap();
        let to = place.path().join("to");
        std::fs::create_dir(&to).unwrap();
        for by in [mount, mount_by_escaped_options] {
            if by(&snapshots, &to).is_err() {
                assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "cannot mount");
                return;
            }
            let pruned = store.prune(&PruneOptions::default()).unwrap();
            let tree = read_tree(&to);
            rustix::mount::unmount(&to, rustix::mount::UnmountFlags::empty()).unwrap();
            assert_eq!((pruned.snapshots.count, tree.len(), &pruned.warnings[..]), (0, 3, &[][..]), "{name:?}");
        }
        assert_eq!(store.prune(&PruneOptions::default()).unwrap().snapshots.count, 2, "{name:?}");
    }
}

/// As a user does it: colons, commas and backslashes in `lowerdir=` have a backslash before them.
fn mount_by_escaped_options(snapshots: &Mount, to: &Path) -> longshore_core::Result<()> {
    let escaped = |path: &std::path::PathBuf| {
        let text = path.to_str().unwrap().chars();
        let escape = |letter: char| if matches!(letter, ':' | ',' | '\\') { vec!['\\', letter] } else { vec![letter] };
        text.flat_map(escape).collect::<String>()
    };
    let options = format!("lowerdir={}", snapshots.layers.iter().map(escaped).collect::<Vec<_>>().join(":"));
    let options = std::ffi::CString::new(options).unwrap();
    let flags = rustix::mount::MountFlags::RDONLY;
    Ok(rustix::mount::mount("test", to, "overlay", flags, options.as_c_str())?)
}

#[test]
fn forty_layers() {
    let stack: Vec<_> = (0..40)
        .map(|at| {
            vec![
                file(&format!("own/{at}"), &format!("content of {at}")),
                file("shared", &format!("{at}")),
                file(&format!("own/.wh.{}", at - 7), ""),
            ]
        })
        .collect();
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("to");
    unpack_to(&layers(&stack), &to).unwrap();
    let mut own: Vec<u32> = std::fs::read_dir(to.join("own"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    own.sort_unstable();
    assert_eq!(own, (33..40).collect::<Vec<_>>());
    assert_eq!(std::fs::read(to.join("shared")).unwrap(), b"39");
    let store = EmbeddedStore::open(place.path().join("store")).unwrap();
    if let Some(found) = mounted(&snapshots(&layers(&stack), &store).unwrap().unwrap(), place.path()) {
        assert_eq!(found, read_tree(&to));
    }
}

#[test]
fn whiteouts_hide_lower_layers_alone_wherever_they_stand() {
    let base = vec![directory("d"), file("d/lower", "1"), file("d/both", "1"), file("other", "1")];
    for upper in [
        vec![file("d/.wh..wh..opq", ""), file("d/both", "2"), file(".wh.other", "")],
        vec![file("d/both", "2"), file("d/.wh..wh..opq", ""), file(".wh.other", "")],
        vec![file(".wh.other", ""), file("d/both", "2"), file("d/.wh.lower", ""), file("d/.wh.both", "")],
    ] {
        let place = tempfile::tempdir().unwrap();
        let to = place.path().join("to");
        unpack_to(&layers(&[base.clone(), upper.clone()]), &to).unwrap();
        let names: Vec<_> = read_tree(&to).into_keys().collect();
        assert_eq!(names, ["", "d", "d/both"], "{upper:?}");
        assert_eq!(std::fs::read(to.join("d/both")).unwrap(), b"2");
    }
}

/// As Debian's merged `/usr`: what an upper layer puts into `bin` goes into `usr/bin`.
#[test]
fn parents_that_are_links_below() {
    let base = vec![directory("usr"), directory("usr/bin"), symlink("bin", "usr/bin"), file("usr/bin/sh", "sh")];
    let upper = vec![file("bin/app", "app"), hard_link("bin/sh2", "usr/bin/sh"), file("bin/.wh.nothing", "")];
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("to");
    unpack_to(&layers(&[base.clone(), upper.clone()]), &to).unwrap();
    assert!(to.join("bin").is_symlink());
    assert_eq!(std::fs::read(to.join("usr/bin/app")).unwrap(), b"app");
    assert!(read_tree(&to)["usr/bin/sh2"].contains("with usr/bin/sh"));
    let store = EmbeddedStore::open(place.path().join("store")).unwrap();
    let snapshots = snapshots(&layers(&[base, upper]), &store).unwrap().unwrap();
    assert!(snapshots.layers[0].join("usr/bin/app").exists() && !snapshots.layers[0].join("bin").exists());
    if let Some(found) = mounted(&snapshots, place.path()) {
        assert_eq!(found, read_tree(&to));
    }
}

#[test]
fn a_layer_that_is_not_what_it_says_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(place.path().join("store")).unwrap();
    let good = layer_of(&tar(&[file("a", "a")]), Algorithm::Gzip);
    let mut bad = layer_of(&tar(&[file("b", "b")]), Algorithm::Gzip);
    bad.diff_id = Digest::of(b"another");
    let stack = [good, bad];
    let to = place.path().join("to");
    for error in [unpack_to(&stack, &to).unwrap_err(), snapshots(&stack, &store).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.with_causes());
        assert!(error.with_causes().contains("has the diffID"), "{}", error.with_causes());
    }
    assert!(!to.exists());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "the store");
    assert_eq!(std::fs::read_dir(place.path().join("store/fs")).unwrap().count(), 0);
}

/// Overlayfs reads no attribute of the root of a layer, so what it hides is hidden by name.
#[test]
fn an_opaque_root_hides_what_is_below() {
    let base = vec![directory("etc"), file("etc/a", "1"), directory("usr"), file("usr/b", "1"), file("top", "1")];
    let middle = vec![file("usr/c", "2"), symlink("link", "usr")];
    for upper in [
        vec![file(".wh..wh..opq", ""), file("usr/d", "3")],
        vec![directory("usr"), file("usr/d", "3"), file("./.wh..wh..opq", "")],
        vec![file(".wh..wh..opq", "")],
    ] {
        let place = tempfile::tempdir().unwrap();
        let to = place.path().join("to");
        let stack = layers(&[base.clone(), middle.clone(), upper.clone(), vec![file("last", "4")]]);
        unpack_to(&stack, &to).unwrap();
        let names: Vec<_> = read_tree(&to).into_keys().collect();
        let has_usr = upper.len() > 1;
        let expected = if has_usr { vec!["", "last", "usr", "usr/d"] } else { vec!["", "last"] };
        assert_eq!(names, expected, "{upper:?}");
        let store = EmbeddedStore::open(place.path().join("store")).unwrap();
        let mount = snapshots(&stack, &store).unwrap().unwrap();
        let Some(found) = mounted(&mount, place.path()) else { return };
        assert_eq!(found, read_tree(&to), "{upper:?}");
    }
}

#[test]
fn snapshots_stay_as_long_as_their_image() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(place.path().join("store")).unwrap();
    let config = {
        let mut writer = store.ingest(None).unwrap();
        writer.write_all(b"config").unwrap();
        writer.commit(BlobMeta::default()).unwrap().digest
    };
    let layers = layers(&[vec![file("a", "a")], vec![file("b", "bb")]]);
    let chain = chain_ids(layers.iter().map(|layer| &layer.diff_id));
    let count = || std::fs::read_dir(place.path().join("store/fs")).unwrap().count();
    let view = store.lease_images().unwrap();
    unpack_snapshots(&layers, view.snapshots().unwrap(), &Work::default()).unwrap();
    store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(count(), 2, "a run keeps what it made");
    drop(view);
    store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(store.keep(&config, &chain[1]).unwrap_err().kind(), ErrorKind::NotFound, "the run did not hold it");
    let view = store.lease_images().unwrap();
    let mut writer = view.ingest(None).unwrap();
    writer.write_all(b"config").unwrap();
    let root = longshore_core::oci::Descriptor::new(
        longshore_core::oci::MediaType::MANIFEST,
        writer.commit(BlobMeta::default()).unwrap().digest,
        6,
    );
    unpack_snapshots(&layers, view.snapshots().unwrap(), &Work::default()).unwrap();
    store.keep(&config, &chain[1]).unwrap();
    let name = "app:1".parse().unwrap();
    view.tag(&[(name, longshore_core::content::StoredImage::new(root, Vec::new()))]).unwrap();
    drop(view);
    let kept = store.prune(&PruneOptions::default()).unwrap();
    assert_eq!((kept.snapshots.count, count(), store.usage().unwrap().snapshots.bytes), (0, 2, 3));
    store.untag(&["app:1".parse().unwrap()]).unwrap();
    let would = store.prune(&PruneOptions::default().with_dry_run(true)).unwrap();
    assert_eq!((would.snapshots.count, count()), (2, 2));
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().snapshots.bytes, 3);
    assert_eq!((count(), Snapshots::mount(&store, &chain[0]).unwrap()), (0, None));
}

/// A directory that was removed by hand: the layers from there on are made again.
#[test]
fn a_lost_snapshot_is_made_again() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(place.path().join("store")).unwrap();
    let layers = layers(&[vec![file("a", "a")], vec![file("b", "b")], vec![file("c", "c"), file(".wh.a", "")]]);
    let before = snapshots(&layers, &store).unwrap().unwrap();
    std::fs::remove_dir_all(&before.layers[1]).unwrap();
    let after = snapshots(&layers, &store).unwrap().unwrap();
    assert_eq!((&after.layers[0], &after.layers[2]), (&before.layers[0], &before.layers[2]));
    assert_eq!(std::fs::read(after.layers[1].join("b")).unwrap(), b"b");
    assert_eq!(snapshots(&[], &store).unwrap(), None);
}

/// What a store may answer for an image of a single layer.
#[test]
fn a_single_directory_is_bound_read_only() {
    let place = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| place.path().join(name));
    [&from, &to].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
    std::fs::write(from.join("a"), "a").unwrap();
    let bind = Mount::bind(&from);
    let error = longshore_core::unpack::mount_options(&bind).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.hint() == Some("use a bind mount"), "{error}");
    if let Err(error) = mount(&bind, &to) {
        assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "{}", error.with_causes());
        eprintln!("skipped: cannot mount: {}", error.with_causes());
        return;
    }
    let (read, written) = (std::fs::read(to.join("a")), std::fs::write(to.join("b"), ""));
    rustix::mount::unmount(&to, rustix::mount::UnmountFlags::empty()).unwrap();
    assert_eq!(read.unwrap(), b"a");
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}
