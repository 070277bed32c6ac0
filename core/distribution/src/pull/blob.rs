//! A blob read from a registry, and resumed where it stopped when a connection breaks.

use std::io::{self, Read};
use std::time::Instant;

use longshore_content::Progress;
use longshore_oci::{Digest, Error, ErrorKind, Result};

use super::PullRepository;
use crate::http::{Failure, Pace, Retries, bounded, content_range_start};
use crate::registry::PullSource;

/// A body, and how many bytes are still to come, if known.
type Body = (Box<dyn Read + Send>, Option<u64>);

struct BlobReader<'a> {
    repository: &'a PullRepository,
    digest: Digest,
    /// The source that responded; the rest comes from there, too.
    source: PullSource,
    body: Option<Body>,
    position: u64,
    /// Attempts since the last received byte.
    failed: u32,
    pace: Pace,
}

pub(super) fn open<'a>(
    repository: &'a PullRepository,
    digest: &Digest,
    from: u64,
) -> Result<Box<dyn Read + Send + 'a>> {
    let found = repository.ask(|_| true, |source| Ok((source.clone(), request(repository, source, digest, from)?)))?;
    let (source, body) = found;
    let (digest, pace) = (digest.clone(), source.endpoint.pace());
    Ok(Box::new(BlobReader { repository, digest, source, body: Some(body), position: from, failed: 0, pace }))
}

/// Requests the bytes from `from` on.
fn request(repository: &PullRepository, source: &PullSource, digest: &Digest, from: u64) -> Result<Body, Failure> {
    let path = format!("{}/blobs/{digest}", repository.0.origin.repository);
    let range = (from > 0).then(|| ("range", format!("bytes={from}-")));
    let response = repository.get(source, &path, range.into_iter().collect())?;
    // Nothing is left: the reader checks whether that is right.
    if response.status() == 416 && from > 0 {
        return Ok((Box::new(io::empty()), Some(0)));
    }
    let what = repository.what("blob", &digest.to_string());
    let response = response.expect(&what, &[200, 206])?;
    let length = response.length();
    if response.status() == 206 {
        let claimed = response.header("content-range").unwrap_or_default();
        if content_range_start(claimed) != Some(from) {
            let claimed = bounded(claimed);
            let message = format!("{what}: the registry returned the range `{claimed}`, asked for `bytes {from}-`");
            return Err(Error::corrupt(message).into());
        }
        return Ok((response.into_reader(), length));
    }
    // The registry ignores ranges, and sends the whole blob.
    let mut reader = response.into_reader();
    skip(reader.as_mut(), from, length, &what, (source.endpoint.pace(), &repository.0.work.progress))?;
    Ok((reader, length.map(|length| length.saturating_sub(from))))
}

/// Skips the bytes that were read before.
fn skip(
    reader: &mut dyn Read,
    count: u64,
    length: Option<u64>,
    what: &str,
    (mut pace, progress): (Pace, &Progress),
) -> Result<(), Failure> {
    let mut piece = vec![0; 64 << 10];
    let mut skipped = 0;
    while skipped < count {
        let since = Instant::now();
        let most = usize::try_from(count - skipped).unwrap_or(usize::MAX).min(piece.len());
        let read = reader.read(&mut piece[..most]).map_err(|error| broken(what, error))? as u64;
        if read == 0 {
            return Err(Error::corrupt(format!("{what}: it has {skipped} bytes, fewer than before")).into());
        }
        skipped += read;
        pace.moved(read, since.elapsed(), length.map(|length| length.saturating_sub(skipped)), what, progress)?;
    }
    Ok(())
}

fn broken(what: &str, error: io::Error) -> Failure {
    let error = Error::from(error);
    Failure::broken(Error::new(ErrorKind::Unavailable, format!("{what}: {}", error.with_causes())))
}

impl BlobReader<'_> {
    /// Reads available bytes. `None` if the body ended too early.
    fn read_body(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Failure> {
        let since = Instant::now();
        let (mut reader, left) = match self.body.take() {
            Some(body) => body,
            None => request(self.repository, &self.source, &self.digest, self.position)?,
        };
        let what = || self.repository.what("blob", &self.digest.to_string());
        let count = reader.read(buffer).map_err(|error| broken(&what(), error))?;
        if count == 0 {
            let is_whole = left.is_none_or(|left| left == 0);
            // Reading past the end returns the end again.
            self.body = is_whole.then(|| -> Body { (Box::new(io::empty()), Some(0)) });
            return Ok(is_whole.then_some(0));
        }
        let left = left.map(|left| left.saturating_sub(count as u64));
        self.pace.moved(count as u64, since.elapsed(), left, &what(), &self.repository.0.work.progress)?;
        self.position += count as u64;
        self.failed = 0;
        self.body = Some((reader, left));
        Ok(Some(count))
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let failure = match self.read_body(buffer) {
                Ok(Some(count)) => return Ok(count),
                Ok(None) => {
                    let what = self.repository.what("blob", &self.digest.to_string());
                    Failure::broken(Error::new(ErrorKind::Unavailable, format!("{what}: it ended too early")))
                }
                Err(failure) => failure,
            };
            let work = &self.repository.0.work;
            let mut retries = Retries::after(self.source.endpoint.policy(), work, self.failed);
            match retries.wait(failure) {
                Ok(()) => self.failed = retries.failed(),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error.into()),
                Err(error) => {
                    let next = self.repository.after(&self.source).ok_or(error)?;
                    self.pace = next.endpoint.pace();
                    (self.source, self.failed) = (next, 0);
                }
            }
        }
    }
}
