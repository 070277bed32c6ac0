//! How much memory a merged tree takes up. Alone in its process, because it measures all of it.

#![allow(missing_docs, clippy::unwrap_used)]

use longshore_core::archive::{Entry, EntryKind};
use longshore_core::tree::merged::MergedTree;

/// What the documentation of `tree::merged` promises for an entry, besides the bytes of its name and target.
const PROMISED: usize = 200;
const ENTRIES: usize = 200_000;

/// A place in a layer, as large as a content may be for the promise.
type Place = [u64; 2];

/// Bytes of this process that are in memory (proc(5), `/proc/pid/statm`).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

/// Applies `count` entries as two layers; the tree, and the bytes of names and targets that it has.
fn tree_of(count: usize, entry: &dyn Fn(usize) -> Entry) -> (MergedTree<Place>, usize) {
    let mut tree = MergedTree::default();
    let mut bytes = 0;
    for half in [0..count / 2, count / 2..count] {
        let mut layer = tree.next_layer();
        for number in half {
            let entry = entry(number);
            bytes += entry.path.len() - entry.path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            bytes += entry.link.len();
            layer.apply(&entry, [number as u64; 2]).unwrap();
        }
        layer.finish();
    }
    (tree, bytes)
}

/// A name of about twenty bytes.
fn name(number: usize) -> String {
    format!("lib-name-{number:06}.so.1")
}

/// A file in a directory of `width` entries; each directory is an entry too.
fn in_directories(number: usize, width: usize) -> Entry {
    let directory = format!("usr/share/directory-{:06}-of-it", number / width);
    if number.is_multiple_of(width) {
        Entry::new(directory, EntryKind::Directory, 0o755)
    } else {
        Entry::file(format!("{directory}/{}", name(number)), 0o644, 1000)
    }
}

#[test]
fn an_entry_takes_up_at_most_200_bytes() {
    type Shape<'a> = (&'a str, &'a dyn Fn(usize) -> Entry);
    let shapes: [Shape<'_>; 8] = [
        ("directories of 12", &|number| in_directories(number, 12)),
        ("directories of 2", &|number| in_directories(number, 2)),
        ("directories of 18, just too many for a list", &|number| in_directories(number, 18)),
        ("one directory in order", &|number| Entry::file(format!("d/{}", name(number)), 0o644, 1)),
        // 7919 has no factor in common with the number of entries.
        ("one directory in no order", &|number| Entry::file(format!("e/{}", name(number * 7919 % ENTRIES)), 0o644, 1)),
        ("directories in each other", &|number| {
            let depth = number % 30;
            let path: Vec<String> = (0..=depth).map(|level| format!("{level:02}-{:06}-in-it", number / 30)).collect();
            Entry::new(path.join("/"), EntryKind::Directory, 0o755)
        }),
        ("symbolic links", &|number| Entry {
            link: name(number + 1).into(),
            ..Entry::new(format!("f/{}", name(number)), EntryKind::Symlink, 0o777)
        }),
        ("empty directories", &|number| Entry::new(format!("g/{}", name(number)), EntryKind::Directory, 0o755)),
    ];
    // Freed pages would be used again by the next tree, so none is dropped.
    let mut kept = Vec::new();
    drop(tree_of(1000, shapes[0].1));
    for (shape, entry) in shapes {
        let before = resident();
        let (tree, bytes) = tree_of(ENTRIES, entry);
        let grown = resident() - before;
        let per_entry = grown.saturating_sub(bytes) / ENTRIES;
        println!("{shape}: {per_entry} bytes an entry, and {} of its name", bytes / ENTRIES);
        assert!(grown <= PROMISED * ENTRIES + bytes, "{shape}: {per_entry} bytes an entry");
        assert!(grown >= 60 * ENTRIES, "{shape}: {grown} bytes cannot be all of it");
        kept.push(tree);
    }
}
