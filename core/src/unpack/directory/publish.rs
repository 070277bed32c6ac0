//! Staged files to their places.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use longshore_content::{ScratchDirectory, Work, directory_of, is_root};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::filling::Filling;
use super::mark::{is_ours, mark};
use super::{StagedFiles, State};
use crate::unpack::below::{open_directory, open_root};
use crate::unpack::place::{Onto, Placer};

impl StagedFiles {
    /// Puts the files to their places. Returns where the directory is.
    ///
    /// # Errors
    /// I/O errors. A directory that was missing or empty is so again. Of files that were there, some may be replaced and
    /// others not, but none is partly written; what is in the way of another type may be deleted, nothing else is.
    pub fn publish(self, work: &Work) -> Result<PathBuf> {
        let root = self.directory.root.clone();
        self.put(work).attempt(|| format!("cannot write to {}", root.display()))?;
        Ok(root)
    }

    pub(super) fn put(self, work: &Work) -> Result<()> {
        match self.place.state {
            State::Missing => self.put_new(work),
            State::Empty => self.fill(work),
            State::HasFiles => self.put_onto(work),
        }
    }

    /// Makes the directory beside its place, and renames it.
    fn put_new(self, work: &Work) -> Result<()> {
        let parent = directory_of(&self.place.root);
        let staging = open_directory(self.place.scratch.path())?;
        // Not inside the other one: an ordinary user cannot move a read-only directory to another parent.
        let tree = ScratchDirectory::new_in(parent)?;
        let root = open_directory(tree.path())?;
        let mut placer = Placer::new(&self.tree, &root, &staging, Onto::New, work)?;
        placer.place()?;
        if self.directory.is_root_of_tree {
            placer.finish(&root)?;
        } else {
            placer.finish_below(&root)?;
            mark(&root);
            // As any new directory, it has the permissions that the umask leaves.
            let probe = self.place.scratch.path().join("probe");
            fs::create_dir(&probe).attempt(|| format!("cannot create {}", probe.display()))?;
            let mode = probe.metadata()?.permissions().mode();
            fs::set_permissions(tree.path(), PermissionsExt::from_mode(mode & 0o7777))?;
        }
        // What is left of the staged files is removed first: the directory is complete from its first moment.
        self.place.scratch.remove()?;
        tree.persist(&self.place.root)
    }

    /// Fills an empty directory: it may be a mount point, into which nothing can be moved from outside.
    fn fill(self, work: &Work) -> Result<()> {
        let root = open_directory(&self.place.root)?;
        let staging = open_directory(self.place.scratch.path())?;
        let tree = self.place.scratch.path().join("tree");
        fs::create_dir(&tree).attempt(|| format!("cannot create {}", tree.display()))?;
        let tree_root = open_directory(&tree)?;
        let mut placer = Placer::new(&self.tree, &tree_root, &staging, Onto::New, work)?;
        placer.place()?;
        // Files of an output are completed by the next run, and theirs may be among them by then: no run takes them out.
        let filling = Filling::begin(&tree_root, &root, &self.place.root, self.directory.is_root_of_tree)?;
        placer.finish_below(&root)?;
        if !self.directory.is_root_of_tree {
            mark(&root);
        } else if is_root() {
            // Users other than root might be unable to remove the list from a read-only root.
            placer.finish_root(&root)?;
        }
        rustix::fs::syncfs(&root)?;
        // If the directory is not empty, a rerun does not look for leftovers.
        self.place.scratch.remove()?;
        filling.finish()?;
        if self.directory.is_root_of_tree {
            placer.finish_root(&root)?;
        }
        Ok(rustix::fs::fsync(&root)?)
    }

    fn put_onto(self, work: &Work) -> Result<()> {
        let root = open_root(&self.place.root)?;
        let staging = open_directory(self.place.scratch.path())?;
        // Someone may have put files there since the files were staged.
        let is_ours = is_ours(&root);
        if self.directory.deletes && !self.directory.may_delete_all && !is_ours {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "files were added to it meanwhile, which mode=delete would remove",
            )
            .with_hint("let nothing else write to the directory, and run it again"));
        }
        // What has a name in the end is on the medium by then.
        rustix::fs::syncfs(&root)?;
        let onto = Onto::Files { deletes: self.directory.deletes };
        let mut placer = Placer::new(&self.tree, &root, &staging, onto, work)?;
        placer.place()?;
        if self.directory.deletes {
            placer.delete_others()?;
        }
        placer.finish_below(&root)?;
        if self.directory.deletes || is_ours {
            mark(&root);
        }
        self.place.scratch.remove()?;
        Ok(rustix::fs::syncfs(&root)?)
    }
}
