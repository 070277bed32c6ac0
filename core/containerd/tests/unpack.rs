//! Unpacked layers: what overlayfs and containerd's own differ make of random stacks, beside a model.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use longshore_containerd::{Address, ContainerdStore};
use longshore_core::compression::Algorithm;
use longshore_core::content::{BlobMeta, ContentStore, ImageStore, Mount, MountKind, Provider, Snapshots, chain_ids};
use longshore_core::layer::BlobSource;
use longshore_core::oci::{Descriptor, Digest, MediaType};
use longshore_core::unpack::{mount, unpack_snapshots};
use longshore_core::{ErrorKind, Work};
use longshore_testkit::containerd::{Containerd, Options, Release};
use longshore_testkit::stack::{self, Item, Stack, directory, file, hard_link, read_tree, symlink, tar};

type Tree = BTreeMap<String, String>;

fn daemons() -> impl Iterator<Item = Containerd> {
    Release::ALL.into_iter().filter_map(|release| Containerd::start(release, Options::default()))
}

fn open(daemon: &Containerd, snapshotter: &str) -> ContainerdStore {
    let address = Address::default().with_socket(daemon.socket().to_str().unwrap()).unwrap();
    ContainerdStore::open(&address.with_snapshotter(snapshotter).unwrap()).unwrap()
}

/// Puts layers into a store.
fn layers(stack: &[Vec<Item>], store: &Arc<dyn ImageStore>) -> Vec<BlobSource> {
    let put = |items: &Vec<Item>| {
        let tar = tar(items);
        let mut writer = store.ingest(None).unwrap();
        writer.write_all(&tar).unwrap();
        let info = writer.commit(BlobMeta::default()).unwrap();
        let descriptor = Descriptor::new(MediaType::layer(Algorithm::Uncompressed), info.digest.clone(), info.size);
        let provider: Arc<dyn Provider> = store.clone();
        BlobSource::new(descriptor, info.digest, provider)
    };
    stack.iter().map(put).collect()
}

/// What a mount shows, without its root, of which no layer says what it is.
fn shown(snapshots: &Mount, place: &Path) -> Tree {
    let mut tree = match snapshots.kind {
        MountKind::Bind => read_tree(&snapshots.layers[0]),
        MountKind::Overlay => {
            let to = place.join("mounted");
            std::fs::create_dir_all(&to).unwrap();
            mount(snapshots, &to).unwrap();
            let tree = read_tree(&to);
            rustix::mount::unmount(&to, rustix::mount::UnmountFlags::empty()).unwrap();
            tree
        }
    };
    tree.remove("");
    tree
}

/// What a layer with nothing to say of a directory does to its time, each tool decides for itself.
fn without_times(mut tree: Tree) -> Tree {
    for what in tree.values_mut().filter(|what| what.starts_with("directory")) {
        let time = what.rfind(' ').unwrap();
        what.truncate(time);
    }
    tree
}

fn assert_same(who: &str, expected: &Tree, found: &Tree) {
    let show = |tree: &Tree| tree.iter().map(|(name, what)| format!("{name}: {what}\n")).collect::<String>();
    assert!(found == expected, "{who}:\n{}\nexpected\n{}", show(found), show(expected));
}

/// Many of them containerd's own differ refuses, or unpacks to something else.
#[test]
fn overlays_of_random_stacks_are_what_the_rules_say() {
    for daemon in daemons() {
        for seed in 3000..3060 {
            let Stack { layers: stack, tree: mut expected } = stack::random(seed);
            expected.remove("");
            let view = open(&daemon, "overlayfs").lease_images().unwrap();
            let layers = layers(&stack, &view);
            let snapshots = view.snapshots().unwrap();
            // In two steps, so that some snapshots are there before.
            unpack_snapshots(&layers[..layers.len() / 2], snapshots, &Work::default()).unwrap();
            let found = unpack_snapshots(&layers, snapshots, &Work::default()).unwrap().unwrap();
            assert_same(&format!("{seed}"), &expected, &shown(&found, daemon.place()));
        }
        daemon.collect();
        let left = daemon.ctr_ok("default", &["snapshots", "ls"]);
        assert_eq!(left.lines().count(), 1, "{left}");
    }
}

