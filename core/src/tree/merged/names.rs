//! The names in a directory, in byte order.

use std::collections::BTreeMap;

use super::inode::InodeId;

/// Most names kept in a sorted list. With more, an insertion would move too many; with fewer, a map
/// would be mostly empty, as its smallest node has room for eleven.
const FEW: usize = 16;

/// The meaning of a name in a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) inode: InodeId,
    /// The layer that added the name.
    pub(super) layer: u32,
}

/// The names in a directory, each once.
#[derive(Debug)]
pub(super) enum Names {
    Few(Vec<(Box<[u8]>, Name)>),
    Many(BTreeMap<Box<[u8]>, Name>),
}

impl Default for Names {
    fn default() -> Self {
        Names::Few(Vec::new())
    }
}

impl Names {
    pub(super) fn get(&self, name: &[u8]) -> Option<Name> {
        match self {
            Names::Few(list) => position(list, name).ok().map(|at| list[at].1),
            Names::Many(map) => map.get(name).copied(),
        }
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Name> {
        match self {
            Names::Few(list) => position(list, name).ok().map(|at| &mut list[at].1),
            Names::Many(map) => map.get_mut(name),
        }
    }

    /// Gives `name` to a file, replacing any other file with that name.
    pub(super) fn insert(&mut self, name: &[u8], to: Name) {
        match self {
            Names::Few(list) => match position(list, name) {
                Ok(at) => list[at].1 = to,
                Err(at) if list.len() < FEW => {
                    if list.len() == list.capacity() {
                        list.reserve_exact(1 + list.len() / 4);
                    }
                    list.insert(at, (name.into(), to));
                }
                Err(_) => {
                    let mut map: BTreeMap<_, _> = std::mem::take(list).into_iter().collect();
                    map.insert(name.into(), to);
                    *self = Names::Many(map);
                }
            },
            Names::Many(map) => {
                map.insert(name.into(), to);
            }
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Name> {
        match self {
            Names::Few(list) => position(list, name).ok().map(|at| list.remove(at).1),
            Names::Many(map) => map.remove(name),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Names::Few(list) => list.is_empty(),
            Names::Many(map) => map.is_empty(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Name)> {
        let (list, map) = match self {
            Names::Few(list) => (Some(list), None),
            Names::Many(map) => (None, Some(map)),
        };
        let list = list.into_iter().flatten().map(|(name, of)| (&**name, *of));
        list.chain(map.into_iter().flatten().map(|(name, of)| (&**name, *of)))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Name> {
        let (list, map) = match self {
            Names::Few(list) => (Some(list), None),
            Names::Many(map) => (None, Some(map)),
        };
        list.into_iter().flatten().map(|(_, of)| of).chain(map.into_iter().flat_map(BTreeMap::values_mut))
    }
}

fn position(list: &[(Box<[u8]>, Name)], name: &[u8]) -> Result<usize, usize> {
    list.binary_search_by(|(own, _)| (**own).cmp(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few names and many behave as one map does, while they grow and while they shrink again.
    #[test]
    fn names_behave_as_a_map_at_every_size() {
        let (mut names, mut map) = (Names::default(), BTreeMap::new());
        let check = |names: &mut Names, map: &BTreeMap<Vec<u8>, u32>| {
            let found: Vec<_> = names.iter().map(|(name, of)| (name.to_vec(), of.inode.0)).collect();
            assert_eq!(found, map.clone().into_iter().collect::<Vec<_>>());
            assert_eq!(names.is_empty(), map.is_empty());
            assert_eq!(names.values_mut().count(), map.len());
        };
        // 37 has no factor in common with 100: every number once, in no order.
        let order = || (0..100u32).map(|step| step * 37 % 100);
        for number in order() {
            let name = format!("name {number}").into_bytes();
            for inode in [number + 1000, number] {
                names.insert(&name, Name { inode: InodeId(inode), layer: 0 });
            }
            map.insert(name.clone(), number);
            names.get_mut(&name).unwrap().layer = 7;
            assert_eq!(names.get(&name).map(|of| (of.inode.0, of.layer)), Some((number, 7)));
            assert!(names.get(b"missing").is_none());
            check(&mut names, &map);
        }
        for number in order().skip(1) {
            let name = format!("name {number}").into_bytes();
            assert_eq!(names.remove(&name).map(|of| of.inode.0), map.remove(&name));
            assert!(names.remove(&name).is_none());
            check(&mut names, &map);
        }
    }
}
