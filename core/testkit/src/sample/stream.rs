//! Tar streams: in memory, generated while read, and counted.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_core::Result;
use longshore_core::archive::{Entry, Writer};
use longshore_core::layer::TarStream;

use super::Random;

/// A tar archive in memory.
#[derive(Clone)]
pub struct MemoryTar {
    name: String,
    bytes: Arc<[u8]>,
}

impl MemoryTar {
    /// The archive that `bytes` are, compressed or not.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl TarStream for MemoryTar {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(&self.bytes[..]))
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl fmt::Debug for MemoryTar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTar").field("name", &self.name).field("size", &self.bytes.len()).finish()
    }
}

/// A tar archive of any size, made while it is read: files of at most 1 MiB, which compress and which
/// do not in turn.
#[derive(Debug, Clone)]
pub struct LargeTar {
    seed: u64,
    bytes: u64,
}

/// Size of a file in a large archive, which is roughly what a reader of it has in memory.
const FILE: u64 = 1 << 20;

impl LargeTar {
    /// An archive whose files have `bytes` together.
    pub fn new(seed: u64, bytes: u64) -> Self {
        Self { seed, bytes }
    }
}

impl TarStream for LargeTar {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(LargeReader { tar: self, next: 0, piece: io::Cursor::default(), ended: false }))
    }

    fn name(&self) -> String {
        format!("sample:large/{}", self.seed)
    }
}

struct LargeReader<'a> {
    tar: &'a LargeTar,
    /// The number of the file after the current piece.
    next: u64,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl LargeReader<'_> {
    fn make_next_piece(&mut self) -> io::Result<()> {
        let LargeTar { seed, bytes } = *self.tar;
        let size = bytes.saturating_sub(self.next * FILE).min(FILE);
        let mut piece = Vec::with_capacity(FILE as usize + 2048);
        let mut writer = Writer::new(&mut piece);
        if size == 0 {
            self.ended = true;
            writer.finish()?;
        } else {
            let mut random = Random::new(seed ^ (self.next << 32));
            let compresses = self.next.is_multiple_of(2);
            let content = if compresses { random.text(size as usize) } else { random.bytes(size as usize) };
            let file = Entry {
                mtime: 1_500_000_000 + self.next.cast_signed(),
                ..Entry::file(format!("large-{:06}", self.next), 0o644, size)
            };
            writer.append(&file, &mut &content[..])?;
        }
        self.next += 1;
        self.piece = io::Cursor::new(piece);
        Ok(())
    }
}

impl Read for LargeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.ended {
                return Ok(count);
            }
            self.make_next_piece()?;
        }
    }
}

/// A tar archive that counts how often it is opened.
#[derive(Debug)]
pub struct CountingTar {
    inner: Arc<dyn TarStream>,
    opens: AtomicUsize,
}

impl CountingTar {
    /// Counts how often `inner` is opened.
    pub fn new(inner: Arc<dyn TarStream>) -> Arc<Self> {
        Arc::new(Self { inner, opens: AtomicUsize::new(0) })
    }

    /// How often it was opened.
    pub fn opens(&self) -> usize {
        self.opens.load(Ordering::SeqCst)
    }
}

impl TarStream for CountingTar {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        self.opens.fetch_add(1, Ordering::SeqCst);
        self.inner.open()
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}
