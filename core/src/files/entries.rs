//! The entries of an output of files: platforms side by side or over each other, and attestations beside them.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use longshore_content::{Hashing, Work};
use longshore_oci::{Context, Error, Hasher, Result};

use super::attestations::Attestations;
use super::merged;
use super::options::FilesOptions;
use super::platforms::{self, PlatformLayers};
use super::selection::Selection;
use crate::archive::{Entry, EntryKind, Writer};
use crate::attestation::Subject;
use crate::context::ExportContext;
use crate::result::{BuildResult, Image};
use crate::unpack::FileEntries;

impl FilesOptions {
    /// Visits the files of the image of `result` as the output has them: relative paths in the order of a walk, without
    /// the root. Each layer is read once.
    ///
    /// # Errors
    /// As [`check_result`](Self::check_result); layers that cannot be read; files of two platforms at one path; errors
    /// of `visit`.
    pub fn entries(&self, result: &BuildResult, cx: &ExportContext<'_>, visit: &mut FileEntries<'_>) -> Result<()> {
        self.check_result(result)?;
        for image in &result.images {
            let platforms = platforms::platforms(image, cx.work())?;
            let is_split = self.platform_split.unwrap_or(platforms.is_map);
            let mut output = Output {
                options: self,
                image,
                epoch: self.epoch(result.epoch).map(|epoch| epoch.seconds()),
                is_split,
                is_merged: !is_split && platforms.all.len() > 1,
                taken: HashMap::new(),
                scratch: scratch(cx),
                visit,
                count: 0,
            };
            for (at, platform) in platforms.all.iter().enumerate() {
                output.platform(at, platform, &platforms.all, cx.work())?;
            }
            if output.count == 0 && self.selects() {
                cx.work().progress.warn("include and exclude leave no file");
            }
        }
        Ok(())
    }

    /// Writes the files to `out`, as a tar archive of the entries that [`entries`](Self::entries) visits.
    ///
    /// # Errors
    /// As [`entries`](Self::entries), and those of writing to `out`.
    pub fn write_tar(&self, result: &BuildResult, cx: &ExportContext<'_>, out: &mut dyn Write) -> Result<()> {
        let mut tar = Writer::new(out);
        self.entries(result, cx, &mut |entry, content| {
            tar.append(entry, content).attempt(|| format!("cannot write {}", entry.display()))
        })?;
        tar.finish()?;
        Ok(())
    }
}

/// Returns where contents of files may wait: beside the store of the run, or where temporary files are.
fn scratch(cx: &ExportContext<'_>) -> PathBuf {
    cx.store().directory().map_or_else(std::env::temp_dir, ToOwned::to_owned)
}

struct Output<'a, 'v> {
    options: &'a FilesOptions,
    image: &'a Image,
    epoch: Option<i64>,
    is_split: bool,
    /// Whether the platforms are put over each other.
    is_merged: bool,
    /// Which platform brought a path, where they are: directories may come again.
    taken: HashMap<Vec<u8>, (usize, EntryKind)>,
    scratch: PathBuf,
    visit: &'a mut FileEntries<'v>,
    /// How many files there were.
    count: u64,
}

impl Output<'_, '_> {
    /// Visits the files of one platform, the one at `at` of `all`.
    fn platform(&mut self, at: usize, own: &PlatformLayers, all: &[PlatformLayers], work: &Work) -> Result<()> {
        let directory = self.is_split.then(|| own.directory());
        if let Some(directory) = &directory {
            let entry = Entry::new(directory.as_bytes(), EntryKind::Directory, 0o755);
            self.put(self.options.owned(Entry { mtime: self.epoch.unwrap_or(0), ..entry }), &mut io::empty())?;
        }
        let attestations = Attestations::of(self.options, self.image, &own.platform, self.is_merged);
        let mut subjects = Vec::new();
        let (selection, scratch) = (Selection::new(self.options), self.scratch.clone());
        merged::entries(&own.layers, selection, &scratch, work, &mut |entry, content| {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            attestations.check_name(&path)?;
            self.count += 1;
            if self.is_merged && !self.takes(at, &entry, all)? {
                return Ok(());
            }
            let is_subject = entry.kind == EntryKind::File && !attestations.is_empty();
            let entry = self.placed(entry, directory.as_deref());
            if !is_subject {
                return self.put(entry, content);
            }
            let mut hashing = Hashing { inner: content, hasher: Hasher::sha256(), cancel: &work.cancel };
            self.put(entry, &mut hashing)?;
            let digest = hashing.hasher.finish();
            subjects.push(Subject::new(path, &digest));
            Ok(())
        })?;
        for (name, bytes) in attestations.files(&subjects, &own.platform)? {
            let entry = Entry { mtime: self.epoch.unwrap_or(0), ..Entry::file(name, 0o600, bytes.len() as u64) };
            let entry = self.placed(self.options.owned(entry), directory.as_deref());
            self.put(entry, &mut &bytes[..])?;
        }
        Ok(())
    }

    fn put(&mut self, entry: Entry, content: &mut dyn Read) -> Result<()> {
        (self.visit)(&entry, content)
    }

    /// Returns whether an entry of the platform at `at` is new; a directory that another platform brought is not.
    fn takes(&mut self, at: usize, entry: &Entry, all: &[PlatformLayers]) -> Result<bool> {
        let Some((first, kind)) = self.taken.get(&entry.path) else {
            self.taken.insert(entry.path.clone(), (at, entry.kind));
            return Ok(true);
        };
        if (*kind, entry.kind) == (EntryKind::Directory, EntryKind::Directory) {
            return Ok(false);
        }
        let (path, first, own) = (entry.display(), &all[*first].platform, &all[at].platform);
        let message = format!("cannot overwrite {path} from {first} with {own} when split option is disabled");
        Err(Error::option(message).with_hint("leave out platform-split=false, or select one platform"))
    }

    /// Returns an entry as it is below the directory of its platform, with the time that all have.
    fn placed(&self, mut entry: Entry, directory: Option<&str>) -> Entry {
        entry.mtime = self.epoch.unwrap_or(entry.mtime);
        let Some(directory) = directory else { return entry };
        let below = |path: &[u8]| [directory.as_bytes(), path].join(&b'/');
        entry.path = below(&entry.path);
        match entry.kind {
            EntryKind::HardLink => entry.link = below(&entry.link),
            // As in BuildKit, an absolute link leads to the same file of its platform.
            EntryKind::Symlink if entry.link.starts_with(b"/") => {
                entry.link = [b"/", directory.as_bytes(), &entry.link].concat();
            }
            _ => {}
        }
        entry
    }
}
