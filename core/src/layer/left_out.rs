//! Parts of a directory that a layer does not keep: counted while it is read, and reported once at the end.

use std::path::Path;

use longshore_content::Progress;

use crate::archive::Entry;

/// Attributes that a layer keeps, or that are only relevant on this machine.
const SILENT: [&[u8]; 3] = [super::directory::CAPABILITY.as_bytes(), b"security.selinux", b"user.longshore.files"];
const ACL: &[u8] = b"system.posix_acl_";

/// Counts what is left out, by kind.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    temporary: Count,
    attributes: Count,
    acls: Count,
}

/// The number of files, and the first of them, for display.
#[derive(Debug, Default)]
struct Count {
    files: u64,
    first: String,
}

impl Count {
    fn add(&mut self, name: impl FnOnce() -> String) {
        if self.files == 0 {
            self.first = name();
        }
        self.files += 1;
    }

    fn files(&self) -> String {
        format!("{} {}", self.files, if self.files == 1 { "file" } else { "files" })
    }
}

impl LeftOut {
    /// Counts a run's temporary file.
    pub(super) fn add_temporary(&mut self, name: impl FnOnce() -> String) {
        self.temporary.add(name);
    }

    /// Counts the parts of a file with these extended attributes that `entry` lacks. Fractions of a second are ignored:
    /// nearly every file has one, and warning about them would hide the warnings that matter.
    pub(super) fn add(&mut self, entry: &Entry, attributes: &[Vec<u8>]) {
        let other = |name: &&Vec<u8>| !SILENT.contains(&name.as_slice()) && !name.starts_with(ACL);
        if let Some(name) = attributes.iter().find(other) {
            let name = || String::from_utf8_lossy(name).escape_debug().to_string();
            self.attributes.add(|| format!("`{}` of {}", name(), entry.display()));
        }
        if attributes.iter().any(|name| name.starts_with(ACL)) {
            self.acls.add(|| entry.display());
        }
    }

    /// Reports what was left out of the directory `path`; only once if a run reads it several times.
    pub(super) fn say(&self, path: &Path, progress: &Progress) {
        let path = path.display();
        let Self { temporary, attributes, acls } = self;
        if temporary.files > 0 {
            let (files, first) = (temporary.files(), &temporary.first);
            let message = || format!("{path}: {files} of interrupted or running exports skipped, such as {first}");
            progress.warn_once(&format!("temporary files in {path}"), message);
        }
        let counts = [("extended attributes", attributes), ("ACLs", acls)];
        let lost = counts.iter().filter(|(_, count)| count.files > 0);
        let lost = lost.map(|(what, count)| format!("{what} of {} ({})", count.files(), count.first));
        let lost: Vec<String> = lost.collect();
        if !lost.is_empty() {
            let message = || format!("{path}: its layer does not keep {}", lost.join(", "));
            progress.warn_once(&format!("left out of {path}"), message);
        }
    }
}
