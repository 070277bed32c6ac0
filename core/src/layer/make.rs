//! From a tar stream to blobs: each source is read once, for every encoding that anyone wants.
//!
//! A driver cuts the stream into blocks. The blocks of each encoding are compressed on the pool, in
//! any order, and a collector a encoding writes them to the store in theirs. A block is held in the
//! byte budget from when it is filled until the last collector has written it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ScopedJoinHandle};

use longshore_content::{BlobInfo, BlobMeta, BlobWriter, ContentStore, Made, Permit, Task, Verified, Work};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, Hasher, MediaType, Result};

use super::{Layer, LayerSource, directory, tar_stream};
use crate::compression::{Algorithm, BLOCK, Encoding, decoder};

/// What was made of a layer.
#[derive(Debug, Clone)]
pub struct MadeLayer {
    /// The digest of its uncompressed tar stream.
    pub diff_id: Digest,
    /// The newest time of its files, in seconds since 1970; `None` if it has no files.
    pub newest: Option<i64>,
    blobs: Vec<(Encoding, Descriptor)>,
}

impl MadeLayer {
    /// The blob in the store that has `encoding`.
    pub fn blob(&self, encoding: Encoding) -> Option<&Descriptor> {
        self.blobs.iter().find(|(of, _)| *of == encoding).map(|(_, descriptor)| descriptor)
    }
}

/// What making a layer works with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workshop<'a> {
    pub(crate) store: &'a dyn ContentStore,
    pub(crate) work: &'a Work,
}

impl Workshop<'_> {
    /// Reads `layer` once and stores it in each of `encodings`, unless all of them were made before.
    pub(super) fn make(self, layer: &Layer, encodings: &[Encoding]) -> Result<MadeLayer> {
        let task = self.work.progress.task(format!("layer {}", layer.name()), None);
        if let Some(made) = self.made_before(layer, encodings)? {
            task.skipped("made before");
            return Ok(made);
        }
        let writers = encodings.iter().map(|encoding| Ok((*encoding, self.store.ingest(None)?)));
        let written = self.write(layer, writers.collect::<Result<_>>()?, &task)?;
        let made = self.describe(written)?;
        task.done(made.diff_id.to_string());
        Ok(made)
    }

    /// Reads `layer` once and writes each encoding of it.
    pub(super) fn write(
        self,
        layer: &Layer,
        writers: Vec<(Encoding, Box<dyn BlobWriter + '_>)>,
        task: &Task,
    ) -> Result<Written> {
        let written = thread::scope(|scope| -> Result<Written> {
            let mut collectors: Vec<Collector<'_>> = Vec::new();
            for (encoding, writer) in writers {
                let (sender, blocks) = mpsc::channel();
                let thread = scope.spawn(move || collect(blocks, writer));
                collectors.push(Collector { encoding, sender, thread });
            }
            let mut stream = Stream::new(self, &collectors, task);
            let written = self.write_tar(layer, &mut stream).and_then(|newest| Ok((newest, stream.finish()?)));
            let mut blobs = Vec::new();
            let mut failed = None;
            for Collector { encoding, sender, thread } in collectors {
                if written.is_ok() {
                    // A collector that is gone says why when it is joined.
                    let _ = sender.send(Piece::End);
                }
                drop(sender);
                match thread.join() {
                    Ok(Ok(Some(info))) => blobs.push((encoding, info)),
                    Ok(Ok(None)) => {}
                    Ok(Err(error)) => failed = failed.or(Some(error)),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            // The collector knows why it stopped; that it stopped is all that the driver saw.
            let (newest, hashed) = failed.map_or(written, Err)?;
            let plain = blobs.iter().find(|(encoding, _)| encoding.algorithm() == Algorithm::Uncompressed);
            let diff_id = hashed
                .or_else(|| plain.map(|(_, info)| info.digest.clone()))
                .ok_or_else(|| Error::new(ErrorKind::Other, "a layer was made in no encoding"))?;
            Ok(Written { diff_id, newest, blobs })
        });
        let written = written?;
        check_diff_id(layer, &written.diff_id)?;
        Ok(written)
    }

    /// Whether a layer is in the store in an encoding that this encoder made.
    pub(crate) fn is_made(self, layer: &Layer, encoding: Encoding) -> Result<bool> {
        Ok(self.made_before(layer, &[encoding])?.is_some())
    }

    /// What this encoder made of a layer whose diffID is known. Blobs from elsewhere do not count.
    fn made_before(self, layer: &Layer, encodings: &[Encoding]) -> Result<Option<MadeLayer>> {
        let Some(diff_id) = layer.diff_id() else { return Ok(None) };
        let mut found = MadeLayer { diff_id: diff_id.clone(), newest: None, blobs: Vec::new() };
        for encoding in encodings {
            let Some(info) = self.store.made(diff_id, &encoding.encoder())? else { return Ok(None) };
            let mut made = info.meta.made.iter();
            found.newest = made.find(|made| made.encoder == encoding.encoder()).and_then(|made| made.newest);
            found.blobs.push((*encoding, descriptor(*encoding, &info)));
        }
        Ok(Some(found))
    }

    fn write_tar(self, layer: &Layer, out: &mut Stream<'_>) -> Result<Option<i64>> {
        match &layer.source {
            LayerSource::Dir(source) => directory::write(source, out, &self.work.progress, &self.work.cancel),
            LayerSource::Tar(source) => tar_stream::write(source, out, &self.work.cancel),
            LayerSource::Blob(source) => {
                let digest = &source.descriptor.digest;
                let blob = Verified::new(source.provider.open(digest, 0)?, &source.descriptor);
                let written = decoder(blob).and_then(|(_, tar)| tar_stream::verbatim(tar, out, &self.work.cancel));
                written.attempt(|| format!("cannot read layer {digest}"))
            }
        }
    }

    /// Says in the store what its blobs are made of.
    fn describe(self, written: Written) -> Result<MadeLayer> {
        for (encoding, info) in &written.blobs {
            let made = vec![Made { encoder: encoding.encoder(), newest: written.newest }];
            let meta = BlobMeta { diff_id: Some(written.diff_id.clone()), made, ..BlobMeta::default() };
            self.store.update(&info.digest, meta)?;
        }
        Ok(written.into())
    }
}

/// A layer that was written, in every encoding.
#[derive(Debug)]
pub(super) struct Written {
    diff_id: Digest,
    newest: Option<i64>,
    blobs: Vec<(Encoding, BlobInfo)>,
}

impl From<Written> for MadeLayer {
    fn from(Written { diff_id, newest, blobs }: Written) -> Self {
        let blobs = blobs.iter().map(|(encoding, info)| (*encoding, descriptor(*encoding, info))).collect();
        Self { diff_id, newest, blobs }
    }
}

fn descriptor(encoding: Encoding, info: &BlobInfo) -> Descriptor {
    Descriptor::new(MediaType::layer(encoding.algorithm()), info.digest.clone(), info.size)
}

fn check_diff_id(layer: &Layer, found: &Digest) -> Result<()> {
    match layer.diff_id() {
        Some(expected) if expected != found => {
            Err(Error::corrupt(format!("layer {} has the diffID {found}, expected {expected}", layer.name())))
        }
        _ => Ok(()),
    }
}

/// A part of a tar stream, and its bytes in the budget.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    #[expect(dead_code, reason = "held for what its drop does")]
    permit: Permit,
}

/// What a collector gets, in the order of the stream.
enum Piece {
    Plain(Arc<Block>),
    Encoded { parts: Vec<Receiver<Result<Vec<u8>>>>, block: Arc<Block> },
    End,
}

struct Collector<'scope> {
    encoding: Encoding,
    sender: Sender<Piece>,
    thread: ScopedJoinHandle<'scope, Result<Option<BlobInfo>>>,
}

