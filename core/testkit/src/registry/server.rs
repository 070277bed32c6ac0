//! Threads for connections, which all end when the server is dropped.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Returns a listener on a random local port.
pub(super) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("the port that was bound");
    (listener, address)
}

pub(super) struct Server {
    address: SocketAddr,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Calls `serve` on its own thread for every connection.
    pub(super) fn start(listener: TcpListener, serve: impl Fn(&TcpStream, &Stop) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("the port that was bound");
        let stop = Arc::new(Stop::default());
        let accepting = stop.clone();
        let thread = thread::spawn(move || accept(&listener, &accepting, &serve));
        Self { address, stop, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.stop();
        // `accept` has no time limit: this wakes it.
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            // A panic has been reported by its thread.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, stop: &Stop, serve: &(impl Fn(&TcpStream, &Stop) + Send + Sync)) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            if stop.sockets.lock().stopped {
                break;
            }
            let Ok(stream) = stream else { continue };
            scope.spawn(move || {
                // The last bytes of a fault must not wait for earlier ones.
                let _ = stream.set_nodelay(true);
                if let Some(_held) = stop.hold(&stream) {
                    serve(&stream, stop);
                }
            });
        }
    });
}

/// Tells the threads of a server to end, and cuts their connections.
#[derive(Default)]
pub(super) struct Stop {
    sockets: Mutex<Sockets>,
    stopped: Condvar,
}

#[derive(Default)]
struct Sockets {
    stopped: bool,
    last: u64,
    open: HashMap<u64, TcpStream>,
}

impl Stop {
    /// Cuts `stream` when the server stops or the guard is dropped; `None` if the server has stopped.
    pub(super) fn hold(&self, stream: &TcpStream) -> Option<Held<'_>> {
        let copy = stream.try_clone().ok()?;
        let mut sockets = self.sockets.lock();
        if sockets.stopped {
            return None;
        }
        sockets.last += 1;
        let id = sockets.last;
        sockets.open.insert(id, copy);
        Some(Held { stop: self, id })
    }

    /// Sleeps for `time`, or until the server stops.
    pub(super) fn sleep(&self, time: Duration) {
        let mut sockets = self.sockets.lock();
        self.stopped.wait_while_for(&mut sockets, |sockets| !sockets.stopped, time);
    }

    /// Waits until the server stops.
    pub(super) fn wait(&self) {
        self.stopped.wait_while(&mut self.sockets.lock(), |sockets| !sockets.stopped);
    }

    fn stop(&self) {
        let mut sockets = self.sockets.lock();
        sockets.stopped = true;
        self.stopped.notify_all();
        for stream in sockets.open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A connection that is cut on drop.
pub(super) struct Held<'a> {
    stop: &'a Stop,
    id: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.stop.sockets.lock().open.remove(&self.id) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
