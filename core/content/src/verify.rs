//! Verified reading and copying of blobs.

use std::io::{self, Read, Write};

use longshore_oci::{Context, Descriptor, Error, Hasher, Result};

use crate::cancel::Cancel;
use crate::progress::Task;
use crate::provider::Provider;
use crate::store::BlobWriter;

/// A reader of a blob that fails, at its end at the latest, if the blob does not match its descriptor.
///
/// It never yields more bytes than the descriptor's size.
#[derive(Debug)]
pub struct Verified<'a, R> {
    inner: R,
    descriptor: &'a Descriptor,
    /// `None` once the blob has been checked.
    hasher: Option<Hasher>,
    read: u64,
}

impl<'a, R: Read> Verified<'a, R> {
    /// Checks `inner` against `descriptor`.
    pub fn new(inner: R, descriptor: &'a Descriptor) -> Self {
        let hasher = Some(Hasher::new(descriptor.digest.algorithm()));
        Self { inner, descriptor, hasher, read: 0 }
    }

    fn check_end(&mut self) -> Result<()> {
        let Descriptor { digest, size, .. } = self.descriptor;
        if self.read != *size {
            return Err(Error::corrupt(format!("blob {digest} has {} bytes, expected {size}", self.read)));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != *digest => Err(Error::corrupt(format!("blob {digest} has the digest {found}"))),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Verified<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            self.check_end()?;
            return Ok(0);
        }
        self.read += count as u64;
        let Descriptor { digest, size, .. } = self.descriptor;
        if self.read > *size {
            return Err(Error::corrupt(format!("blob {digest} has more than the expected {size} bytes")).into());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Reads and verifies a whole blob of at most `limit` bytes, such as a manifest or configuration.
///
/// # Errors
/// A larger blob, one that does not match `descriptor`, and errors of the provider.
pub fn read(provider: &dyn Provider, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
    let Descriptor { digest, size, media_type, .. } = descriptor;
    if *size > limit {
        return Err(Error::input(format!("`{media_type}` {digest} has {size} bytes, more than the limit of {limit}")));
    }
    let mut bytes = Vec::new();
    let mut from = Verified::new(provider.open(digest, 0)?, descriptor);
    from.read_to_end(&mut bytes).attempt(|| format!("cannot read {digest}"))?;
    Ok(bytes)
}

/// Copies a blob to `to` and verifies it on the way; `task` advances by its bytes.
///
/// # Errors
/// A blob that does not match `descriptor`: then the bytes in `to` must not be used.
pub fn copy(
    provider: &dyn Provider,
    descriptor: &Descriptor,
    to: &mut dyn Write,
    cancel: &Cancel,
    task: Option<&Task>,
) -> Result<()> {
    let from = Verified::new(provider.open(&descriptor.digest, 0)?, descriptor);
    copy_from(from, descriptor, to, cancel, task)
}

/// Copies a blob to a writer that expects and therefore verifies it, continuing an earlier attempt.
///
/// # Errors
/// Errors of the provider and of the writer. A blob that does not match `descriptor` cannot be committed.
pub fn copy_to_writer(
    provider: &dyn Provider,
    descriptor: &Descriptor,
    to: &mut dyn BlobWriter,
    cancel: &Cancel,
    task: Option<&Task>,
) -> Result<()> {
    let from = to.offset();
    task.inspect(|task| task.advance(from));
    // One byte too many is enough to detect an oversized blob.
    let left = (descriptor.size - from.min(descriptor.size)).saturating_add(1);
    copy_from(provider.open(&descriptor.digest, from)?.take(left), descriptor, to, cancel, task)
}

fn copy_from(
    mut from: impl Read,
    descriptor: &Descriptor,
    to: &mut (impl Write + ?Sized),
    cancel: &Cancel,
    task: Option<&Task>,
) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        cancel.check()?;
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to.write_all(&buffer[..count]).attempt(|| format!("cannot write {}", descriptor.digest))?;
                task.inspect(|task| task.advance(count as u64));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).attempt(|| format!("cannot read {}", descriptor.digest)),
        }
    }
}

/// Hashes the bytes read, until cancelled.
#[derive(Debug)]
pub struct Hashing<'a, R> {
    /// What is read.
    pub inner: R,
    /// Takes the bytes in.
    pub hasher: Hasher,
    /// What says when to stop.
    pub cancel: &'a Cancel,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check()?;
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::{ErrorKind, MediaType};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::ContentStore;

    /// The size of a descriptor is a claim: a blob of a few bytes is compared with it, not placed by it.
    #[test]
    fn a_descriptor_may_claim_any_size() {
        let store = MemoryStore::default();
        let good = store.put(MediaType::CONFIG, b"bytes");
        for size in [0, 4, 6, i64::MAX as u64, u64::MAX - 1, u64::MAX] {
            let lie = Descriptor { size, ..good.clone() };
            let copied = copy(&store, &lie, &mut io::sink(), &Cancel::default(), None);
            assert_eq!(copied.unwrap_err().kind(), ErrorKind::Corrupt, "{size}");
            let read = read(&store, &lie, 1 << 20).unwrap_err();
            let expected = if size > 1 << 20 { ErrorKind::InvalidInput } else { ErrorKind::Corrupt };
            assert_eq!(read.kind(), expected, "{size}");
            let to = MemoryStore::default();
            let mut writer = to.ingest(Some(&lie)).unwrap();
            copy_to_writer(&store, &lie, writer.as_mut(), &Cancel::default(), None).unwrap();
            let committed = writer.commit(crate::store::BlobMeta::default());
            assert_eq!(committed.unwrap_err().kind(), ErrorKind::Corrupt, "{size}");
            assert_eq!(to.info(&good.digest).unwrap(), None, "{size}");
        }
    }
}
