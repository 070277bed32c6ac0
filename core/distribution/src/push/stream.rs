//! Sending a blob while it is built, before its size or digest is known.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use longshore_content::{MakeBlob, Task, Work, pipe};
use longshore_oci::{Context, Descriptor, Error, ErrorKind, Result};
use ureq::http::Method;

use super::RunSession;
use super::blob::{exists, joined, rate, resumed_text};
use super::upload::{BREAKS, LATE, NEVER_ANSWERED, REFUSALS, Start, abandon, ask, close, start, stored};
use crate::endpoint::{Call, Target, location};
use crate::http::{Failure, Outgoing, Pace, Payload, Reason, Retries, Url};

pub(super) fn send(session: &RunSession, name: &str, make: &MakeBlob<'_>, work: &Work) -> Result<Option<Descriptor>> {
    let Start { location, .. } = start(session, work)?;
    let task = work.progress.task(format!("push {name} to {}", session.origin), None);
    let begun = Instant::now();
    let retries = Retries::new(session.registry.endpoint.policy(), work);
    let mut stream = Stream {
        session,
        work,
        make,
        task: &task,
        location,
        offset: 0,
        furthest: 0,
        resumed: 0,
        refused: 0,
        late: 0,
        pace: session.registry.endpoint.pace(),
        retries,
    };
    match stream.run() {
        Ok(Some(descriptor)) => {
            let (rate, resumed) = (rate(descriptor.size, begun), resumed_text(stream.resumed));
            task.done(joined([rate, resumed, descriptor.digest.to_string()]));
            Ok(Some(descriptor))
        }
        Ok(None) => {
            abandon(session, &stream.location);
            task.skipped("the registry does not accept streams: storing the layer first");
            Ok(None)
        }
        Err(error) => {
            abandon(session, &stream.location);
            Err(error).attempt(|| format!("cannot push {name}"))
        }
    }
}

struct Stream<'a> {
    session: &'a RunSession,
    work: &'a Work,
    make: &'a MakeBlob<'a>,
    task: &'a Task,
    location: Url,
    /// How many bytes the registry has.
    offset: u64,
    furthest: u64,
    resumed: u32,
    /// Consecutive refusals possibly caused by an expired token or an old offset.
    refused: u32,
    /// Bodies that arrived without a response in time.
    late: u32,
    pace: Pace,
    retries: Retries<'a>,
}

/// How one attempt ended.
enum Sent {
    /// All of it has arrived.
    All(Descriptor),
    /// The registry does not accept streams.
    Refused,
}

