//! Writes a blob: chunks are sent without waiting for each response, and committed under the expected digest.

use std::collections::VecDeque;
use std::io::{self, Write};

use longshore_content::{BlobInfo, BlobMeta, BlobWriter, not_found};
use longshore_oci::{Context, Descriptor, Digest, DigestAlgorithm, Error, ErrorKind, Result};
use tonic::{Code, Status};

use crate::connection::Exchange;
use crate::labels::{self, Labels};
use crate::lease::unique;
use crate::store::ContainerdStore;
use crate::wire::Empty;
use crate::wire::content::{ABORT, AbortRequest, WRITE, WriteAction, WriteRequest, WriteResponse};

/// Bytes of one message.
const CHUNK: usize = 1 << 20;
/// Messages sent before the first of them must be answered.
const AHEAD: usize = 2;

type Call = Exchange<WriteRequest, WriteResponse>;

/// Starts writing a blob, or continues what an interrupted run wrote of it.
pub(crate) fn ingest<'a>(
    store: &'a ContainerdStore,
    expected: Option<&Descriptor>,
) -> Result<Box<dyn BlobWriter + 'a>> {
    if let Some(digest) = expected.map(|expected| &expected.digest).filter(|digest| !is_supported(digest)) {
        let message = format!("containerd stores no blob as {digest}: it has SHA-256 digests only");
        return Err(Error::new(ErrorKind::Unsupported, message).with_hint("choose another store"));
    }
    match Start::of(store, expected).map_err(|status| store.connection.failed(status))? {
        Start::Present => Ok(Box::new(Present { store, expected: expected.cloned(), offset: size(expected) })),
        Start::Open(opened) => {
            // With more bytes than the blob has, the next message, whose offset is 0, makes containerd start over.
            let sent = if opened.offset > size(expected) { 0 } else { opened.offset };
            Ok(Box::new(Writer {
                store,
                call: Some(opened.call),
                reference: Some(opened.reference),
                is_resumable: opened.is_resumable,
                expected: expected.cloned(),
                digest: opened.digest,
                sent,
                buffer: Vec::new(),
                unanswered: VecDeque::new(),
            }))
        }
    }
}

fn is_supported(digest: &Digest) -> bool {
    digest.algorithm() == DigestAlgorithm::Sha256
}

fn size(expected: Option<&Descriptor>) -> u64 {
    expected.map_or(0, |expected| expected.size)
}

/// What containerd says to the first message.
enum Start {
    /// The namespace has the blob.
    Present,
    /// It takes bytes.
    Open(Opened),
}

struct Opened {
    call: Call,
    reference: String,
    /// Whether another writer of the blob may continue.
    is_resumable: bool,
    /// How many bytes it has.
    offset: u64,
    /// Their digest.
    digest: String,
}

impl Start {
    fn of(store: &ContainerdStore, expected: Option<&Descriptor>) -> Result<Self, Status> {
        let Some(expected) = expected else { return Self::open(store, unique("longshore-"), false, None) };
        let resumable = format!("longshore-{}", expected.digest);
        match Self::open(store, resumable, true, Some(&expected.digest)) {
            // Another writer has it, whose bytes this one cannot share.
            Err(status) if status.code() == Code::Unavailable && status.message().contains("locked") => {
                Self::open(store, unique(&format!("longshore-{}-", expected.digest)), false, Some(&expected.digest))
            }
            started => started,
        }
    }

    fn open(
        store: &ContainerdStore,
        reference: String,
        is_resumable: bool,
        expected: Option<&Digest>,
    ) -> Result<Self, Status> {
        let first = WriteRequest {
            action: WriteAction::Stat.into(),
            reference: reference.clone(),
            expected: expected.map(ToString::to_string).unwrap_or_default(),
            ..WriteRequest::default()
        };
        let started = store.connection.exchange(WRITE, store.lease_id(), first).and_then(|mut call: Call| {
            let answer = store.connection.next(&mut call.incoming)?;
            Ok((call, answer))
        });
        match started {
            Ok((call, answer)) => {
                let WriteResponse { offset, digest } = answer.unwrap_or_default();
                let offset = offset.try_into().unwrap_or_default();
                Ok(Self::Open(Opened { call, reference, is_resumable, offset, digest }))
            }
            Err(status) if status.code() == Code::AlreadyExists => Ok(Self::Present),
            Err(status) => Err(status),
        }
    }
}

struct Writer<'a> {
    store: &'a ContainerdStore,
    /// `None` once it has ended.
    call: Option<Call>,
    /// The name of the unfinished blob, which is removed when this is dropped; `None` if there is none, or it stays.
    reference: Option<String>,
    is_resumable: bool,
    expected: Option<Descriptor>,
    /// The digest of the bytes that containerd has, as far as it answered.
    digest: String,
    /// Bytes sent.
    sent: u64,
    /// Bytes that follow them.
    buffer: Vec<u8>,
    /// Where the blob ends after each message that is not answered yet.
    unanswered: VecDeque<u64>,
}

