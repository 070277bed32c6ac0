//! A connection of a client: its requests, one after the other.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::body::Body;
use super::fault::{self, Fault};
use super::http::{Answer, Failure, Head};
use super::routes;
use super::server::Stop;
use super::state::Shared;

/// Responds to requests until the connection has to end.
pub(super) fn serve(shared: &Shared, stream: &TcpStream, stop: &Stop) {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    while exchange(shared, &mut reader, stream, stop) {}
}

/// Responds to a request, and returns whether the connection stays open.
fn exchange(shared: &Shared, reader: &mut dyn BufRead, stream: &TcpStream, stop: &Stop) -> bool {
    let mut head = match Head::read(reader) {
        Ok(Some(head)) => head,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return refuse(stream, &Answer::error(400, "UNKNOWN", "invalid request"));
        }
        Ok(None) | Err(_) => return false,
    };
    let fault = fault::next(&mut shared.rules.lock(), &head);
    let (id, received) = shared.record(&head);
    if fault.stall {
        stop.wait();
        return false;
    }
    if fault.lose_blobs {
        shared.state().repositories.values_mut().for_each(|repository| repository.blobs.clear());
    }
    if let Some((text, times, pause)) = &fault.interim
        && !interrupt(stream, text, *times, *pause, stop)
    {
        return false;
    }
    if let Some(bytes) = &fault.raw {
        let mut stream = stream;
        let _ = stream.write_all(bytes);
        linger(stream);
        return false;
    }
    if fault.ignore_range {
        head.headers.retain(|(name, _)| name != "range");
    }
    let mut body = match Body::new(&head, reader, stream, &received) {
        Ok(body) => body,
        Err(answer) => {
            shared.complete(id, answer.status);
            return refuse(stream, &answer);
        }
    };
    body.limit(shared.options.max_body, fault.request_bytes);
    body.slow_down(fault.take_slowly);
    let outcome = fault.answer().map_or_else(|| routes::answer(shared, &head, &mut body), Ok);
    let answer = match outcome {
        Ok(answer) | Err(Failure::Refused(answer)) => Some(fault.apply(answer)),
        Err(Failure::Broken) => None,
    };
    if let Some(time) = fault.delay {
        stop.sleep(time);
    }
    let status = answer.as_ref().map_or(0, |answer| if fault.cuts() { 0 } else { answer.status });
    shared.complete(id, status);
    let Some(answer) = answer.filter(|_| !fault.unanswered && fault.request_bytes.is_none()) else { return false };
    let close = body.is_unread() || head.closes();
    if send(stream, &answer, &fault, head.method == "HEAD", close, stop).is_err() || fault.cuts() {
        return false;
    }
    if body.is_unread() {
        linger(stream);
    }
    !close
}

/// Sends interim responses, and returns whether the client still listens.
fn interrupt(mut stream: &TcpStream, text: &str, times: u32, pause: Duration, stop: &Stop) -> bool {
    for _ in 0..times {
        if stream.write_all(text.as_bytes()).is_err() {
            return false;
        }
        if !pause.is_zero() {
            stop.sleep(pause);
        }
    }
    true
}

/// Responds to a request with an unknown end.
fn refuse(stream: &TcpStream, answer: &Answer) -> bool {
    if send(stream, answer, &Fault::default(), false, true, &Stop::default()).is_ok() {
        linger(stream);
    }
    false
}

fn send(
    mut stream: &TcpStream,
    answer: &Answer,
    fault: &Fault,
    head_only: bool,
    close: bool,
    stop: &Stop,
) -> io::Result<()> {
    match fault.trickle_head {
        None => answer.write_head(&mut stream, close)?,
        Some((bytes, pause)) => {
            let mut head = Vec::new();
            answer.write_head(&mut head, close)?;
            for piece in head.chunks(bytes) {
                stream.write_all(piece)?;
                stop.sleep(pause);
            }
        }
    }
    let content = if head_only { &[] } else { answer.content() };
    let content = &content[..content.len().min(fault.response_bytes.unwrap_or(usize::MAX))];
    let Some((bytes, pause)) = fault.trickle else { return stream.write_all(content) };
    for piece in content.chunks(bytes) {
        stream.write_all(piece)?;
        stop.sleep(pause);
    }
    Ok(())
}

/// Reads on for a moment after a response before the end of the body: closing immediately would reset
/// the connection, and the client might never see the response (RFC 9112 section 9.6).
fn linger(mut stream: &TcpStream) {
    let until = Instant::now() + Duration::from_secs(1);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut buffer = vec![0; 1 << 16];
    while Instant::now() < until && stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}
