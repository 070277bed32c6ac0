//! Reading files with holes.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;

/// A file whose holes are not read: the file system says where its data is (`SEEK_DATA` in lseek(2)).
#[derive(Debug)]
pub(super) struct SparseFile {
    pub(super) file: File,
    /// Where the next byte is read.
    at: u64,
    /// The data that was found last. What is between `at` and its start is a hole.
    data: Range<u64>,
}

impl SparseFile {
    /// Returns a reader of `file` from its start.
    pub(super) fn new(file: File, stat: &Stat) -> Self {
        // Blocks are of 512 bytes, whatever the file system has (stat(2)).
        let has_holes = stat.st_blocks.cast_unsigned() < stat.st_size.cast_unsigned().div_ceil(512);
        Self { file, at: 0, data: 0..if has_holes { 0 } else { u64::MAX } }
    }

    /// Returns the first data at or behind `at`; empty, at the end of the file, if there is none.
    fn next_data(&self) -> io::Result<Range<u64>> {
        match seek(&self.file, SeekFrom::Data(self.at)) {
            Ok(start) => Ok(start..seek(&self.file, SeekFrom::Hole(start))?),
            Err(Errno::NXIO) => {
                let end = self.file.metadata()?.len();
                Ok(end..end)
            }
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(self.at..u64::MAX),
            Err(error) => Err(error.into()),
        }
    }
}

impl Read for SparseFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.data.end {
            self.data = self.next_data()?;
        }
        let room = buffer.len();
        let most = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(room);
        let count = match self.data.start.checked_sub(self.at) {
            Some(hole) if hole > 0 => {
                let count = most(hole);
                buffer[..count].fill(0);
                count
            }
            _ => {
                let most = most(self.data.end.saturating_sub(self.at));
                self.file.read_at(&mut buffer[..most], self.at)?
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file of 64 MiB with data at each of `offsets`.
    fn sparse(offsets: &[u64]) -> (File, Vec<u8>) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        for offset in offsets {
            file.write_all_at(&offset.to_be_bytes().repeat(600), *offset).unwrap();
        }
        let mut whole = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut whole, 0).unwrap();
        (file, whole)
    }

    fn reader(file: File) -> SparseFile {
        let stat = rustix::fs::fstat(&file).unwrap();
        SparseFile::new(file, &stat)
    }

    #[test]
    fn holes_are_zeros_wherever_they_are() {
        let end = 64 << 20;
        for offsets in [&[][..], &[0], &[end - 4800], &[end - 100], &[4096, 5 << 20, (33 << 20) + 17], &[7, 40 << 20]] {
            let (file, whole) = sparse(offsets);
            let mut read = Vec::new();
            reader(file).read_to_end(&mut read).unwrap();
            assert!(read == whole, "{offsets:?}");
        }
    }

    /// Bytes that this thread has read so far, by any means.
    fn read_so_far() -> u64 {
        let counts = fs::read_to_string("/proc/thread-self/io").unwrap();
        let count = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
        count.unwrap().parse().unwrap()
    }

    #[test]
    fn holes_are_not_read_from_the_medium() {
        let (file, whole) = sparse(&[4096, 5 << 20]);
        if file.metadata().map(|found| std::os::unix::fs::MetadataExt::blocks(&found)).unwrap() > 1000 {
            return; // A file system without holes.
        }
        let mut read = reader(file);
        let before = read_so_far();
        let count = io::copy(&mut read, &mut io::sink()).unwrap();
        assert_eq!(count, whole.len() as u64);
        let bytes = read_so_far() - before;
        assert!(bytes < 1 << 20, "{bytes} bytes were read");
    }
}
