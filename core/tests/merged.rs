//! A merged tree with a content of this program's own: what stacks of layers become.

#![allow(missing_docs, clippy::unwrap_used)]

use longshore_core::archive::{Entry, EntryKind};
use longshore_core::tree::merged::{Kind, Limits, MergedTree, Visit};
use longshore_core::{Error, ErrorKind, Result};

/// The content of a file: which entry of which layer it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    layer: usize,
    entry: usize,
}

/// `PATH` is a file, `PATH/` a directory, `PATH -> TARGET` a symbolic link, `PATH = TARGET` a hard link.
fn entry(text: &str) -> Entry {
    let link = |kind, (path, target): (&str, &str)| Entry { link: target.into(), ..Entry::new(path, kind, 0o777) };
    if let Some(parts) = text.split_once(" -> ") {
        link(EntryKind::Symlink, parts)
    } else if let Some(parts) = text.split_once(" = ") {
        link(EntryKind::HardLink, parts)
    } else if let Some(path) = text.strip_suffix('/') {
        Entry::new(path, EntryKind::Directory, 0o700)
    } else {
        Entry::file(text, 0o644, 1)
    }
}

fn apply(tree: &mut MergedTree<Place>, entries: &[&str]) -> Result<()> {
    let mut layer = tree.next_layer();
    let number = layer.number();
    for (at, text) in entries.iter().enumerate() {
        layer.apply(&entry(text), Place { layer: number, entry: at })?;
    }
    layer.finish();
    Ok(())
}

fn merged(stack: &[&[&str]]) -> MergedTree<Place> {
    let mut tree = MergedTree::default();
    stack.iter().for_each(|layer| apply(&mut tree, layer).unwrap());
    tree
}

/// One line per step of a visit: files with their place, directories with `!` if opaque and their mode if
/// a layer described them.
fn lines(tree: &MergedTree<Place>, changes: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut visit = |visit: Visit<'_>| {
        lines.push(match visit {
            Visit::Directory { path, inode, opaque } => {
                assert_eq!(tree.inode(inode).kind(), Kind::Directory);
                let mode = if tree.inode(inode).attributes().mode == 0o700 { " 0700" } else { "" };
                format!("{}/{}{mode}", path.escape_ascii(), if opaque { " opaque" } else { "" })
            }
            Visit::Name { name, inode } => {
                let name = name.escape_ascii();
                let linked = tree.linked(inode).map(|(layer, path)| format!(" was {layer}:{}", path.escape_ascii()));
                let linked = linked.unwrap_or_default();
                match tree.inode(inode).kind() {
                    Kind::File(Place { layer, entry }) => format!("{name} {layer}.{entry}{linked}"),
                    Kind::Symlink(target) => format!("{name} -> {}", target.escape_ascii()),
                    kind => panic!("{name} is {kind:?}"),
                }
            }
            Visit::Gone { name } => format!("{} gone", name.escape_ascii()),
        });
        Ok(())
    };
    if changes { tree.visit_changes(&mut visit) } else { tree.visit(&mut visit) }.unwrap();
    lines
}

