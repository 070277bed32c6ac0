//! The bytes of a blob on their way out: from any provider, hashed once.

use std::io::{self, Read};

use longshore_content::{Cancel, PushBlob, Task, copy};
use longshore_oci::{Descriptor, Error, Hasher, Result};

/// Reads a blob as often as needed. An unverified blob is checked against its descriptor on the way: its last bytes
/// are only returned once all of them are right.
pub(super) struct Source<'a> {
    blob: &'a PushBlob<'a>,
    cancel: &'a Cancel,
    task: &'a Task,
    hasher: Option<Hasher>,
    /// How far it was read: bytes sent again are not hashed again.
    read: u64,
}

impl<'a> Source<'a> {
    pub(super) fn new(blob: &'a PushBlob<'a>, cancel: &'a Cancel, task: &'a Task) -> Self {
        let hasher = (!blob.is_verified).then(|| Hasher::new(blob.descriptor.digest.algorithm()));
        Self { blob, cancel, task, hasher, read: 0 }
    }

    pub(super) fn descriptor(&self) -> &'a Descriptor {
        self.blob.descriptor
    }

    /// Fails if the blob does not match its descriptor: after a refusal, the file on disk may have changed.
    pub(super) fn verify(&self) -> Result<()> {
        copy(self.blob.provider, self.blob.descriptor, &mut io::sink(), self.cancel, None)
    }

    /// Returns how many bytes were sent at least once.
    pub(super) fn sent(&self) -> u64 {
        self.read
    }

    /// Returns whether all bytes were read, so that the blob may have arrived.
    pub(super) fn is_read(&self) -> bool {
        self.read == self.blob.descriptor.size
    }

    /// Returns the bytes from `from` on, at most `length` of them.
    pub(super) fn read(&mut self, from: u64, length: u64) -> Result<Piece<'_, 'a>> {
        if from > self.read {
            let (digest, sent) = (&self.blob.descriptor.digest, self.read);
            return Err(Error::corrupt(format!("the registry has {from} bytes of {digest}, but was sent {sent}")));
        }
        let reader = self.blob.provider.open(&self.blob.descriptor.digest, from)?;
        Ok(Piece { reader: Box::new(reader), position: from, end: from + length, source: self })
    }

    /// Checks bytes that follow the hashed ones.
    fn check(&mut self, position: u64, bytes: &[u8]) -> Result<()> {
        let Descriptor { digest, size, .. } = self.blob.descriptor;
        let known = self.read.saturating_sub(position).min(bytes.len() as u64) as usize;
        let new = &bytes[known..];
        if let Some(hasher) = &mut self.hasher {
            hasher.update(new);
        }
        self.read += new.len() as u64;
        self.task.advance(new.len() as u64);
        if self.read == *size
            && let Some(found) = self.hasher.take().map(Hasher::finish)
            && found != *digest
        {
            return Err(Error::corrupt(format!("blob {digest} has the digest {found}")));
        }
        Ok(())
    }
}

/// A part of a blob.
pub(super) struct Piece<'s, 'a> {
    source: &'s mut Source<'a>,
    reader: Box<dyn Read + 's>,
    position: u64,
    end: u64,
}

impl Read for Piece<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.cancel.check()?;
        let most = buffer.len().min(usize::try_from(self.end - self.position).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        // The HTTP library passes our errors on, but takes system errors for those of the connection.
        let count = loop {
            match self.reader.read(&mut buffer[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| io::Error::from(Error::from(error)))?,
            }
        };
        let Descriptor { digest, size, .. } = self.source.blob.descriptor;
        if count == 0 {
            let position = self.position;
            return Err(Error::corrupt(format!("blob {digest} has {position} bytes, expected {size}")).into());
        }
        let (begin, end) = (self.position, self.position + count as u64);
        if end == *size && !self.source.blob.is_verified {
            self.check_end()?;
        }
        self.source.check(begin, &buffer[..count])?;
        self.position = end;
        Ok(count)
    }
}

impl Piece<'_, '_> {
    /// Fails if the blob has too many bytes.
    fn check_end(&mut self) -> Result<()> {
        let more = io::copy(&mut self.reader.by_ref().take(1), &mut io::sink())?;
        let Descriptor { digest, size, .. } = self.source.blob.descriptor;
        if more > 0 {
            return Err(Error::corrupt(format!("blob {digest} has more than the expected {size} bytes")));
        }
        Ok(())
    }
}
