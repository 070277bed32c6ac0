//! Encoders: how a format turns the tar stream of a layer into a blob.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use longshore_oci::Result;

use super::Variant;
use crate::compression::Encoding;

/// Encodes one part of a block. Runs on the threads of the budget, in any order.
pub(super) type EncodePart = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// Turns the tar stream of one layer into one blob.
///
/// - The driver cuts the stream into blocks and requests the [`parts`](Self::parts) of each, in order. Parts are
///   encoded concurrently and written in order, so the blob does not depend on the number of threads.
/// - At the end of the stream, after every part is written, [`finish`](Self::finish) is called
///   once. It is not called for an incomplete stream.
pub(super) trait Encoder: Send {
    /// Returns the encoding of parts; `None` if blocks are written unchanged.
    fn encode(&self) -> Option<EncodePart>;

    /// Returns the parts of the next block of `length` bytes, which cover it in order.
    fn parts(&mut self, length: usize) -> Vec<Range<usize>>;

    /// Returns the bytes after the last part, and the annotations of the blob.
    ///
    /// # Errors
    /// Those of the format.
    fn finish(self: Box<Self>) -> Result<Tail>;
}

/// The end of an encoded layer.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Bytes after the last part.
    pub(super) bytes: Vec<u8>,
    /// Annotations of the blob's descriptor, wherever it is listed.
    pub(super) annotations: BTreeMap<String, String>,
}

impl Variant {
    /// Returns the encoder of one layer in this variant.
    pub(super) fn new_encoder(self) -> Box<dyn Encoder> {
        Box::new(Blocks(self.encoding))
    }
}

/// Independent parts of equal length, with nothing around them.
struct Blocks(Encoding);

impl Encoder for Blocks {
    fn encode(&self) -> Option<EncodePart> {
        let encoding = self.0;
        encoding.part().map(|_| -> EncodePart { Arc::new(move |part| encoding.encode(part)) })
    }

    fn parts(&mut self, length: usize) -> Vec<Range<usize>> {
        let size = self.0.part().unwrap_or(length).max(1);
        (0..length).step_by(size).map(|start| start..length.min(start + size)).collect()
    }

    fn finish(self: Box<Self>) -> Result<Tail> {
        Ok(Tail::default())
    }
}
