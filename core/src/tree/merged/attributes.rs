//! The attributes of a file besides its content.

use longshore_oci::{Error, ErrorKind, Result};

use crate::archive::Entry;

/// Owner, mode, time and extended attributes of a file, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// Permissions with set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When the file was last changed, in seconds since 1970.
    pub mtime: i64,
    /// Few files have any, so this costs only a pointer.
    xattrs: Option<Box<Xattrs>>,
}

/// Extended attributes in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Xattrs(Vec<Xattr>);

/// A name and its value.
type Xattr = (Box<[u8]>, Box<[u8]>);

/// Size of an attribute in bytes besides its name and value, for the limits.
const XATTR: usize = 128;

impl Attributes {
    /// Returns those of a directory that no layer describes: root's, with the mode 0755, of 1970.
    pub fn implicit() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: None }
    }

    /// Returns those that an entry of a layer has.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an owner that does not fit into 32 bits or is the one
    /// that stands for none; [`Unsupported`](ErrorKind::Unsupported) for extended attributes that mean
    /// something to overlayfs.
    pub fn of(entry: &Entry) -> Result<Self> {
        let id = |what: &str, id: u64| {
            let valid = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
            valid.ok_or_else(|| Error::input(format!("its {what} is {id}, which is not a valid ID")))
        };
        let (uid, gid) = (id("owner", entry.uid)?, id("group", entry.gid)?);
        if let Some(name) = entry.xattrs.keys().find(|name| is_attribute_of_overlay(name)) {
            let name = String::from_utf8_lossy(name).escape_debug().to_string();
            let message = format!("its attribute `{name}` belongs to overlayfs, not to a layer");
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_hint("make the layer from the merged tree, not from a directory of an overlay"));
        }
        let copy = |(name, value): (&Vec<u8>, &Vec<u8>)| (name.as_slice().into(), value.as_slice().into());
        let xattrs = (!entry.xattrs.is_empty()).then(|| Box::new(Xattrs(entry.xattrs.iter().map(copy).collect())));
        Ok(Self { mode: entry.mode & 0o7777, uid, gid, mtime: entry.mtime, xattrs })
    }

    /// Returns names and values of the extended attributes, in the order of their names.
    pub fn xattrs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.xattrs.iter().flat_map(|xattrs| &xattrs.0).map(|(name, value)| (&**name, &**value))
    }

    /// Returns their size in bytes beyond the fixed part.
    pub(super) fn size(&self) -> usize {
        self.xattrs().map(|(name, value)| name.len() + value.len() + XATTR).sum()
    }
}

/// Returns whether an extended attribute has a meaning to overlayfs.
pub(crate) fn is_attribute_of_overlay(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// Returns the size in bytes of an entry's extended attributes.
pub(super) fn xattrs_size(entry: &Entry) -> usize {
    entry.xattrs.iter().map(|(name, value)| name.len() + value.len() + XATTR).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::EntryKind;

    #[test]
    fn attributes_are_those_of_the_entry() {
        let xattrs = [(b"user.b".to_vec(), b"2".to_vec()), (b"user.a".to_vec(), Vec::new())].into();
        let entry =
            Entry { uid: 7, gid: 8, mtime: -9, xattrs, ..Entry::new("a", EntryKind::File, 0o100_0000 | 0o4711) };
        let found = Attributes::of(&entry).unwrap();
        assert_eq!((found.mode, found.uid, found.gid, found.mtime), (0o4711, 7, 8, -9));
        let xattrs: Vec<(&[u8], &[u8])> = found.xattrs().collect();
        assert_eq!(xattrs, [(&b"user.a"[..], &b""[..]), (b"user.b", b"2")]);
        assert_eq!(found.size(), xattrs_size(&entry));
    }
}
