//! Something between `longshore` and an engine, which interferes.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

/// Passes everything on, and does something once, before the first request that begins so.
pub(crate) struct Proxy(TempDir);

type Hook = Mutex<Option<Box<dyn FnOnce() + Send>>>;

impl Proxy {
    pub(crate) fn before(request: &'static str, host: &str, hook: impl FnOnce() + Send + 'static) -> Self {
        let place = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(place.path().join("socket")).unwrap();
        let engine = PathBuf::from(host.strip_prefix("unix://").unwrap());
        let hook: Arc<Hook> = Arc::new(Mutex::new(Some(Box::new(hook))));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (engine, hook) = (engine.clone(), hook.clone());
                // A side that is gone ends the connection.
                thread::spawn(move || pass(&client?, &engine, request, &hook));
            }
        });
        Self(place)
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.0.path().join("socket").display())
    }
}

fn pass(client: &UnixStream, engine: &Path, request: &str, hook: &Hook) -> io::Result<()> {
    let engine = UnixStream::connect(engine)?;
    let (mut back, mut answers) = (client.try_clone()?, engine.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let (mut client, mut engine) = (client, &engine);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return engine.shutdown(Shutdown::Write);
        }
        if buffer[..count].starts_with(request.as_bytes())
            && let Some(hook) = hook.lock().unwrap().take()
        {
            hook();
        }
        engine.write_all(&buffer[..count])?;
    }
}
