//! Uploads of blobs of known size (distribution-spec 1.1, "Pushing blobs"): in one piece, resumed at the offset that
//! the registry states, and in chunks if it wants them.

use std::time::Duration;

use longshore_content::{Delivery, PushBlob, Task, Work};
use longshore_oci::{Descriptor, Error, ErrorKind, Result};
use ureq::http::Method;

use super::source::Source;
use super::{RunSession, blob};
use crate::endpoint::{Call, Target, location};
use crate::http::{Failure, Outgoing, Pace, Payload, Reason, Response, Retries, Url, run, uploaded};
use crate::manifest::check_said;

/// The size of chunks, unless the registry wants larger ones.
const CHUNK: u64 = 16 << 20;
/// No registry refuses a smaller body for its size.
const SMALLEST_CHUNK: u64 = 64 << 10;
/// Consecutive breaks without progress before smaller bodies are tried: a proxy may refuse large ones silently.
pub(super) const BREAKS: u32 = 3;
/// Bytes sent in vain from which on the user is told.
const WORTH_A_WORD: u64 = 1 << 20;
/// Error codes that cannot be avoided by sending in another way (distribution-spec 1.1, "Error Codes").
const FINAL: [&str; 5] = ["DIGEST_INVALID", "NAME_INVALID", "NAME_UNKNOWN", "DENIED", "UNAUTHORIZED"];
/// Consecutive refusals after which fresh credentials are not tried again.
pub(super) const REFUSALS: u32 = 2;

/// Bodies without a timely response after which a blob is given up: each costs minutes, and is sent again.
pub(super) const LATE: u32 = 2;
pub(super) const NEVER_ANSWERED: &str = "the registry accepted the blob and never responded";

/// The location of an upload, as the registry stated it at the start.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) location: Url,
    /// The smallest chunk in bytes, if the registry wants chunks.
    chunk_min: Option<u64>,
}

impl Start {
    pub(super) fn of(response: &Response) -> Result<Self> {
        let chunk_min = response.header("oci-chunk-min-length").and_then(|value| value.trim().parse().ok());
        Ok(Self { location: location(response)?, chunk_min })
    }
}

/// Starts an upload.
pub(super) fn start(session: &RunSession, work: &Work) -> Result<Start> {
    let path = session.path("blobs/uploads/");
    run(session.registry.endpoint.policy(), work, || {
        let call = session.at(Method::POST, &path, Payload::Bytes(&[]));
        let response = session.registry.endpoint.follow(call, work)?;
        Ok(Start::of(&response.expect("cannot begin an upload", &[202])?)?)
    })
}

pub(super) fn send(
    session: &RunSession,
    blob: &PushBlob<'_>,
    started: Option<Start>,
    work: &Work,
    task: &Task,
) -> Result<Delivery> {
    let started = started.map_or_else(|| start(session, work), Ok)?;
    let retries = Retries::new(session.registry.endpoint.policy(), work);
    let chunk = started.chunk_min.map(|least| least.max(CHUNK));
    let mut upload = Upload {
        session,
        work,
        source: Source::new(blob, &work.cancel, task),
        location: started.location,
        chunk_min: started.chunk_min.unwrap_or(SMALLEST_CHUNK),
        chunk,
        offset: 0,
        furthest: 0,
        resumed: 0,
        refused: 0,
        late: 0,
        restarted: false,
        pace: session.registry.endpoint.pace(),
        retries,
    };
    let sent = upload.run();
    if let Err(error) = &sent {
        abandon(session, &upload.location);
        if error.kind() == ErrorKind::InvalidInput {
            upload.source.verify()?;
        }
    }
    sent.map(|()| Delivery::Sent { resumed: upload.resumed })
}

/// Cancels an upload, which the registry would otherwise time out later.
pub(super) fn abandon(session: &RunSession, location: &Url) {
    let patience = Some(Duration::from_secs(1));
    // Also if the run was cancelled.
    let work = Work::default();
    let call = Call { target: Target::Url(location), patience, ..session.at(Method::DELETE, "", Payload::None) };
    // Best effort: the response does not matter.
    let _ = session.call(call, &work);
}