impl Stream<'_> {
    fn run(&mut self) -> Result<Option<Descriptor>> {
        loop {
            match self.patch() {
                Ok(Sent::All(descriptor)) => {
                    if self.finish(&descriptor)? {
                        return Ok(Some(descriptor));
                    }
                }
                Ok(Sent::Refused) => return Ok(None),
                // A proxy may drop a large body silently, and a stream does not state its size.
                Err(failure)
                    if self.furthest == 0
                        && self.retries.failed() + 1 >= BREAKS
                        && failure.reason == Reason::Broken =>
                {
                    return Ok(None);
                }
                Err(failure) => self.recover(failure)?,
            }
        }
    }

    /// Builds the blob, and sends the part that the registry lacks.
    fn patch(&mut self) -> Result<Sent, Failure> {
        let (mut writer, mut reader) = pipe(self.offset, &self.work.cancel);
        let what = format!("upload to {}", self.session.origin);
        let (pace, progress) = (&mut self.pace, &self.work.progress);
        let (make, url, is_left) = (self.make, self.location.clone(), reader.is_left());
        let (answer, made, read) = thread::scope(|scope| {
            let making = scope.spawn(move || {
                let made = make(&mut writer)?;
                writer.close();
                Ok::<_, Error>(made)
            });
            let headers = vec![("content-type", "application/octet-stream".to_owned())];
            let mut body = Outgoing::new(&mut reader, pace, None, &what, progress);
            let payload = Payload::Reader(&mut body, None);
            let call = Call { target: Target::Url(&url), headers, ..self.session.at(Method::PATCH, "", payload) };
            let answer = self.session.call(call, self.work);
            let read = reader.read_bytes();
            // Dropping the reader ends the other thread.
            drop(reader);
            let made = making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (answer, made, read)
        });
        let response = match answer {
            Ok(response) => response,
            // A failed build explains the failed upload, unless the upload failed first.
            Err(failure) => {
                let reason = made.err().filter(|_| !is_left.load(Ordering::SeqCst));
                return Err(reason.map_or(failure, Failure::from));
            }
        };
        let is_refused = matches!(response.status(), 400 | 404 | 405 | 411 | 413 | 415 | 416 | 501);
        if is_refused && self.furthest == 0 {
            return Ok(Sent::Refused);
        }
        let response = response.expect("a part of the upload was refused", &[202, 204, 201])?;
        self.location = location(&response).unwrap_or(url);
        let sent = self.offset + read;
        // `0-0` means either one byte or none.
        self.arrive(stored(&response).filter(|offset| *offset > 1).unwrap_or(sent));
        let made = made?;
        if self.offset < sent {
            let message = format!("the registry has {} bytes of the {sent} that it was sent", self.offset);
            return Err(Failure::broken(Error::new(ErrorKind::Unavailable, message)));
        }
        Ok(Sent::All(made))
    }

    /// Closes the upload. Returns whether it became a blob; if not, the blob has to be built again.
    fn finish(&mut self, descriptor: &Descriptor) -> Result<bool> {
        let mut may_exist = false;
        loop {
            let Err(failure) = self.close(descriptor) else { return Ok(true) };
            may_exist |= failure.is_temporary();
            self.recover(failure)?;
            if self.offset == descriptor.size {
                continue;
            }
            let exists = may_exist && exists(self.session, descriptor, self.work)?;
            if exists {
                abandon(self.session, &self.location);
            }
            return Ok(exists);
        }
    }

    fn close(&self, descriptor: &Descriptor) -> Result<(), Failure> {
        if self.offset != descriptor.size {
            let message = format!("the layer now has {} bytes, and had different ones before", descriptor.size);
            let error = Error::new(ErrorKind::InvalidInput, message);
            return Err(error.with_hint("its source changed during the upload: run it again").into());
        }
        close(self.session, &self.location, descriptor, Payload::Bytes(&[]), self.work)
    }

    fn arrive(&mut self, offset: u64) {
        self.offset = offset;
        if offset > self.furthest {
            self.task.advance(offset - self.furthest);
            self.furthest = offset;
            self.refused = 0;
            self.retries.progressed();
        }
    }

    fn recover(&mut self, failure: Failure) -> Result<()> {
        // The token may have expired since the upload began, or our offset may be outdated.
        // After a 417 the next body is not announced.
        let may_be_old = matches!(failure.status(), Some(401 | 404 | 416 | 417)) && self.refused < REFUSALS;
        if failure.reason == Reason::Late {
            self.late += 1;
            if self.late == LATE {
                return Err(failure.into_error().context(NEVER_ANSWERED));
            }
        }
        if may_be_old {
            self.refused += 1;
        } else {
            self.retries.wait(failure)?;
        }
        loop {
            match self.ask() {
                Ok(offset) => {
                    self.resumed += u32::from(offset > 0);
                    self.arrive(offset);
                    return Ok(());
                }
                Err(failure) if failure.is_temporary() => self.retries.wait(failure)?,
                Err(failure) if failure.reason == Reason::Final => return Err(failure.into_error()),
                Err(failure) => {
                    if failure.status() != Some(404) {
                        abandon(self.session, &self.location);
                    }
                    self.location = start(self.session, self.work)?.location;
                    self.offset = 0;
                    return Ok(());
                }
            }
        }
    }

    /// Returns how many bytes the registry has.
    fn ask(&mut self) -> Result<u64, Failure> {
        match ask(self.session, &mut self.location, self.work)? {
            Some(offset) => Ok(offset),
            // A new upload certainly has no bytes.
            None => {
                abandon(self.session, &self.location);
                self.location = start(self.session, self.work)?.location;
                Ok(0)
            }
        }
    }
}
