//! Reading on a separate thread, so that hashing or decompressing overlaps with the consumer's work.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use longshore_oci::Result;

/// Bytes per block, and how many blocks may be queued.
const BLOCK: usize = 512 << 10;
const WAITING: usize = 4;

/// Calls `work` with a reader of the bytes of `input`, which is read ahead on another thread.
///
/// An error of `input` is returned at its position: after the bytes before it.
///
/// # Errors
/// Errors of `work`.
pub fn read_ahead<T>(input: impl Read + Send, work: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
    thread::scope(|scope| {
        let (blocks, filled) = sync_channel(WAITING);
        let (used, empty) = channel();
        scope.spawn(move || fill(input, &blocks, &empty));
        work(&mut Ahead { filled, used, block: Vec::new(), at: 0 })
    })
}

/// Reads until the end, an error, or until the receiver of the blocks is dropped.
fn fill(mut input: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut block = empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        block.clear();
        let read = input.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        let ended = block.is_empty();
        if !ended && blocks.send(Ok(block)).is_err() {
            return;
        }
        match read {
            Ok(_) if ended => return,
            Ok(_) => {}
            Err(error) => {
                // If the receiver was dropped, no result is needed.
                let _ = blocks.send(Err(error));
                return;
            }
        }
    }
}

struct Ahead {
    filled: Receiver<io::Result<Vec<u8>>>,
    /// Blocks that can be refilled.
    used: Sender<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            // The thread ends after the last block; then there is nothing to receive.
            let Ok(block) = self.filled.recv() else { return Ok(0) };
            let used = std::mem::replace(&mut self.block, block?);
            self.at = 0;
            let _ = self.used.send(used);
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::Error;

    /// Fails after so many bytes.
    struct Breaks(usize);

    impl Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(Error::corrupt("broken").into());
            }
            let count = buffer.len().min(self.0).min(7001);
            self.0 -= count;
            buffer[..count].fill(7);
            Ok(count)
        }
    }

    #[test]
    fn bytes_and_errors_arrive_in_order() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK + 3] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let read = |input: &mut dyn Read| {
                let mut all = Vec::new();
                let result = input.read_to_end(&mut all);
                Ok((all, result))
            };
            let (found, result) = read_ahead(&bytes[..], read).unwrap();
            assert!(found == bytes && result.is_ok(), "{length} bytes");
            let (found, result) = read_ahead(Breaks(length), read).unwrap();
            assert_eq!(found.len(), length);
            assert_eq!(Error::from(result.unwrap_err()).message(), "broken");
        }
    }

    #[test]
    fn who_stops_reading_stops_the_thread() {
        let first = read_ahead(io::repeat(1), |input| {
            let mut byte = [0];
            input.read_exact(&mut byte)?;
            Ok(byte[0])
        });
        assert_eq!(first.unwrap(), 1);
    }
}
