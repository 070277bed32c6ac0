//! The files of a layer, by their names in its archive.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use longshore_core::{Error, ErrorKind, Result};

use crate::directory::Directory;

/// The hint for a file that is not here: dockerd reads the files of overlay2 through a mount.
pub(crate) const DOCKER_CAN: &str = "docker save can read it";

/// The files of a layer. Opening one does not write, block, or lead outside the layer.
pub(crate) struct Tree {
    root: Directory,
    /// The directory of the last file, by its path in the layer: the next file is often in it, too.
    last: Option<(PathBuf, Directory)>,
}

impl Tree {
    /// Returns the files below `root`.
    pub(crate) fn new(root: Directory) -> Self {
        Self { root, last: None }
    }

    /// Returns the directory of all files.
    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// Opens the file with the archive's `name` and `size` in bytes.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt): the file found is not the one that dockerd extracted.
    pub(crate) fn open(&mut self, name: &[u8], size: u64) -> Result<File> {
        let (file, found) = self.find(&relative(name)?).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "it is missing").with_hint(format!(
                "was the image removed while it was being read? If not, overlayfs may keep it in a layer below: {DOCKER_CAN}"
            )),
            _ => error,
        })?;
        if found != size {
            return Err(Error::corrupt(format!("it was changed: it has {found} bytes, its layer has {size}")));
        }
        Ok(file)
    }

    fn find(&mut self, path: &Path) -> Result<(File, u64)> {
        let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let last = match self.last.take() {
            Some(last) if last.0 == parent => last,
            _ => (parent.to_owned(), self.root.directory_in_root(parent)?),
        };
        let (_, directory) = self.last.insert(last);
        directory.file_of_image(path.file_name().unwrap_or_default())
    }
}

/// Returns the path of an archive name below the directory of a layer. As in dockerd, `..` removes the part before
/// it, without looking at the disk.
fn relative(name: &[u8]) -> Result<PathBuf> {
    let outside = || Error::corrupt("its name points outside the layer");
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop().ok_or_else(outside)?),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(outside());
    }
    Ok(Path::new(OsStr::from_bytes(&parts.join(&b'/'))).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        let relative = |name: &str| relative(name.as_bytes()).ok().map(|path| path.display().to_string());
        for (name, expected) in [
            ("a/b", "a/b"),
            ("./a//b", "a/b"),
            ("/a", "a"),
            ("a/../b", "b"),
            ("a/./../../a/../b", ""),
            ("..a/b", "..a/b"),
        ] {
            assert_eq!(relative(name), Some(expected.to_owned()).filter(|path| !path.is_empty()), "{name}");
        }
        for name in ["", "/", ".", "..", "../a", "a/../..", "/../a", "a/.."] {
            assert_eq!(relative(name), None, "{name}");
        }
    }
}
