//! Blobs: read, looked up and labelled.

use std::io::{self, Read};
use std::sync::Arc;

use longshore_content::{BlobInfo, BlobMeta, BlobWriter, ContentStore, Origin, Provider, not_found};
use longshore_oci::{Context, Descriptor, Digest, Error, Result};
use prost_types::FieldMask;

use crate::connection::{Connection, Incoming, is_missing};
use crate::labels::{self, Labels, UNCOMPRESSED};
use crate::store::ContainerdStore;
use crate::wire::content::{
    INFO, Info, InfoRequest, InfoResponse, LIST, ListRequest, ListResponse, READ, ReadRequest, ReadResponse, UPDATE,
    UpdateRequest,
};
use crate::writer;

impl Provider for ContainerdStore {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        let attempted = || format!("cannot read {digest}");
        let offset = i64::try_from(from).map_err(|_| Error::input("an offset beyond 2^63")).attempt(attempted)?;
        let request = ReadRequest { digest: digest.to_string(), offset, size: 0 };
        // Whether the blob exists is known with the first message.
        let opened = self.connection.list(READ, request).and_then(|mut incoming| {
            let first: Option<ReadResponse> = self.connection.next(&mut incoming)?;
            Ok((incoming, first))
        });
        match opened {
            Ok((incoming, first)) => {
                let data = first.map(|message| message.data).unwrap_or_default();
                Ok(Box::new(Reader { connection: &self.connection, digest: digest.clone(), incoming, data, at: 0 }))
            }
            Err(status) if is_missing(&status) => Err(collected(digest)),
            Err(status) => Err(self.connection.failed(status)).attempt(attempted),
        }
    }

    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        Ok(self.find(digest)?.map(|info| info.meta.origins).unwrap_or_default())
    }
}

/// Returns the error of a blob that is missing, though something names it.
fn collected(digest: &Digest) -> Error {
    not_found(digest).with_hint(
        "containerd collects what no image keeps, and layers once they are unpacked where discard_unpacked_layers is \
         set: pull or import the image again",
    )
}

impl ContentStore for ContainerdStore {
    fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        match self.find(digest)? {
            // A blob that was just collected does not exist.
            Some(_) if self.hold_blob(digest)? => self.find(digest),
            found => Ok(found),
        }
    }

    fn made(&self, diff_id: &Digest, encoder: &str) -> Result<Option<BlobInfo>> {
        let request = ListRequest { filters: vec![format!("labels.\"{UNCOMPRESSED}\"=={diff_id}")] };
        let list = || {
            let mut incoming = self.connection.list(LIST, request)?;
            while let Some(message) = self.connection.next::<ListResponse>(&mut incoming)? {
                let mut found = message.info.into_iter().filter_map(blob_info);
                if let Some(found) = found.find(|info| info.meta.is_made(diff_id, encoder)) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        };
        let found = list().map_err(|status| self.connection.failed(status));
        match found.attempt(|| format!("cannot look up layers with the diffID {diff_id}"))? {
            Some(found) if self.hold_blob(&found.digest)? => self.find(&found.digest),
            found => Ok(found),
        }
    }

    fn ingest(&self, expected: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>> {
        writer::ingest(self, expected)
    }

    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()> {
        self.hold_blob(digest)?;
        self.add_labels(digest, &meta)?.map(drop).ok_or_else(|| not_found(digest))
    }

    fn lease(&self) -> Result<Arc<dyn ContentStore>> {
        Ok(Arc::new(self.view()?))
    }
}

impl ContainerdStore {
    /// Looks up a blob, and holds nothing.
    pub(crate) fn find(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        Ok(self.labels(digest)?.and_then(blob_info))
    }

    fn labels(&self, digest: &Digest) -> Result<Option<Info>> {
        let request = InfoRequest { digest: digest.to_string() };
        match self.connection.call::<_, InfoResponse>(INFO, None, request) {
            Ok(response) => Ok(response.info),
            Err(status) if is_missing(&status) => Ok(None),
            Err(status) => Err(self.connection.failed(status)).attempt(|| format!("cannot look up {digest}")),
        }
    }

    /// Adds what `meta` says to a blob; `None` if it does not exist.
    pub(crate) fn add_labels(&self, digest: &Digest, meta: &BlobMeta) -> Result<Option<BlobInfo>> {
        let Some(present) = self.labels(digest)? else { return Ok(None) };
        let added = labels::added(meta, &present.labels);
        if added.is_empty() { Ok(blob_info(present)) } else { self.set_labels(digest, added) }
    }

    /// Sets labels of a blob, beside those that it has; `None` if it does not exist.
    pub(crate) fn set_labels(&self, digest: &Digest, labels: Labels) -> Result<Option<BlobInfo>> {
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let info = Info { digest: digest.to_string(), size: 0, labels };
        let request = UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        match self.connection.call::<_, InfoResponse>(UPDATE, None, request) {
            Ok(response) => Ok(response.info.and_then(blob_info)),
            Err(status) if is_missing(&status) => Ok(None),
            Err(status) => Err(self.connection.failed(status)).attempt(|| format!("cannot label {digest}")),
        }
    }
}

fn blob_info(info: Info) -> Option<BlobInfo> {
    let digest = info.digest.parse().ok()?;
    Some(BlobInfo::new(digest, info.size.try_into().ok()?, labels::meta(&info.labels)))
}

/// The bytes of a blob, as they arrive.
struct Reader<'a> {
    connection: &'a Connection,
    digest: Digest,
    incoming: Incoming<ReadResponse>,
    data: Vec<u8>,
    /// What of `data` was read.
    at: usize,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.data.len() && !buffer.is_empty() {
            match self.connection.next(&mut self.incoming) {
                Ok(Some(ReadResponse { data })) => (self.data, self.at) = (data, 0),
                Ok(None) => return Ok(0),
                Err(status) if is_missing(&status) => return Err(collected(&self.digest).into()),
                Err(status) => {
                    return Ok(Err(self.connection.failed(status)).attempt(|| format!("cannot read {}", self.digest))?);
                }
            }
        }
        let count = buffer.len().min(self.data.len() - self.at);
        buffer[..count].copy_from_slice(&self.data[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
