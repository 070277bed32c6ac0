//! Archives whose sizes are all known before the first byte is written.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::thread;

use longshore_content::{Cancel, Task, Verified, Work, for_each, pipe, read_ahead};
use longshore_oci::{Context, Error, Result};

use crate::archive::{BLOCK, Entry, Writer};
use crate::image::ImageBlob;

/// A tar archive of documents and blobs, in the order in which they are added.
///
/// Into a file, blobs are written at the same time, each to its place; into a stream, one after another.
/// The bytes are the same. Each blob is verified while it is copied.
#[derive(Debug, Default)]
pub struct Bundle<'a> {
    members: Vec<Member<'a>>,
}

#[derive(Debug)]
struct Member<'a> {
    entry: Entry,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Bytes(Vec<u8>),
    Blob(ImageBlob<'a>),
}

impl<'a> Bundle<'a> {
    /// Adds a directory or a link.
    pub fn add(&mut self, entry: Entry) {
        self.add_document(entry, Vec::new());
    }

    /// Adds a file with these bytes.
    pub fn add_document(&mut self, entry: Entry, bytes: Vec<u8>) {
        let entry = Entry { size: bytes.len() as u64, ..entry };
        self.members.push(Member { entry, content: Content::Bytes(bytes) });
    }

    /// Adds a file with the bytes of a blob.
    pub fn add_blob(&mut self, entry: Entry, blob: ImageBlob<'a>) {
        let entry = Entry { size: blob.descriptor.size, ..entry };
        self.members.push(Member { entry, content: Content::Blob(blob) });
    }

    /// Writes the archive, one member after another.
    ///
    /// # Errors
    /// A blob that does not match its descriptor: then the written bytes must not be used. Errors of `out`.
    pub(crate) fn write(&self, out: &mut dyn Write, work: &Work) -> Result<()> {
        let mut tar = Writer::new(out);
        for Member { entry, content } in &self.members {
            work.check()?;
            let written = match content {
                Content::Bytes(bytes) => tar.append(entry, &mut &bytes[..]).map_err(Into::into),
                Content::Blob(blob) => copy(blob, work, |from| Ok(tar.append(entry, from)?)),
            };
            written.attempt(|| format!("cannot write {}", entry.display()))?;
        }
        tar.finish()?;
        Ok(())
    }

    /// Lets `send` read the archive, which another thread writes meanwhile. A reader of an archive with a blob that does
    /// not match its descriptor fails before its end.
    ///
    /// # Errors
    /// A blob that cannot be read, or does not match its descriptor; and errors of `send`.
    pub fn send<T>(&self, work: &Work, send: impl FnOnce(&mut (dyn Read + Send)) -> Result<T>) -> Result<T> {
        let (mut writer, mut reader) = pipe(0, &work.cancel);
        let is_left = reader.is_left();
        thread::scope(|scope| {
            let writing = scope.spawn(move || self.write(&mut writer, work).map(|()| writer.close()));
            let sent = send(&mut reader);
            // The writer ends without it.
            drop(reader);
            let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (written, sent) {
                // The archive that could not be written is why it could not be sent.
                (Err(error), Err(_)) if !is_left.load(Ordering::SeqCst) => Err(error),
                (_, sent) => sent,
            }
        })
    }

