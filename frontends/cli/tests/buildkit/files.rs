//! The files of a build, in a directory or as a tar stream: entry by entry, file by file.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use longshore_core::archive::Reader;
use longshore_core::oci::Digest;

use super::builder::BuildKit;
use super::case::Case;
use super::exported;
use crate::run::Workdir;

impl Case {
    /// Builds and exports files, and fails where an entry or a file differs.
    pub fn files_hold(&self) {
        let Some(builder) = BuildKit::ready() else { return };
        let work = Workdir::new();
        self.write_context(&work.path("context"));
        if let Some(base) = self.base {
            exported::base(self, base, &work);
        }
        let (theirs, ours) = (builder.build(self, &work), exported::export(self, &work));
        let list = |path: &Path| if self.kind == "tar" { entries(path) } else { files(path) };
        let (theirs, ours) = (list(&theirs), list(&ours));
        let differs = theirs.iter().zip(&ours).find(|(theirs, ours)| theirs != ours);
        assert!(differs.is_none(), "{}: BuildKit's and ours: {differs:#?}", self.name);
        assert_eq!(theirs.len(), ours.len(), "{}", self.name);
        assert!(ours.len() > 100, "{}: {} files", self.name, ours.len());
    }
}

/// The entries of an archive, one a line.
fn entries(archive: &Path) -> Vec<String> {
    let mut reader = Reader::new(File::open(archive).unwrap());
    let mut lines = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        lines.push(format!("{entry:?} {}", Digest::of(&content)));
    }
    lines
}

/// What is below a directory, one a line.
fn files(root: &Path) -> Vec<String> {
    fn list(path: &Path, name: &str, lines: &mut Vec<String>) {
        let mut below: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        below.sort();
        for own in below {
            let (path, name) = (path.join(&own), format!("{name}/{}", own.to_string_lossy()));
            let found = path.symlink_metadata().unwrap();
            let what = match found.file_type() {
                kind if kind.is_symlink() => format!("{:?}", fs::read_link(&path).unwrap()),
                kind if kind.is_file() => Digest::of(&fs::read(&path).unwrap()).to_string(),
                kind => format!("{kind:?}"),
            };
            let owner = (found.uid(), found.gid());
            let links = if found.is_dir() { 0 } else { found.nlink() };
            lines.push(format!("{name} {:o} {owner:?} {} {links} {what}", found.mode(), found.mtime()));
            if found.is_dir() {
                list(&path, &name, lines);
            }
        }
    }
    let mut lines = Vec::new();
    list(root, "", &mut lines);
    lines
}
