//! An engine that follows a script.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use longshore_docker_engine::Endpoint;
use tempfile::TempDir;

/// A request that has arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// The request line and the headers, in lower case.
    pub head: Vec<String>,
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

/// The response to a request, after which the connection is closed.
#[derive(Debug, Clone)]
pub struct Reply {
    bytes: Vec<u8>,
    is_early: bool,
    waits: bool,
}

impl Reply {
    pub fn raw(text: impl Into<String>) -> Self {
        Self { bytes: text.into().into_bytes(), is_early: false, waits: false }
    }

    pub fn status(status: u16, body: &str) -> Self {
        Self::bytes(status, body.as_bytes().to_vec())
    }

    pub fn bytes(status: u16, body: Vec<u8>) -> Self {
        let head = format!("HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        Self { bytes: [head.into_bytes(), body].concat(), is_early: false, waits: false }
    }

    /// Responds once the head of the request is there.
    pub fn before_the_body(self) -> Self {
        Self { is_early: true, ..self }
    }

    /// Leaves the connection open, until the client closes it.
    pub fn and_waits(self) -> Self {
        Self { waits: true, ..self }
    }
}

pub fn json(body: &str) -> Reply {
    Reply::status(200, body)
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running engine.
pub struct Fake {
    place: TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let fake = Self { place: tempfile::tempdir().unwrap(), requests: Arc::default() };
        let listener = UnixListener::bind(fake.place.path().join("socket")).unwrap();
        let (requests, script): (_, Arc<Script>) = (fake.requests.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (requests, script) = (requests.clone(), script.clone());
                // A client that is gone is no failure here.
                thread::spawn(move || serve(&stream?, &requests, &*script));
            }
        });
        fake
    }

    pub fn endpoint(&self) -> Endpoint {
        format!("unix://{}", self.place.path().join("socket").display()).parse().unwrap()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The last request, whose body may have broken off: it is recorded once the client has closed the connection.
    pub fn last(&self) -> Request {
        loop {
            if let Some(last) = self.requests().pop() {
                return last;
            }
            thread::yield_now();
        }
    }
}

fn serve(mut stream: &UnixStream, requests: &Mutex<Vec<Request>>, script: &Script) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut words = head[0].split(' ').map(ToOwned::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let head = head.into_iter().map(|line| line.to_lowercase()).collect::<Vec<_>>();
    let is_chunked = head.iter().any(|line| line == "transfer-encoding: chunked");
    let mut request = Request { method, path, head, body: Vec::new(), is_whole: !is_chunked };
    let reply = script(&request);
    if !reply.is_early && is_chunked {
        let read = chunks(&mut reader, &mut request.body);
        request.is_whole = read.is_ok();
        requests.lock().unwrap().push(request);
        read?;
    } else {
        requests.lock().unwrap().push(request);
    }
    stream.write_all(&reply.bytes)?;
    if reply.waits {
        io::copy(&mut reader, &mut io::sink())?;
    }
    Ok(())
}

fn chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        if reader.by_ref().take(size).read_to_end(body)? as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(());
        }
    }
}