/// What it shows, the entries of each layer, the merged tree, and the changes of the last layer.
type Case = (&'static str, &'static [&'static [&'static str]], &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    ("no layer", &[], &["/"], &["/"]),
    (
        "files before directories, each in the order of bytes",
        &[&["b/y", "b/x/z", "c", "a/", "B"]],
        &["/", "B 0.4", "c 0.2", "a/ 0700", "b/", "y 0.0", "b/x/", "z 0.1"],
        &["/", "B 0.4", "c 0.2", "a/ 0700", "b/", "y 0.0", "b/x/", "z 0.1"],
    ),
    (
        "a later entry replaces an earlier one",
        &[&["a", "b/x"], &["a", "b"]],
        &["/", "a 1.0", "b 1.1"],
        &["/", "a 1.0", "b 1.1"],
    ),
    (
        "a directory that comes again keeps what is in it",
        &[&["d/x"], &["d/"]],
        &["/", "d/ 0700", "x 0.0"],
        &["/", "d/ 0700"],
    ),
    (
        "whiteouts hide lower layers alone",
        &[&["d/x", "d/y", "e/z"], &["d/x", "d/.wh.x", "d/.wh.y", ".wh.e", "d/.wh.missing"]],
        &["/", "d/", "x 1.0"],
        &["/", "e gone", "d/", "x 1.0", "y gone"],
    ),
    (
        "an opaque directory shows nothing of lower layers",
        &[&["d/x", "d/e/y"], &["d/new", "d/.wh..wh..opq"]],
        &["/", "d/", "new 1.0"],
        &["/", "d/ opaque", "new 1.0"],
    ),
    (
        "a directory in place of a file is opaque",
        &[&["a"], &["a/", "a/x"]],
        &["/", "a/ 0700", "x 1.1"],
        &["/", "a/ opaque 0700", "x 1.1"],
    ),
    (
        "links in a path are followed in the tree",
        &[&["usr/bin/", "bin -> usr/bin", "up -> ../../../usr"], &["bin/sh", "up/lib/c"]],
        &["/", "bin -> usr/bin", "up -> ../../../usr", "usr/", "usr/bin/ 0700", "sh 1.0", "usr/lib/", "c 1.1"],
        &["/", "usr/", "usr/bin/ 0700", "sh 1.0", "usr/lib/", "c 1.1"],
    ),
    (
        "hard links are names of one file",
        &[&["a", "d/b = a"]],
        &["/", "a 0.0", "d/", "b 0.0"],
        &["/", "a 0.0", "d/", "b 0.0"],
    ),
    (
        "a hard link to a lower layer brings all names of the file",
        &[&["d/e/a", "way -> /d/e/../e/..", "other = d/e/a"], &["b = way/e/a"]],
        &["/", "b 0.0 was 0:d/e/a", "other 0.0 was 0:d/e/a", "way -> /d/e/../e/..", "d/", "d/e/", "a 0.0 was 0:d/e/a"],
        &["/", "b 0.0 was 0:d/e/a", "other 0.0 was 0:d/e/a", "d/", "d/e/", "a 0.0 was 0:d/e/a"],
    ),
    (
        "a removed name leaves the other names of a file",
        &[&["a", "b = a"], &[".wh.a"]],
        &["/", "b 0.0"],
        &["/", "a gone"],
    ),
];

#[test]
fn layers_become_a_tree_and_changes() {
    for (what, stack, tree, changes) in CASES {
        let merged = merged(stack);
        assert_eq!(lines(&merged, false), *tree, "{what}");
        assert_eq!(lines(&merged, true), *changes, "{what}: changes");
    }
}

#[test]
fn an_inode_says_which_layer_it_is_of_and_whether_it_has_links() {
    let tree = merged(&[&["a", "b", "c = b"], &["d"]]);
    let mut found = Vec::new();
    tree.visit(&mut |visit| {
        if let Visit::Name { name, inode } = visit {
            found.push((name.to_vec(), tree.inode(inode).layer(), tree.inode(inode).has_links()));
        }
        Ok(())
    })
    .unwrap();
    let expected = [(b"a", 0, false), (b"b", 0, true), (b"c", 0, true), (b"d", 1, false)];
    assert_eq!(found, expected.map(|(name, layer, has_links)| (name.to_vec(), layer, has_links)));
}

#[test]
fn entries_that_cannot_be_applied_are_named() {
    let cases = [
        ("../x", "outside the archive"),
        ("a/.wh.", "whiteout of nothing"),
        ("b = missing", "`missing`, which is missing"),
        ("b = d", "which is a directory"),
        ("f/x", "`f` on the way to it is not a directory"),
        ("loop/x", "more than 255 symbolic links"),
    ];
    for (text, expected) in cases {
        let mut tree = merged(&[&["f", "d/", "loop -> loop"]]);
        let error = apply(&mut tree, &[text]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        let words = error.with_causes();
        assert!(words.contains("cannot apply `") && words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn a_tree_takes_in_what_its_limits_allow() {
    let fill = |limits: Limits, count: usize| {
        let mut tree: MergedTree<()> = MergedTree::new(limits);
        let mut layer = tree.next_layer();
        (0..count).try_for_each(|number| layer.apply(&Entry::file(format!("file-{number:05}"), 0o644, 1), ()))
    };
    let limits = Limits::default();
    assert_eq!((limits.files, limits.bytes), (786_432, 96 << 20));
    fill(limits.with_files(100), 100).unwrap();
    fill(limits.with_bytes(1000), 100).unwrap();
    let too_many: [(Result<()>, &str); 2] = [
        (fill(limits.with_files(100), 101), "more files than the limit of 100"),
        (fill(limits.with_bytes(1000), 101), "more bytes than the limit of 1000"),
    ];
    for (filled, expected) in too_many {
        let error = filled.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.with_causes().contains(expected), "{}", error.with_causes());
    }
}

#[test]
fn an_error_of_a_visit_ends_it() {
    let tree = merged(&[&["a", "b"]]);
    let mut visited = 0;
    let result = tree.visit(&mut |_| {
        visited += 1;
        if visited == 2 { Err(Error::input("enough")) } else { Ok(()) }
    });
    assert_eq!((result.unwrap_err().message(), visited), ("enough", 2));
}
