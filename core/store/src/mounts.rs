//! What is mounted, as the kernel lists it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use longshore_oci::{Context, Result};

/// The mounts that this process sees (proc_pid_mountinfo(5)).
pub(crate) const MOUNTS: &str = "/proc/self/mountinfo";

/// The root of each mount within its file system, and the whole text of the list, without escapes.
pub(crate) struct Mounts {
    roots: Vec<Vec<u8>>,
    plain: Vec<u8>,
}

impl Mounts {
    /// Reads the list of mounts at `path`.
    ///
    /// # Errors
    /// Those of reading it: then the mounts are unknown.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let list = fs::read(path).attempt(|| format!("cannot read {}", path.display()))?;
        Ok(Self::parse(&list))
    }

    fn parse(list: &[u8]) -> Self {
        let roots = list.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(3));
        Self { roots: roots.map(unescape).collect(), plain: without_backslashes(&unescape(list)) }
    }

    /// Returns the numbered directories in `directory` that are mounted, in whole or in part. `directory` must not
    /// contain a symbolic link. When in doubt, a directory counts as mounted.
    pub(crate) fn numbers_in(&self, directory: &Path) -> BTreeSet<i64> {
        let mut prefix = without_backslashes(directory.as_os_str().as_bytes());
        prefix.push(b'/');
        let starts = (0..self.plain.len()).filter(|at| self.plain[*at..].starts_with(&prefix));
        let in_options = starts.filter_map(|at| leading_number(&self.plain[at + prefix.len()..]));
        let bound = self.roots.iter().filter_map(|root| bound_number(root, directory));
        in_options.chain(bound).collect()
    }
}

fn leading_number(text: &[u8]) -> Option<i64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// Returns the numbered directory in `directory` that may contain `root`, a path within a mounted file system.
fn bound_number(root: &[u8], directory: &Path) -> Option<i64> {
    let root = Path::new(OsStr::from_bytes(root.strip_prefix(b"/")?));
    root.ancestors().filter(|part| part.parent().is_some_and(|parent| directory.ends_with(parent))).find_map(|part| {
        let name = part.file_name()?;
        leading_number(name.as_bytes()).filter(|number| *number.to_string() == *name)
    })
}

/// Undoes the kernel's escapes: a backslash and three octal digits for a byte that separates fields or options.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *byte == b'\\').and_then(octal);
        plain.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    plain
}

fn octal(digits: &[u8]) -> Option<u8> {
    let is_octal = digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
    let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit & 7));
    u8::try_from(value).ok().filter(|_| is_octal)
}

/// Removes all backslashes. `lowerdir=` escapes colons, commas and backslashes with a backslash, once for the kernel
/// and again for programs that parse options. Without backslashes, all spellings of a path are equal.
fn without_backslashes(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| *byte != b'\\').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as Linux 6.1 (`lowerdir=`) and 6.18 (`lowerdir+=`) write them for the same directories.
    #[test]
    fn names_are_found_however_they_are_escaped() {
        for (path, option) in [
            ("/s/fs/1", r"lowerdir=/s/fs/1:/s/fs/empty"),
            ("/a store/fs/1", r"lowerdir=/x:/a\040store/fs/1"),
            ("/a\tb\nc/fs/1", r"lowerdir+=/a\011b\012c/fs/1,lowerdir+=/x"),
            ("/a,b/fs/1", r"lowerdir+=/a\054b/fs/1"),
            ("/a,b/fs/1", r"lowerdir=/a\134\054b/fs/1:/x"),
            ("/a:b/fs/1", r"lowerdir+=/a:b/fs/1"),
            ("/a:b/fs/1", r"lowerdir=/a\134:b/fs/1:/x"),
            ("/a:b/fs/1", r"lowerdir=/a\072b/fs/1:/x"),
            (r"/a\b/fs/1", r"lowerdir+=/a\134b/fs/1"),
            (r"/a\b/fs/1", r"lowerdir=/a\134\134b/fs/1:/x"),
            (r"/a\040b/fs/1", r"lowerdir+=/a\134040b/fs/1"),
        ] {
            let line = format!("36 25 0:40 / /mnt ro,relatime shared:1 - overlay longshore ro,{option},userxattr\n");
            let mounts = Mounts::parse(format!("22 1 0:20 / / rw - ext4 /dev/root rw\n{line}").as_bytes());
            let directory = Path::new(path.strip_suffix("/1").unwrap());
            assert_eq!(mounts.numbers_in(directory), BTreeSet::from([1]), "{path} in {line}");
            let longer = Mounts::parse(line.replace("fs/1", "fs/12").as_bytes());
            assert_eq!(longer.numbers_in(directory), BTreeSet::from([12]), "{path} in {line} of fs/12");
            assert_eq!(mounts.numbers_in(Path::new("/other/fs")), BTreeSet::new(), "{line}");
        }
    }

    #[test]
    fn a_directory_that_is_bound_elsewhere_is_mounted() {
        let [store, other] = ["/var/lib/a store/fs", "/var/lib/b/fs"].map(Path::new);
        for (root, expected) in [
            (r"/lib/a\040store/fs/7", Some(7)),
            (r"/lib/a\040store/fs/7/usr/8", Some(7)),
            ("/fs/7", Some(7)),
            ("/7", Some(7)),
            ("/lib/a/fs/7", None),
            ("/", None),
        ] {
            let mounts = Mounts::parse(format!("36 25 8:1 {root} /mnt rw - ext4 /dev/sda1 rw\n").as_bytes());
            assert_eq!(mounts.numbers_in(store), expected.into_iter().collect(), "{root}");
            assert_eq!(mounts.numbers_in(other).is_empty(), !matches!(root, "/fs/7" | "/7"), "{root}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error() {
        let error = Mounts::read(Path::new("/nowhere/mountinfo")).err().unwrap();
        assert_eq!(error.message(), "cannot read /nowhere/mountinfo");
    }
}