struct Upload<'a> {
    session: &'a RunSession,
    work: &'a Work,
    source: Source<'a>,
    location: Url,
    chunk_min: u64,
    /// The size of the next bodies; `None` for all remaining bytes.
    chunk: Option<u64>,
    /// How many bytes the registry has.
    offset: u64,
    /// The most bytes it ever had, to tell progress from going in circles.
    furthest: u64,
    resumed: u32,
    refused: u32,
    /// Bodies that arrived without a response in time.
    late: u32,
    /// Whether the upload was restarted because the registry does not resume uploads.
    restarted: bool,
    pace: Pace,
    retries: Retries<'a>,
}

impl Upload<'_> {
    fn run(&mut self) -> Result<()> {
        loop {
            match self.step() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(failure) => {
                    if self.recover(failure)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends the next body. Returns whether it was the last one.
    fn step(&mut self) -> Result<bool, Failure> {
        let size = self.source.descriptor().size;
        let left = size - self.offset;
        if self.offset == 0 && self.chunk.is_none() {
            self.put(left)?;
            return Ok(true);
        }
        if left == 0 {
            self.put(0)?;
            return Ok(true);
        }
        self.patch(left.min(self.chunk.unwrap_or(left)))?;
        Ok(false)
    }

    /// Closes the upload, with the whole blob or after all of its chunks.
    fn put(&mut self, length: u64) -> Result<(), Failure> {
        let descriptor = self.source.descriptor();
        if length == 0 {
            return close(self.session, &self.location, descriptor, Payload::Bytes(&[]), self.work);
        }
        let what = format!("upload of {}", descriptor.digest);
        let mut piece = self.source.read(0, length)?;
        let mut body = Outgoing::new(&mut piece, &mut self.pace, Some(length), &what, &self.work.progress);
        close(self.session, &self.location, descriptor, Payload::Reader(&mut body, Some(length)), self.work)
    }

    /// Sends the next bytes, without closing the upload.
    fn patch(&mut self, length: u64) -> Result<(), Failure> {
        let url = self.location.clone();
        let end = self.offset + length - 1;
        let headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-range", format!("{}-{end}", self.offset)),
        ];
        let what = format!("upload of {}", self.source.descriptor().digest);
        let left = self.source.descriptor().size - self.offset;
        let mut piece = self.source.read(self.offset, length)?;
        let mut body = Outgoing::new(&mut piece, &mut self.pace, Some(left), &what, &self.work.progress);
        let payload = Payload::Reader(&mut body, Some(length));
        let call = Call { target: Target::Url(&url), headers, ..self.session.at(Method::PATCH, "", payload) };
        let response = self.session.call(call, self.work);
        drop(piece);
        let response = response?.expect("a part of the upload was refused", &[202, 204, 201])?;
        self.location = location(&response).unwrap_or(url);
        let before = self.offset;
        self.arrive(stored(&response).unwrap_or(end + 1))?;
        if self.offset <= before {
            let message = format!("the registry accepted a part of the upload, but still has {} bytes", self.offset);
            return Err(Failure::broken(Error::new(ErrorKind::Unavailable, message)));
        }
        Ok(())
    }

    /// Records that the registry has `offset` bytes.
    fn arrive(&mut self, offset: u64) -> Result<(), Failure> {
        let size = self.source.descriptor().size;
        if offset > size {
            let message = format!("the registry says that it has {offset} bytes of a blob of {size}");
            return Err(Error::corrupt(message).into());
        }
        self.offset = offset;
        if offset > self.furthest {
            self.furthest = offset;
            self.refused = 0;
            self.retries.progressed();
        }
        Ok(())
    }

    /// Decides how to continue after a failure, or fails. Returns whether the blob turned out to exist.
    fn recover(&mut self, failure: Failure) -> Result<bool> {
        self.work.cancel.check()?;
        match failure.reason {
            Reason::Status(413) => self.shrink(failure)?,
            // The token expired during the upload: this body was not accepted, and the next has a new token.
            // After a 417 the next body is not announced.
            Reason::Status(401 | 417) if self.refused < REFUSALS => {
                self.refused += 1;
                return Ok(false);
            }
            Reason::Late if self.late + 1 == LATE => return Err(failure.into_error().context(NEVER_ANSWERED)),
            // The registry disagrees about the upload: ask it, but not forever.
            Reason::Status(404 | 416) if self.refused < REFUSALS => self.refused += 1,
            // It may accept only chunks.
            Reason::Status(400 | 405 | 411 | 501)
                if self.offset == 0 && self.chunk.is_none() && !FINAL.iter().any(|code| failure.has_code(code)) =>
            {
                self.chunk = Some(self.chunk_min.max(CHUNK));
                return self.restart().map(|()| false).map_err(Failure::into_error);
            }
            // It does not resume the upload, but may accept a restart.
            Reason::Status(400 | 405 | 411 | 416 | 501) if self.offset > 0 && !self.restarted => {
                self.restarted = true;
                return self.restart().map(|()| false).map_err(Failure::into_error);
            }
            Reason::Status(401 | 404 | 416 | 417) => return Err(failure.into_error()),
            reason => {
                self.late += u32::from(reason == Reason::Late);
                let broke_early = reason == Reason::Broken && self.offset == 0 && self.chunk.is_none();
                self.retries.wait(failure)?;
                let half = CHUNK.min(self.source.descriptor().size / 2);
                if broke_early && self.retries.failed() >= BREAKS && half >= self.chunk_min {
                    self.chunk = Some(half);
                }
            }
        }
        loop {
            match self.resume() {
                Err(failure) if failure.is_temporary() => self.retries.wait(failure)?,
                resumed => return resumed.map_err(Failure::into_error),
            }
        }
    }

    /// Retries with smaller bodies.
    fn shrink(&mut self, failure: Failure) -> Result<()> {
        let left = self.source.descriptor().size - self.offset;
        let refused = self.chunk.unwrap_or(left).min(left);
        let next = (refused / 2).min(CHUNK);
        if next < self.chunk_min {
            return Err(failure.into_error());
        }
        self.chunk = Some(next);
        Ok(())
    }

    /// Asks how far the upload has come; starts a new one if that is unknown.
    fn resume(&mut self) -> Result<bool, Failure> {
        match ask(self.session, &mut self.location, self.work) {
            Ok(Some(offset)) => {
                self.resumed += 1;
                self.arrive(offset)?;
                return Ok(false);
            }
            Err(failure) if failure.is_temporary() || failure.reason == Reason::Final => return Err(failure),
            Ok(None) | Err(_) => {}
        }
        // Perhaps only the response to the last body was lost.
        if self.source.is_read() && blob::exists(self.session, self.source.descriptor(), self.work)? {
            return Ok(true);
        }
        self.restart().map(|()| false)
    }

    /// Starts a new upload in place of one that cannot be resumed.
    fn restart(&mut self) -> Result<(), Failure> {
        abandon(self.session, &self.location);
        let sent = self.source.sent();
        if self.furthest > 0 || sent >= WORTH_A_WORD {
            let digest = &self.source.descriptor().digest;
            let registry = &self.session.origin.registry;
            let lost = format!("starting over, after {sent} bytes");
            self.work.progress.warn(format!("{registry} cannot continue the upload of {digest}: {lost}"));
        }
        self.location = start(self.session, self.work)?.location;
        self.offset = 0;
        Ok(())
    }
}

/// Returns how many bytes of an upload the registry has, and updates its location; `None` if it has none or is unsure.
pub(super) fn ask(session: &RunSession, at: &mut Url, work: &Work) -> Result<Option<u64>, Failure> {
    let call = Call { target: Target::Url(at), ..session.at(Method::GET, "", Payload::None) };
    let response = session.call(call, work)?.expect("the upload cannot be found", &[204, 200, 202])?;
    if let Ok(next) = location(&response) {
        *at = next;
    }
    Ok(stored(&response).filter(|offset| *offset > 1))
}

/// Closes an upload with its last bytes, as the blob `descriptor`.
pub(super) fn close(
    session: &RunSession,
    at: &Url,
    descriptor: &Descriptor,
    mut last: Payload<'_>,
    work: &Work,
) -> Result<(), Failure> {
    let (digest, closes) = (&descriptor.digest, descriptor.size);
    let url = at.with_query("digest", &digest.to_string());
    let headers = vec![("content-type", "application/octet-stream".to_owned())];
    let call = Call { target: Target::Url(&url), headers, closes, ..session.at(Method::PUT, "", last.reborrow()) };
    let response = session.call(call, work)?.expect("the upload was refused", &[201, 200, 204])?;
    Ok(check_said(&response, digest)?)
}

/// Returns how many bytes the registry has, if stated.
pub(super) fn stored(response: &Response) -> Option<u64> {
    uploaded(response.header("range")?)
}
