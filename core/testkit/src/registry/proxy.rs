//! A proxy that breaks connections.

use std::collections::VecDeque;
use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::server::{Server, Stop, listen};

/// How long a cut waits for the server to notice. A client that came back sooner would get an
/// offset that does not include bytes still being received.
const NOTICE: Duration = Duration::from_millis(250);

/// A TCP proxy before a server of any kind, which runs until it is dropped.
pub struct Proxy {
    traffic: Arc<Traffic>,
    server: Server,
    host: String,
}

impl Proxy {
    /// Passes everything on to `upstream`.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Self {
        let (listener, address) = listen();
        let traffic = Arc::new(Traffic::default());
        let passing = traffic.clone();
        let server = Server::start(listener, move |client, stop| passing.pass(client, upstream, stop));
        Self { traffic, server, host: address.to_string() }
    }

    /// Returns its host and port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns its host and port as a socket address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Passes that many bytes from clients on and cuts the connection that brought the last of them,
    /// then does so again with the next number. The bytes of all connections since the last cut, or
    /// since this call, count together. The client sees the cut once the server has, or 250 ms later.
    pub fn cut_after(&self, thresholds: Vec<u64>) {
        *self.traffic.cuts.lock() = Cuts { left: thresholds.into() };
    }

    /// Cuts that have not happened yet.
    pub fn cuts_left(&self) -> usize {
        self.traffic.cuts.lock().left.len()
    }

    /// Bytes from clients so far.
    pub fn sent(&self) -> u64 {
        self.traffic.sent.load(Ordering::Relaxed)
    }

    /// Bytes to clients so far.
    pub fn received(&self) -> u64 {
        self.traffic.received.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, received) = (self.sent(), self.received());
        let mut proxy = f.debug_struct("Proxy");
        proxy.field("host", &self.host).field("sent", &sent).field("received", &received).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Traffic {
    cuts: Mutex<Cuts>,
    sent: AtomicU64,
    received: AtomicU64,
}

#[derive(Default)]
struct Cuts {
    /// The rest of the current threshold, and the following ones.
    left: VecDeque<u64>,
}

impl Cuts {
    /// Returns how many of `count` bytes are forwarded, and whether the connection is cut afterwards.
    fn take(&mut self, count: usize) -> (usize, bool) {
        let Some(left) = self.left.front_mut() else { return (count, false) };
        let passed = count.min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= passed as u64;
        let cut = *left == 0;
        if cut {
            self.left.pop_front();
        }
        (passed, cut)
    }
}

impl Traffic {
    fn pass(&self, client: &TcpStream, upstream: SocketAddr, stop: &Stop) {
        let Ok(server) = TcpStream::connect(upstream) else { return };
        let _ = server.set_nodelay(true);
        let Some(_held) = stop.hold(&server) else { return };
        let cut = AtomicBool::new(false);
        let (open, ended) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| self.down(&server, client, &cut, open));
            self.up(client, &server, &cut, &ended);
        });
    }

    fn up(&self, mut client: &TcpStream, mut server: &TcpStream, is_cut: &AtomicBool, ended: &Receiver<()>) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            let (passed, cut) = self.cuts.lock().take(count);
            self.sent.fetch_add(passed as u64, Ordering::Relaxed);
            is_cut.store(cut, Ordering::SeqCst);
            let written = server.write_all(&buffer[..passed]);
            if cut && server.shutdown(Shutdown::Write).is_ok() {
                let _ = ended.recv_timeout(NOTICE);
            }
            if cut || written.is_err() {
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
                return;
            }
        }
        let _ = server.shutdown(Shutdown::Write);
    }

    /// Passes on the server's output; dropping `_open` tells that it has closed the connection.
    fn down(&self, mut server: &TcpStream, mut client: &TcpStream, cut: &AtomicBool, _open: Sender<()>) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            if cut.load(Ordering::SeqCst) {
                continue;
            }
            self.received.fetch_add(count as u64, Ordering::Relaxed);
            if client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Write);
    }
}
