//! A layout in a tar archive.

use std::collections::BTreeMap;

use longshore_oci::{Descriptor, Digest, Index, Result, json};

use super::OCI_LAYOUT;
use crate::archive::{Entry, EntryKind};
use crate::bundle::Bundle;
use crate::image::ImageBlob;

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
    /// Creates an archive with `entries` in its `index.json`, and `blobs`, each of which is written once.
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

    /// Returns the archive, to be written.
    pub fn into_bundle(self) -> Bundle<'a> {
        let mut bundle = Bundle::default();
        for (path, record) in self.records {
            match record {
                Record::Directory => {
                    bundle.add(Entry::new(path.trim_end_matches('/'), EntryKind::Directory, 0o755));
                }
                Record::Document { mode, bytes } => bundle.add_document(Entry::file(path, mode, 0), bytes),
                Record::Blob(blob) => bundle.add_blob(Entry::file(path, 0o444, 0), blob),
            }
        }
        bundle
    }
}
