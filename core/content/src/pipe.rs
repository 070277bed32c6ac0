//! A pipe from a writer to a reader, on two threads, with a few blocks between them.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use longshore_oci::{Error, ErrorKind};

use crate::cancel::Cancel;

/// Bytes per block, and how many blocks may be queued.
const BLOCK: usize = 256 << 10;
const WAITING: usize = 8;

/// Returns the two ends of a pipe that drops the first `skip` bytes, because they have already arrived.
///
/// A reader ends where the writer is closed, and fails where it is dropped before; a writer fails once the reader is
/// dropped.
pub fn pipe(skip: u64, cancel: &Cancel) -> (PipeWriter, PipeReader) {
    let (sender, receiver) = sync_channel(WAITING);
    let is_left = Arc::new(AtomicBool::default());
    let block = Vec::with_capacity(BLOCK);
    let writer = PipeWriter { sender: Some(sender), block, skip, is_left: is_left.clone() };
    let block = Vec::new();
    let reader = PipeReader { receiver, block, at: 0, is_closed: false, cancel: cancel.clone(), read: 0, is_left };
    (writer, reader)
}

/// The end of a [`pipe`] for writing.
#[derive(Debug)]
pub struct PipeWriter {
    sender: Option<SyncSender<Option<Vec<u8>>>>,
    block: Vec<u8>,
    skip: u64,
    is_left: Arc<AtomicBool>,
}

impl PipeWriter {
    /// Marks the end of the bytes. Without it the reader fails.
    pub fn close(mut self) {
        // If the reader is gone, it failed for its own reason.
        let _ = self.ship();
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(None);
        }
    }

    fn ship(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let sent = self.sender.as_ref().is_some_and(|sender| sender.send(Some(block)).is_ok());
        if !sent {
            self.is_left.store(true, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Other, "the reader of a pipe is gone").into());
        }
        Ok(())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        let mut rest = &bytes[skipped..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            rest = later;
            if self.block.len() == BLOCK {
                self.ship()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of a [`pipe`] for reading.
#[derive(Debug)]
pub struct PipeReader {
    receiver: Receiver<Option<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
    is_closed: bool,
    cancel: Cancel,
    read: u64,
    is_left: Arc<AtomicBool>,
}

impl PipeReader {
    /// Returns a flag that tells, once the writer has ended, whether it failed because the reader was dropped.
    pub fn is_left(&self) -> Arc<AtomicBool> {
        self.is_left.clone()
    }

    /// Returns how many bytes were read.
    pub fn read_bytes(&self) -> u64 {
        self.read
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if self.is_closed {
                return Ok(0);
            }
            self.cancel.check()?;
            match self.receiver.recv() {
                Ok(Some(block)) => (self.block, self.at) = (block, 0),
                Ok(None) => self.is_closed = true,
                // The writer failed, and reports why itself.
                Err(_) => return Err(Error::new(ErrorKind::Other, "the writer of a pipe failed").into()),
            }
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        self.read += count as u64;
        Ok(count)
    }
}