    /// Writes the archive into an empty file, several blobs at a time, the largest first.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn write_to_file(&self, file: &File, work: &Work) -> Result<()> {
        let mut blobs = Vec::new();
        let mut end = 0;
        for Member { entry, content } in &self.members {
            let mut start = Writer::new(Vec::new());
            start.header(entry)?;
            let start = start.into_inner();
            file.write_all_at(&start, end)?;
            let (data, next) = places(end, start.len() as u64, entry.size)
                .attempt(|| format!("cannot place {} in the archive", entry.display()))?;
            match content {
                Content::Bytes(bytes) => file.write_all_at(bytes, data)?,
                Content::Blob(blob) => blobs.push((entry, blob, data)),
            }
            end = next;
        }
        // Unwritten bytes read as zeros: padding, and the two blocks at the end.
        file.set_len(end + END)?;
        blobs.sort_by_key(|(entry, ..)| std::cmp::Reverse(entry.size));
        let work = &work.child();
        for_each(blobs, work.jobs().get(), &work.cancel, |(entry, blob, at)| {
            let copied = copy(blob, work, |from| {
                let mut place = BufWriter::with_capacity(BUFFER, Place { file, at });
                io::copy(from, &mut place)?;
                Ok(place.flush()?)
            });
            copied.attempt(|| format!("cannot write {}", entry.display()))
        })
    }
}

/// Returns where the data of a member and the next member begin, for a member whose header begins at `start`.
///
/// # Errors
/// The archive would exceed the maximum size of a file: sizes come from descriptors, which may be wrong.
fn places(start: u64, header: u64, size: u64) -> Result<(u64, u64)> {
    let data = start.checked_add(header);
    let next = data.and_then(|data| data.checked_add(size.checked_next_multiple_of(BLOCK as u64)?));
    let fits = |next: &u64| next.checked_add(END).is_some_and(|length| i64::try_from(length).is_ok());
    match (data, next.filter(fits)) {
        (Some(data), Some(next)) => Ok((data, next)),
        _ => Err(Error::input(format!("{size} bytes at byte {start} are more than a file can have"))),
    }
}

/// Bytes of the two blocks that end an archive.
const END: u64 = 2 * BLOCK as u64;

/// Bytes written in one call.
const BUFFER: usize = 256 << 10;

/// Blobs smaller than this are not worth a second thread.
const SMALL: u64 = 1 << 20;

/// Lets `write` read a blob up to its verified end.
fn copy(blob: &ImageBlob<'_>, work: &Work, write: impl FnOnce(&mut dyn Read) -> Result<()>) -> Result<()> {
    let descriptor = &blob.descriptor;
    let task = blob.task(&work.progress);
    let from = blob.provider.provider().open(&descriptor.digest, 0)?;
    let mut from = Verified::new(Copying { from, task: task.as_ref(), unsaid: 0, cancel: &work.cancel }, descriptor);
    if descriptor.size < SMALL {
        write(&mut from)?;
    } else {
        // Hashing takes longer than writing: in parallel they take as long as hashing alone.
        read_ahead(from, |mut from| write(&mut from))?;
    }
    task.into_iter().for_each(|task| task.done(""));
    Ok(())
}

/// Reports progress and stops when the run is cancelled.
struct Copying<'a, R> {
    from: R,
    task: Option<&'a Task>,
    /// Bytes not reported yet: a layer may be read in very small pieces.
    unsaid: u64,
    cancel: &'a Cancel,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check()?;
        let count = self.from.read(buffer)?;
        self.unsaid += count as u64;
        if self.unsaid >= BUFFER as u64 || count == 0 && self.unsaid > 0 {
            self.task.inspect(|task| task.advance(self.unsaid));
            self.unsaid = 0;
        }
        Ok(count)
    }
}

/// An offset in a file that advances with each write.
struct Place<'a> {
    file: &'a File,
    at: u64,
}