/// As builders write them: by Longshore, and by containerd.
#[test]
fn an_ordinary_stack_is_the_same_with_every_snapshotter() {
    let mut alias = hard_link("usr/bin/alias", "usr/bin/tool");
    alias.0.mode = 0o644;
    let base = vec![
        directory("etc"),
        file("etc/conf", "of the base"),
        file("etc/gone", "deleted above"),
        directory("usr"),
        directory("usr/bin"),
        file("usr/bin/tool", "a program"),
        alias,
        symlink("bin", "usr/bin"),
        directory("var"),
        directory("var/cache"),
        file("var/cache/old", "hidden above"),
    ];
    let middle = vec![file("etc/conf", "of the middle"), file("etc/.wh.gone", ""), file("usr/bin/.wh.alias", "")];
    let top = vec![
        directory("var/cache"),
        file("var/cache/.wh..wh..opq", ""),
        file("var/cache/new", "beside nothing"),
        symlink("etc/link", "/usr/bin/tool"),
    ];
    let stack = [base, middle, top];
    for daemon in daemons() {
        let trees = ["overlayfs", "native"].map(|snapshotter| {
            let view = open(&daemon, snapshotter).lease_images().unwrap();
            let layers = layers(&stack, &view);
            let found = unpack_snapshots(&layers, view.snapshots().unwrap(), &Work::default()).unwrap().unwrap();
            without_times(shown(&found, daemon.place()))
        });
        let names: Vec<&str> = trees[0].keys().map(String::as_str).collect();
        let expected = [
            "bin",
            "etc",
            "etc/conf",
            "etc/link",
            "usr",
            "usr/bin",
            "usr/bin/tool",
            "var",
            "var/cache",
            "var/cache/new",
        ];
        assert_eq!(names, expected);
        assert_same("containerd's differ", &trees[0], &trees[1]);
    }
}

/// Nothing of it stays, whether Longshore or containerd unpacks it.
#[test]
fn a_layer_with_another_diff_id_is_corrupt() {
    for daemon in daemons() {
        for snapshotter in ["overlayfs", "native"] {
            let view = open(&daemon, snapshotter).lease_images().unwrap();
            let mut layers = layers(&[vec![file("a", "a")], vec![file("b", "b")]], &view);
            layers[1].diff_id = Digest::of(b"another");
            let snapshots = view.snapshots().unwrap();
            let error = unpack_snapshots(&layers, snapshots, &Work::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.with_causes());
            let top = chain_ids(layers.iter().map(|layer| &layer.diff_id)).remove(1);
            assert_eq!(snapshots.mount(&top).unwrap(), None);
        }
    }
}

/// Several runs unpack the same image at a time.
#[test]
fn many_processes_unpack_one_image() {
    let stack: Vec<Vec<Item>> = (0..4).map(|number| vec![file("same", &number.to_string())]).collect();
    for daemon in daemons() {
        for snapshotter in ["overlayfs", "native"] {
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        let view = open(&daemon, snapshotter).lease_images().unwrap();
                        let layers = layers(&stack, &view);
                        let snapshots = view.snapshots().unwrap();
                        let found = unpack_snapshots(&layers, snapshots, &Work::default()).unwrap().unwrap();
                        assert_eq!(std::fs::read(found.layers[0].join("same")).unwrap(), b"3");
                    });
                }
            });
        }
        daemon.collect();
        let store = open(&daemon, "overlayfs");
        let chain = chain_ids([&Digest::of(&tar(&stack[0]))]).remove(0);
        assert_eq!(Snapshots::mount(&store, &chain).unwrap(), None);
        assert_eq!(store.info(&chain).unwrap(), None);
    }
}
