//! A stream that is compressed on the threads of a run.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::Receiver;

use longshore_content::Work;
use longshore_oci::{Error, ErrorKind, Result};

use super::{BLOCK, Encoding};

/// Compresses what is written and passes it on, as the blob of a layer is compressed: in independent parts, several at a
/// time, so that the bytes do not depend on the number of threads.
#[derive(Debug)]
pub struct Compressor<'a, W> {
    out: W,
    encoding: Encoding,
    work: &'a Work,
    /// The part that is being filled.
    part: Vec<u8>,
    /// Parts that are being compressed, in order.
    pending: VecDeque<Receiver<Result<Vec<u8>>>>,
    is_empty: bool,
}

impl<'a, W: Write> Compressor<'a, W> {
    /// Starts a stream.
    pub fn new(out: W, encoding: Encoding, work: &'a Work) -> Self {
        Self { out, encoding, work, part: Vec::new(), pending: VecDeque::new(), is_empty: true }
    }

    /// Writes what is left. Without it the stream is incomplete.
    ///
    /// # Errors
    /// Errors of the output.
    pub fn finish(mut self) -> Result<()> {
        if !self.part.is_empty() || self.is_empty {
            self.ship();
        }
        while !self.pending.is_empty() {
            self.settle()?;
        }
        Ok(self.out.flush()?)
    }

    fn ship(&mut self) {
        let (part, encoding) = (std::mem::take(&mut self.part), self.encoding);
        self.is_empty = false;
        self.pending.push_back(self.work.budget.run_until(&self.work.cancel, move || encoding.encode(&part)));
    }

    /// Writes the part that was begun first.
    fn settle(&mut self) -> Result<()> {
        let Some(first) = self.pending.pop_front() else { return Ok(()) };
        self.work.check()?;
        let part = first.recv().map_err(|_| Error::new(ErrorKind::Other, "a compressor panicked"))??;
        Ok(self.out.write_all(&part)?)
    }
}

impl<W: Write> Write for Compressor<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(length) = self.encoding.part() else { return self.out.write(bytes) };
        let length = length.min(BLOCK);
        let count = bytes.len().min(length - self.part.len());
        self.part.extend_from_slice(&bytes[..count]);
        if self.part.len() == length {
            self.ship();
            // One part more than there are threads: none of them waits.
            if self.pending.len() > self.work.jobs().get() {
                self.settle()?;
            }
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::num::NonZeroUsize;

    use longshore_content::Budget;

    use super::*;
    use crate::compression::{Algorithm, decoder};

    #[test]
    fn threads_and_writes_of_any_size_give_the_same_stream() {
        let data: Vec<u8> = (0..9_000_000u32).map(|i| (i / 7 % 251) as u8).collect();
        for algorithm in [Algorithm::Uncompressed, Algorithm::Gzip, Algorithm::Zstd] {
            let encoding = Encoding::new(algorithm, None).unwrap();
            let stream = |data: &[u8], jobs: usize, size: usize| {
                let work = Work::default().with_budget(Budget::new(NonZeroUsize::new(jobs).unwrap()));
                let mut out = Vec::new();
                let mut compressor = Compressor::new(&mut out, encoding, &work);
                data.chunks(size).for_each(|chunk| compressor.write_all(chunk).unwrap());
                compressor.finish().unwrap();
                out
            };
            let expected = stream(&data, 1, 1 << 20);
            for (jobs, size) in [(2, 777_777), (8, 5 << 20)] {
                assert!(stream(&data, jobs, size) == expected, "{algorithm} {jobs} {size}");
            }
            let mut decoded = Vec::new();
            decoder(&expected[..]).unwrap().1.read_to_end(&mut decoded).unwrap();
            assert!(decoded == data, "{algorithm}");
            let mut nothing = Vec::new();
            decoder(&stream(&[], 2, 1)[..]).unwrap().1.read_to_end(&mut nothing).unwrap();
            assert!(nothing.is_empty());
        }
    }
}
