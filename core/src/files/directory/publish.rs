//! Files to their places, and what is left over out of the way.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use longshore_content::{ScratchDirectory, Work, directory_of, is_scratch, remove_tree_at};
use longshore_oci::{Context, Result};
use rustix::fs::{AtFlags, Mode, OFlags, chmodat, fchmod, fstat, linkat, mkdirat, renameat};
use rustix::io::Errno;

use super::{StagedFiles, Step, What, mark, names, open_below, open_root, shown, split};
use crate::unpack::Writer;

impl StagedFiles {
    /// Puts the files to their places. Returns where the directory is.
    ///
    /// # Errors
    /// I/O errors: then some files may be new and others old, but none is partly written, and nothing was deleted.
    pub fn publish(self, work: &Work) -> Result<PathBuf> {
        let root = self.directory.root.clone();
        let published = if self.is_new { self.publish_new(work) } else { self.publish_into(work) };
        published.attempt(|| format!("cannot write to {}", root.display()))?;
        Ok(root)
    }

    /// Makes the directory beside its place, and renames it.
    fn publish_new(self, work: &Work) -> Result<()> {
        let parent = directory_of(&self.directory.root);
        // As any new directory, it has the permissions that the umask leaves.
        let probe = self.scratch.path().join("probe");
        fs::create_dir(&probe)?;
        let permissions = probe.metadata()?.permissions();
        let tree = ScratchDirectory::new_in(parent)?;
        let root = open_root(tree.path())?;
        self.place(&root, work)?;
        self.finish(&root, work)?;
        mark(&root)?;
        fs::set_permissions(tree.path(), PermissionsExt::from_mode(permissions.mode() & 0o777))?;
        tree.persist(&self.directory.root)
    }

    fn publish_into(self, work: &Work) -> Result<()> {
        let root = open_root(&self.directory.root)?;
        // What has a name in the end is on the medium by then.
        rustix::fs::syncfs(&root)?;
        self.place(&root, work)?;
        if self.directory.deletes {
            self.delete(&root)?;
        }
        self.finish(&root, work)?;
        if self.is_marked {
            mark(&root)?;
        }
        self.scratch.remove()?;
        Ok(rustix::fs::syncfs(&root)?)
    }

    fn place(&self, root: &OwnedFd, work: &Work) -> Result<()> {
        let staging = open_root(self.scratch.path())?;
        let mut current: (Vec<u8>, Option<OwnedFd>) = (Vec::new(), None);
        for (at, step) in self.steps.iter().enumerate() {
            let (directory, name) = split(&step.path);
            let mut place = || -> Result<()> {
                if current.1.is_none() || current.0 != directory {
                    let opened = open_below(root.as_fd(), directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
                    current = (directory.to_vec(), Some(opened));
                }
                let Some(parent) = &current.1 else { return Ok(()) };
                self.put(step, (root.as_fd(), parent.as_fd(), name), &staging, at, work)
            };
            let placed = place();
            placed.attempt(|| format!("cannot create `{}`", shown(&step.path)))?;
        }
        Ok(())
    }

    fn put(
        &self,
        step: &Step,
        (root, parent, name): (BorrowedFd<'_>, BorrowedFd<'_>, &[u8]),
        staging: &OwnedFd,
        at: usize,
        work: &Work,
    ) -> Result<()> {
        match &step.what {
            What::Nothing => Ok(()),
            What::Directory => match mkdirat(parent, name, Mode::RWXU) {
                Err(Errno::EXIST) => match open_below(root, &step.path, OFlags::RDONLY | OFlags::DIRECTORY) {
                    Ok(directory) => make_writable(&directory),
                    // Its attributes come last; until then things are put into it.
                    Err(Errno::ACCESS) => Ok(chmodat(parent, name, Mode::RWXU, AtFlags::empty())?),
                    Err(_) => {
                        self.make_way(parent, name)?;
                        Ok(mkdirat(parent, name, Mode::RWXU)?)
                    }
                },
                made => Ok(made?),
            },
            What::Move(number) => self.rename(staging, &number.to_string(), (parent, name)),
            What::Link(first) => {
                let temporary = format!("link-{at}");
                linkat(root, first.as_slice(), staging, &temporary, AtFlags::empty())?;
                self.rename(staging, &temporary, (parent, name))
            }
            What::Change => {
                let file = open_below(root, &step.path, OFlags::RDONLY | OFlags::NONBLOCK)?;
                Writer::new(work).set_file(file.as_fd(), &step.attributes, &|| shown(&step.path))
            }
        }
    }

    fn rename(&self, staging: &OwnedFd, from: &str, (parent, name): (BorrowedFd<'_>, &[u8])) -> Result<()> {
        match renameat(staging, from, parent, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                self.make_way(parent, name)?;
                Ok(renameat(staging, from, parent, name)?)
            }
            renamed => Ok(renamed?),
        }
    }

    /// Removes what is at a name, if it may be: it was seen when the files were staged, or came since.
    fn make_way(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        if !self.directory.deletes {
            return Err(Errno::EXIST.into());
        }
        Ok(remove_tree_at(parent, name)?)
    }

    /// Removes what is not among the new files.
    fn delete(&self, root: &OwnedFd) -> Result<()> {
        let keep: HashSet<&[u8]> = self.steps.iter().map(|step| step.path.as_slice()).collect();
        let directories = self.steps.iter().filter(|step| step.what == What::Directory).map(|step| &step.path[..]);
        for directory in [&b""[..]].into_iter().chain(directories) {
            // Opened through no link, so that what is listed is below the root.
            let opened = open_below(root.as_fd(), directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
            for (name, _) in names(&opened)? {
                let below = if directory.is_empty() { name.clone() } else { [directory, &name].join(&b'/') };
                if keep.contains(&below[..]) || directory.is_empty() && is_scratch(OsStr::from_bytes(&name)) {
                    continue;
                }
                remove_tree_at(opened.as_fd(), &name).attempt(|| format!("cannot remove `{}`", shown(&below)))?;
            }
        }
        Ok(())
    }

    /// Gives directories their attributes, the deepest first: what is put into one changes its time.
    fn finish(&self, root: &OwnedFd, work: &Work) -> Result<()> {
        let writer = Writer::new(work);
        for step in self.steps.iter().rev().filter(|step| step.what == What::Directory) {
            let set = open_below(root.as_fd(), &step.path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(Into::into);
            let set = set
                .and_then(|directory| writer.set_directory(directory.as_fd(), &step.attributes, &|| shown(&step.path)));
            set.attempt(|| format!("cannot set the attributes of `{}`", shown(&step.path)))?;
        }
        Ok(())
    }
}

/// Lets an owner who is not root put things into a directory; its attributes come last.
fn make_writable(directory: &OwnedFd) -> Result<()> {
    let mode = fstat(directory)?.st_mode & 0o7777;
    if mode & 0o700 != 0o700 {
        fchmod(directory, Mode::from_raw_mode(mode | 0o700))?;
    }
    Ok(())
}