impl Writer<'_> {
    fn written(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    /// Sends the buffer, and waits until few messages are unanswered.
    fn send(&mut self, ahead: usize) -> Result<()> {
        if !self.buffer.is_empty() {
            let data = std::mem::take(&mut self.buffer);
            let length = data.len() as u64;
            let message = WriteRequest {
                action: WriteAction::Write.into(),
                offset: as_i64(self.sent)?,
                data,
                ..WriteRequest::default()
            };
            self.transmit(message)?;
            self.sent += length;
            self.unanswered.push_back(self.sent);
        }
        while self.unanswered.len() > ahead {
            let answer = self.answer()?.ok_or_else(ended)?;
            self.digest = answer.digest;
            let expected = self.unanswered.pop_front().unwrap_or_default();
            if u64::try_from(answer.offset).ok() != Some(expected) {
                return Err(Error::corrupt(format!("containerd has {} bytes, not {expected}", answer.offset)));
            }
        }
        Ok(())
    }

    fn transmit(&mut self, message: WriteRequest) -> Result<()> {
        let call = self.call.as_ref().ok_or_else(ended)?;
        if self.store.connection.send(call, message).is_ok() {
            return Ok(());
        }
        // Why containerd ended the call is its last answer.
        while self.answer()?.is_some() {}
        Err(ended())
    }

    fn answer(&mut self) -> Result<Option<WriteResponse>> {
        let call = self.call.as_mut().ok_or_else(ended)?;
        let answer = self.store.connection.next(&mut call.incoming);
        answer.map_err(|status| self.store.connection.failed(status))
    }

    /// Ends the call; the bytes stay until they are removed.
    fn end(&mut self) {
        if let Some(call) = self.call.take() {
            let mut incoming = call.close();
            // Until it has ended, containerd keeps the blob locked.
            while let Ok(Some(_)) = self.store.connection.next::<WriteResponse>(&mut incoming) {}
        }
    }

    /// Commits what was sent; returns its digest, and whether it is new, and so has `labels`.
    fn finish(&mut self, labels: Labels) -> Result<(Digest, bool)> {
        self.send(0)?;
        let expected = self.expected.as_ref().map(|expected| expected.digest.to_string()).unwrap_or_default();
        let offset = as_i64(self.sent)?;
        // An offset of 0 would empty the blob: the right one is always given.
        let action = WriteAction::Commit.into();
        let message = WriteRequest { action, total: offset, offset, expected, labels, ..WriteRequest::default() };
        let call = self.call.as_mut().ok_or_else(ended)?;
        let sent = self.store.connection.send(call, message);
        match sent.and_then(|()| self.store.connection.next(&mut call.incoming)) {
            Ok(answer) => Ok((answer.ok_or_else(ended)?.digest.parse()?, true)),
            Err(status) if status.code() == Code::AlreadyExists => {
                let empty = Digest::of(b"");
                Ok((if self.sent == 0 { empty } else { self.digest.parse()? }, false))
            }
            Err(status) if status.code() == Code::FailedPrecondition => Err(Error::corrupt(status.message())),
            Err(status) => Err(self.store.connection.failed(status)),
        }
    }

    fn check_size(&self) -> Result<()> {
        check_size(self.expected.as_ref(), self.written())
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Other, "containerd ended the call too early")
}

fn as_i64(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::input("a blob of more than 2^63 bytes"))
}

fn check_size(expected: Option<&Descriptor>, written: u64) -> Result<()> {
    match expected {
        Some(Descriptor { digest, size, .. }) if *size != written => {
            Err(Error::corrupt(format!("blob {digest} has {written} bytes, expected {size}")))
        }
        _ => Ok(()),
    }
}

fn check_excess(expected: Option<&Descriptor>, written: u64) -> Result<()> {
    expected.filter(|expected| expected.size < written).map_or(Ok(()), |_| check_size(expected, written))
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check_excess(self.expected.as_ref(), self.written() + bytes.len() as u64)?;
        let count = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == CHUNK {
            self.send(AHEAD).attempt(|| "cannot write to containerd".to_owned())?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.send(0).attempt(|| "cannot write to containerd".to_owned())?)
    }
}

impl BlobWriter for Writer<'_> {
    fn offset(&self) -> u64 {
        self.written()
    }

    fn suspend(mut self: Box<Self>) -> Result<()> {
        if self.is_resumable {
            self.send(0)?;
            self.reference = None;
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo> {
        self.check_size()?;
        let size = self.written();
        let labels = labels::added(&meta, &Labels::new());
        let finished = self.finish(labels).attempt(|| "cannot commit a blob to containerd".to_owned());
        let (digest, is_new) = finished?;
        self.reference = None;
        if !is_new {
            return merged(self.store, &digest, &meta);
        }
        self.store.lease.iter().for_each(|lease| lease.note_blob(&digest));
        Ok(BlobInfo::new(digest, size, meta))
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.end();
        if let Some(reference) = self.reference.take() {
            let request = AbortRequest { reference };
            // If it cannot be removed now, it goes with its lease, or in a day.
            let _ = self.store.connection.call::<_, Empty>(ABORT, None, request);
        }
    }
}

/// A blob that the namespace has: nothing is sent.
struct Present<'a> {
    store: &'a ContainerdStore,
    expected: Option<Descriptor>,
    offset: u64,
}

impl Write for Present<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.offset += bytes.len() as u64;
        check_excess(self.expected.as_ref(), self.offset)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Present<'_> {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn suspend(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    fn commit(self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo> {
        let expected = self.expected.as_ref().ok_or_else(ended)?;
        let info = merged(self.store, &expected.digest, &meta)?;
        check_size(Some(expected), info.size)?;
        Ok(info)
    }
}

/// Adds `meta` to a blob that exists.
fn merged(store: &ContainerdStore, digest: &Digest, meta: &BlobMeta) -> Result<BlobInfo> {
    store.hold_blob(digest)?;
    store.add_labels(digest, meta)?.ok_or_else(|| not_found(digest))
}
