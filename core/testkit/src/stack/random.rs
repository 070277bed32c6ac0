//! Random stacks of layers that can be applied.

use std::collections::BTreeMap;

use longshore_core::archive::{Entry, EntryKind};

use super::oracle::Oracle;
use super::{Item, directory, entry, file, hard_link, symlink};
use crate::sample::Random;

/// A stack of layers, and what it becomes.
#[derive(Debug)]
pub struct Stack {
    /// The entries of each layer, the base first.
    pub layers: Vec<Vec<Item>>,
    /// The tree that they make, as [`read_tree`](super::read_tree) shows it.
    pub tree: BTreeMap<String, String>,
}

/// Returns a stack of layers from a seed: files, directories, links and whiteouts, many at the same paths.
pub fn random(seed: u64) -> Stack {
    let mut random = Random::new(seed);
    let mut oracle = Oracle::default();
    let mut stack = Vec::new();
    for _ in 0..=random.below(5) {
        let mut layer = Vec::new();
        for _ in 0..random.below(14) {
            let (mut item, content) = item(&mut random);
            item.uid = random.below(3) * 1000;
            item.mode = [0o755, 0o700, 0o644, 0o4755][random.below(4) as usize];
            item.mtime = 1_000_000_000 + random.below(1000) as i64;
            let item = (item, content);
            if oracle.apply(&item).is_some() {
                layer.push(item);
            }
        }
        stack.push(layer);
        oracle.next_layer();
    }
    Stack { layers: stack, tree: oracle.tree() }
}

fn name(random: &mut Random) -> String {
    ["a", "b", "c", "d"][random.below(4) as usize].to_owned()
}

fn path(random: &mut Random) -> String {
    (0..=random.below(3)).map(|_| name(random)).collect::<Vec<_>>().join("/")
}

fn item(random: &mut Random) -> (Entry, Vec<u8>) {
    let path = path(random);
    match random.below(12) {
        0..=2 => file(&path, &format!("content {}", random.below(1000))),
        3 => file(&path, ""),
        4 | 5 => directory(&path),
        6 | 7 => symlink(&path, &target(random)),
        8 => hard_link(&path, &self::path(random)),
        9 => entry(&path, EntryKind::Fifo, ""),
        10 => {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            file(&format!("{parent}/.wh.{name}"), "")
        }
        _ => file(&format!("{path}/.wh..wh..opq"), ""),
    }
}

fn target(random: &mut Random) -> String {
    let path = path(random);
    match random.below(4) {
        0 => format!("/{path}"),
        1 => format!("../{path}"),
        2 => format!("../../../{path}"),
        _ => path,
    }
}
