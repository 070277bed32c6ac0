//! A layout in a tar archive.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::thread;

use super::OCI_LAYOUT;
use super::checks::Checks;
use crate::archive::{Entry, EntryKind, Writer};
use crate::content::{Verified, read_ahead};
use crate::error::{Context, Result};
use crate::exporter::ExportContext;
use crate::image::ImageBlob;
use crate::oci::{Descriptor, Digest, Index, json};
use crate::progress::Task;

/// A layout that becomes a tar archive: sorted, owned by root, of 1970. The same images and names
/// give the same bytes.
#[derive(Debug)]
pub struct LayoutArchive<'a> {
    records: BTreeMap<String, Record<'a>>,
}

#[derive(Debug)]
enum Record<'a> {
    Directory,
    Document { mode: u32, bytes: Vec<u8> },
    Blob(ImageBlob<'a>),
}

impl<'a> LayoutArchive<'a> {
    /// An archive with `entries` in its `index.json`, and `blobs`, each of which is written once.
    ///
    /// # Errors
    /// None in practice: descriptors are always JSON.
    pub fn new(entries: Vec<Descriptor>, blobs: Vec<ImageBlob<'a>>) -> Result<Self> {
        let mut archive = Self { records: BTreeMap::new() };
        archive.add_document("oci-layout", 0o444, OCI_LAYOUT.to_vec());
        archive.add_document("index.json", 0o644, json::compact(&Index::new(entries))?);
        archive.records.insert("blobs/".to_owned(), Record::Directory);
        for blob in blobs {
            let digest: &Digest = &blob.descriptor.digest;
            archive.records.insert(format!("blobs/{}/", digest.algorithm()), Record::Directory);
            archive.records.entry(digest.layout_path()).or_insert(Record::Blob(blob));
        }
        Ok(archive)
    }

    /// Adds a further document at the top, such as Docker's `manifest.json`.
    pub fn add_document(&mut self, name: &str, mode: u32, bytes: Vec<u8>) {
        self.records.insert(name.to_owned(), Record::Document { mode, bytes });
    }

    /// Writes the archive. Each blob is verified while it is copied.
    ///
    /// # Errors
    /// A blob that is not what its descriptor says: then what was written must not be used.
    pub fn write(&self, out: &mut dyn Write, cx: &ExportContext<'_>) -> Result<()> {
        let blobs = self.records.values().filter_map(|record| match record {
            Record::Blob(blob) => Some(blob),
            _ => None,
        });
        let stop = cx.cancel().child();
        thread::scope(|scope| {
            let checks = Checks::start(scope, blobs, cx.budget().jobs().get(), &stop)?;
            self.write_records(out, &checks, cx)
        })
    }

    fn write_records(&self, out: &mut dyn Write, checks: &Checks<'_>, cx: &ExportContext<'_>) -> Result<()> {
        let mut tar = Writer::new(out);
        for (path, record) in &self.records {
            cx.cancel().check()?;
            match record {
                Record::Directory => {
                    let entry = Entry::new(path.trim_end_matches('/'), EntryKind::Directory, 0o755);
                    tar.append(&entry, &mut std::io::empty())
                }
                Record::Document { mode, bytes } => {
                    tar.append(&Entry::file(path.as_str(), *mode, bytes.len() as u64), &mut &bytes[..])
                }
                Record::Blob(blob) => {
                    write_blob(&mut tar, path, blob, checks, cx)?;
                    Ok(())
                }
            }
            .attempt(|| format!("cannot write {path}"))?;
        }
        tar.finish()?;
        Ok(())
    }
}

fn write_blob<W: Write>(
    tar: &mut Writer<W>,
    path: &str,
    blob: &ImageBlob<'_>,
    checks: &Checks<'_>,
    cx: &ExportContext<'_>,
) -> Result<()> {
    let descriptor = &blob.descriptor;
    let task = blob.task(cx.progress());
    let from = blob.provider.provider().open(&descriptor.digest, 0)?;
    let mut from = Copying { from, task: task.as_ref(), cx };
    let entry = Entry::file(path, 0o444, descriptor.size);
    if checks.covers(&descriptor.digest) {
        let appended = tar.append(&entry, &mut from);
        // A blob that is cut is corrupt, which says more than that it ended early.
        checks.result(&descriptor.digest).transpose()?;
        appended?;
    } else {
        // Hashing takes longer than writing: together they take as long as hashing alone.
        read_ahead(Verified::new(from, descriptor), |mut from| Ok(tar.append(&entry, &mut from)?))?;
    }
    if let Some(task) = task {
        task.done("");
    }
    Ok(())
}

/// Reports progress and stops when the run is cancelled.
struct Copying<'a, R> {
    from: R,
    task: Option<&'a Task>,
    cx: &'a ExportContext<'a>,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.cx.cancel().check()?;
        let count = self.from.read(buffer)?;
        self.task.inspect(|task| task.advance(count as u64));
        Ok(count)
    }
}
