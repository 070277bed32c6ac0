//! From a tar stream to blobs: each source is read once, for all wanted encodings.
//!
//! A driver cuts the stream into blocks. The blocks of each encoding are compressed on the pool, in any order,
//! and one collector per encoding writes them to the store in stream order. A block stays in the
//! byte budget from the time it is filled until the last collector has written it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ScopedJoinHandle};

use longshore_content::{BlobInfo, BlobMeta, BlobWriter, ContentStore, Made, Permit, Task, Verified, Work};
use longshore_oci::{Context, Digest, Error, ErrorKind, Hasher, Result};

use super::encoder::{EncodePart, Encoder, Tail};
use super::{Layer, LayerSource, MadeLayer, Variant, directory, rewritten, tar_stream};
use crate::compression::{BLOCK, decoder};

/// The resources for building a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workshop<'a> {
    pub(crate) store: &'a dyn ContentStore,
    pub(crate) work: &'a Work,
}

impl Workshop<'_> {
    /// Reads `layer` once and stores it in each of `variants`, unless all of them were built before. Variants with
    /// other times are another tar stream, so the layer is read again for them.
    pub(super) fn make(self, layer: &Layer, variants: &[Variant]) -> Result<Vec<MadeLayer>> {
        let mut made = Vec::new();
        let mut left = variants.to_vec();
        while let Some(rewrite) = left.first().map(|variant| variant.rewrite) {
            let (alike, other): (Vec<_>, Vec<_>) = left.into_iter().partition(|variant| variant.rewrite == rewrite);
            made.extend(self.make_alike(layer, &alike)?);
            left = other;
        }
        Ok(made)
    }

    /// Like [`make`](Self::make), for variants of one tar stream.
    fn make_alike(self, layer: &Layer, variants: &[Variant]) -> Result<Vec<MadeLayer>> {
        let task = self.work.progress.task(format!("layer {}", layer.name()), None);
        if let Some(made) = self.made_before(layer, variants)? {
            task.skipped("made before");
            return Ok(made);
        }
        let writers = variants.iter().map(|variant| Ok((*variant, self.store.ingest(None)?)));
        let made = self.write(layer, writers.collect::<Result<_>>()?, &task)?;
        self.describe(&made)?;
        task.done(made.first().map(|made| made.diff_id.to_string()).unwrap_or_default());
        Ok(made)
    }

    /// Reads `layer` once and writes each of its variants, all with the same times.
    pub(super) fn write(
        self,
        layer: &Layer,
        writers: Vec<(Variant, Box<dyn BlobWriter + '_>)>,
        task: &Task,
    ) -> Result<Vec<MadeLayer>> {
        let rewrite = writers.first().and_then(|(variant, _)| variant.rewrite);
        let (diff_id, newest, blobs) = thread::scope(|scope| {
            let mut stream = Stream::new(self, task);
            let collectors = writers.into_iter().map(|(variant, writer)| {
                let (sender, pieces) = mpsc::channel();
                stream.add(variant, sender);
                (variant, scope.spawn(move || collect(pieces, writer)))
            });
            let collectors: Vec<(Variant, Collector<'_>)> = collectors.collect();
            let written = match rewrite {
                Some(epoch) => rewritten::write(layer, epoch, &mut stream, self.work),
                None => self.write_tar(layer, &mut stream),
            };
            let written = stream.finish(written);
            let blobs = join(collectors)?;
            let (newest, hashed) = written?;
            let plain = blobs.iter().find(|(variant, _)| variant.is_plain());
            let diff_id = hashed
                .or_else(|| plain.map(|(_, blob)| blob.info.digest.clone()))
                .ok_or_else(|| Error::new(ErrorKind::Other, "a layer was made in no variant"))?;
            Ok::<_, Error>((diff_id, newest, blobs))
        })?;
        if rewrite.is_none() {
            check_diff_id(layer, &diff_id)?;
        }
        let made = blobs.into_iter().map(|(variant, Collected { info, annotations })| {
            let mut descriptor = variant.describe(info.digest, info.size);
            descriptor.annotations.extend(annotations);
            MadeLayer { variant, diff_id: diff_id.clone(), descriptor, newest }
        });
        Ok(made.collect())
    }

    /// Returns whether this encoder built the layer in `variant` before, and the store still has it.
    pub(crate) fn is_made(self, layer: &Layer, variant: Variant) -> Result<bool> {
        Ok(self.made_before(layer, &[variant])?.is_some())
    }

    /// Returns the blobs that this encoder built from a layer with a known diffID. Other blobs do not count.
    fn made_before(self, layer: &Layer, variants: &[Variant]) -> Result<Option<Vec<MadeLayer>>> {
        let Some(diff_id) = layer.diff_id() else { return Ok(None) };
        let mut found = Vec::new();
        for variant in variants {
            let Some(info) = self.store.made(diff_id, &variant.encoder())? else { return Ok(None) };
            let mut made = info.meta.made.iter();
            let newest = made.find(|made| made.encoder == variant.encoder()).and_then(|made| made.newest);
            let descriptor = variant.describe(info.digest, info.size);
            found.push(MadeLayer { variant: *variant, diff_id: diff_id.clone(), descriptor, newest });
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

    /// Records in the store what its blobs were built from.
    fn describe(self, made: &[MadeLayer]) -> Result<()> {
        for MadeLayer { variant, diff_id, descriptor, newest } in made {
            let made = vec![Made { encoder: variant.encoder(), newest: *newest }];
            let meta = BlobMeta::default().with_diff_id(Some(diff_id.clone())).with_made(made);
            self.store.update(&descriptor.digest, meta)?;
        }
        Ok(())
    }
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

/// The messages to a collector, in stream order.
enum Piece {
    Plain(Arc<Block>),
    Encoded { parts: Vec<Receiver<Result<Vec<u8>>>>, block: Arc<Block> },
    End(Box<dyn Encoder>),
}

/// Writes one variant; returns `None` if the stream was incomplete.
type Collector<'scope> = ScopedJoinHandle<'scope, Result<Option<Collected>>>;

/// A written blob, and the annotations from its encoder.
struct Collected {
    info: BlobInfo,
    annotations: BTreeMap<String, String>,
}

/// Writes one variant of a stream to the store.
fn collect(pieces: Receiver<Piece>, mut writer: Box<dyn BlobWriter + '_>) -> Result<Option<Collected>> {
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
            Piece::End(encoder) => {
                let Tail { bytes, annotations } = encoder.finish()?;
                write(&mut writer, &bytes)?;
                let info = writer.commit(BlobMeta::default())?;
                return Ok(Some(Collected { info, annotations }));
            }
        }
    }
    Ok(None)
}

/// Returns the blobs of all collectors. A failed collector knows why; the driver only saw that it stopped.
fn join(collectors: Vec<(Variant, Collector<'_>)>) -> Result<Vec<(Variant, Collected)>> {
    let mut blobs = Vec::new();
    let mut failed = None;
    for (variant, collector) in collectors {
        match collector.join() {
            Ok(Ok(collected)) => blobs.extend(collected.map(|collected| (variant, collected))),
            Ok(Err(error)) => failed = failed.or(Some(error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    failed.map_or(Ok(blobs), Err)
}

fn write(writer: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    writer.write_all(bytes).attempt(|| "cannot store a layer".to_owned())
}

/// One variant, as the driver sees it.
struct Outlet {
    encoder: Box<dyn Encoder>,
    encode: Option<EncodePart>,
    pieces: Sender<Piece>,
}

/// The driver's end: cuts the stream into blocks and hands them to all collectors.
struct Stream<'a> {
    workshop: Workshop<'a>,
    outlets: Vec<Outlet>,
    /// `None` if a collector computes the same digest, because it stores the uncompressed stream.
    hasher: Option<Hasher>,
    block: Option<Block>,
    task: &'a Task,
}

impl<'a> Stream<'a> {
    fn new(workshop: Workshop<'a>, task: &'a Task) -> Self {
        Self { workshop, outlets: Vec::new(), hasher: Some(Hasher::sha256()), block: None, task }
    }

    fn add(&mut self, variant: Variant, pieces: Sender<Piece>) {
        if variant.is_plain() {
            self.hasher = None;
        }
        let encoder = variant.new_encoder();
        self.outlets.push(Outlet { encode: encoder.encode(), encoder, pieces });
    }

    fn ship(&mut self) -> Result<()> {
        let Some(block) = self.block.take() else { return Ok(()) };
        self.workshop.work.check()?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&block.bytes);
        }
        self.task.advance(block.bytes.len() as u64);
        let block = Arc::new(block);
        for outlet in &mut self.outlets {
            let piece = outlet.piece(&block, self.workshop.work);
            outlet.pieces.send(piece).map_err(|_| Error::new(ErrorKind::Other, "a layer cannot be stored"))?;
        }
        Ok(())
    }

    /// Ends the stream if it was completely `written`, and returns its diffID if it was computed here.
    fn finish(mut self, written: Result<Option<i64>>) -> Result<(Option<i64>, Option<Digest>)> {
        let newest = written?;
        self.ship()?;
        for Outlet { encoder, pieces, .. } in self.outlets {
            // A collector that has stopped reports why when it is joined.
            let _ = pieces.send(Piece::End(encoder));
        }
        Ok((newest, self.hasher.map(Hasher::finish)))
    }
}

impl Outlet {
    fn piece(&mut self, block: &Arc<Block>, work: &Work) -> Piece {
        let Some(encode) = &self.encode else { return Piece::Plain(block.clone()) };
        let parts = self.encoder.parts(block.bytes.len()).into_iter().map(|part| {
            let (block, encode) = (block.clone(), encode.clone());
            work.budget.run_until(&work.cancel, move || encode(&block.bytes[part]))
        });
        Piece::Encoded { parts: parts.collect(), block: block.clone() }
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