/// Writes one encoding of a stream to the store; `None` if the stream did not come to its end.
fn collect(pieces: Receiver<Piece>, mut writer: Box<dyn BlobWriter + '_>) -> Result<Option<BlobInfo>> {
    for piece in pieces {
        match piece {
            Piece::Plain(block) => write(&mut writer, &block.bytes)?,
            Piece::Encoded { parts, block } => {
                for part in parts {
                    let panicked = |_| Error::new(ErrorKind::Other, "a compressor panicked");
                    write(&mut writer, &part.recv().map_err(panicked)??)?;
                }
                drop(block);
            }
            Piece::End => return writer.commit(BlobMeta::default()).map(Some),
        }
    }
    Ok(None)
}

fn write(writer: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    writer.write_all(bytes).attempt(|| "cannot store a layer".to_owned())
}

/// The driver's end: cuts what is written into blocks and hands them to all collectors.
struct Stream<'a> {
    workshop: Workshop<'a>,
    outlets: Vec<(Encoding, Sender<Piece>)>,
    /// `None` where a collector computes the same digest, because it stores the plain stream.
    hasher: Option<Hasher>,
    block: Option<Block>,
    task: &'a Task,
}

impl<'a> Stream<'a> {
    fn new(workshop: Workshop<'a>, collectors: &[Collector<'_>], task: &'a Task) -> Self {
        let outlets: Vec<_> = collectors.iter().map(|c| (c.encoding, c.sender.clone())).collect();
        let stores_plain = outlets.iter().any(|(encoding, _)| encoding.algorithm() == Algorithm::Uncompressed);
        Self { workshop, outlets, hasher: (!stores_plain).then(Hasher::sha256), block: None, task }
    }

    fn ship(&mut self) -> Result<()> {
        let Some(block) = self.block.take() else { return Ok(()) };
        self.workshop.work.check()?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&block.bytes);
        }
        self.task.advance(block.bytes.len() as u64);
        let block = Arc::new(block);
        for (encoding, sender) in &self.outlets {
            let piece = self.piece(*encoding, &block);
            sender.send(piece).map_err(|_| Error::new(ErrorKind::Other, "a layer cannot be stored"))?;
        }
        Ok(())
    }

    fn piece(&self, encoding: Encoding, block: &Arc<Block>) -> Piece {
        let Some(part_size) = encoding.part() else { return Piece::Plain(block.clone()) };
        let part = |start: usize| {
            let block = block.clone();
            let end = block.bytes.len().min(start + part_size);
            self.workshop.work.budget.run(move || encoding.encode(&block.bytes[start..end]))
        };
        let parts = (0..block.bytes.len()).step_by(part_size).map(part).collect();
        Piece::Encoded { parts, block: block.clone() }
    }

    fn finish(mut self) -> Result<Option<Digest>> {
        self.ship()?;
        Ok(self.hasher.map(Hasher::finish))
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let block = match &mut self.block {
            Some(block) => block,
            None => {
                let permit = self.workshop.work.budget.acquire(BLOCK as u64, &self.workshop.work.cancel)?;
                self.block.insert(Block { bytes: Vec::with_capacity(BLOCK), permit })
            }
        };
        let count = bytes.len().min(BLOCK - block.bytes.len());
        block.bytes.extend_from_slice(&bytes[..count]);
        if block.bytes.len() == BLOCK {
            self.ship()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