impl Write for Place<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use longshore_content::{Budget, MemoryStore};
    use longshore_oci::{Descriptor, ErrorKind, MediaType};
    use std::io::{Seek, SeekFrom};
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use super::*;
    use crate::archive::{EntryKind, Reader};
    use crate::image::BlobProvider;

    /// Writes `bundle` into a file and into a stream.
    fn written(bundle: &Bundle<'_>, jobs: usize) -> [Result<Vec<u8>>; 2] {
        let work = Work::default().with_budget(Budget::new(NonZeroUsize::new(jobs).unwrap()));
        let mut file = tempfile::tempfile().unwrap();
        let in_file = bundle.write_to_file(&file, &work).map(|()| {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let mut stream = Vec::new();
        let in_stream = bundle.write(&mut stream, &work).map(|()| stream);
        [in_file, in_stream]
    }

    fn blob(bytes: &[u8], change: impl FnOnce(&mut Descriptor)) -> ImageBlob<'static> {
        let store = MemoryStore::default();
        let mut descriptor = store.put(MediaType::from("application/octet-stream".to_owned()), bytes);
        change(&mut descriptor);
        ImageBlob { descriptor, references: Vec::new(), provider: BlobProvider::Image(Arc::new(store)) }
    }

    fn bundle(damage: impl Fn(usize, &mut Descriptor)) -> Bundle<'static> {
        let mut bundle = Bundle::default();
        bundle.add(Entry::new("directory", EntryKind::Directory, 0o755));
        bundle.add_document(Entry::file("é".repeat(60), 0o644, 0), b"document".to_vec());
        for (at, size) in [0, 1, 511, 512, 513, 3 << 20].into_iter().enumerate() {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 31 + at) as u8).collect();
            let name = format!("blobs/{}/{at}", "long".repeat(40 * (at % 2)));
            bundle.add_blob(Entry::file(name, 0o444, 0), blob(&bytes, |descriptor| damage(at, descriptor)));
        }
        bundle
    }

    #[test]
    fn a_file_and_a_stream_get_the_same_bytes() {
        let [first, _] = written(&bundle(|_, _| ()), 1).map(Result::unwrap);
        for jobs in [1, 2, 8] {
            assert!(written(&bundle(|_, _| ()), jobs).into_iter().all(|bytes| bytes.unwrap() == first), "{jobs}");
        }
        let mut reader = Reader::new(&first[..]);
        let mut sizes = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            sizes.push(entry.size);
        }
        reader.drain().unwrap();
        assert_eq!(sizes, [0, 8, 0, 1, 511, 512, 513, 3 << 20]);
    }

    /// A size that wraps around would put one blob over another.
    #[test]
    fn sizes_that_no_file_can_have_are_refused() {
        let most = i64::MAX as u64;
        for sizes in [vec![(5, u64::MAX)], vec![(5, u64::MAX - 511)], vec![(5, most)], vec![(0, 1 << 63), (1, 1 << 63)]]
        {
            let damage = |at: usize, blob: &mut Descriptor| {
                blob.size = sizes.iter().find(|(damaged, _)| *damaged == at).map_or(blob.size, |(_, size)| *size);
            };
            let [in_file, in_stream] = written(&bundle(damage), 2);
            let error = in_file.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sizes:?}: {}", error.with_causes());
            assert!(error.with_causes().contains("more than a file can have"), "{}", error.with_causes());
            assert_eq!(in_stream.unwrap_err().kind(), ErrorKind::Corrupt, "{sizes:?}");
        }
        // A file has at most `most` bytes, and an archive whole blocks.
        let largest = most + 1 - BLOCK as u64;
        assert_eq!(places(512, 512, largest - 1024 - END).unwrap(), (1024, largest - END));
        for (start, header, size) in
            [(512, 512, largest - 1023 - END), (most, 512, 0), (u64::MAX, 1, 0), (1 << 62, 512, 1 << 62)]
        {
            assert!(places(start, header, size).is_err(), "{start} {header} {size}");
        }
    }

    #[test]
    fn one_blob_that_is_not_what_it_says_fails_the_archive() {
        for damaged in 0..6 {
            let longer = bundle(|at, blob| blob.size += u64::from(at == damaged));
            let shorter = bundle(|at, blob| blob.size -= u64::from(at == damaged).min(blob.size));
            for (bundle, is_damaged) in [(longer, true), (shorter, damaged > 0)] {
                for found in written(&bundle, 4) {
                    match found {
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.with_causes()),
                        Ok(_) => assert!(!is_damaged, "{damaged}"),
                    }
                }
            }
        }
    }
}
