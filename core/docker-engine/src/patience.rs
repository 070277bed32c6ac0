//! Engines that respond before they have read a whole request: one that refuses an archive says why, and closes the
//! connection. The rest of the request goes nowhere then, and the response is read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Whether the engine has stopped reading the request.
pub(crate) type Stopped = Arc<AtomicBool>;

/// Adds this to connections.
#[derive(Debug)]
pub(crate) struct Patience {
    pub(crate) stopped: Stopped,
}

/// A connection that tells whether the engine has stopped reading.
#[derive(Debug)]
pub(crate) struct Patient<T> {
    inner: T,
    stopped: Stopped,
}

impl<T: Transport> Connector<T> for Patience {
    type Out = Patient<T>;

    fn connect(&self, _: &ConnectionDetails<'_>, inner: Option<T>) -> Result<Option<Patient<T>>, ureq::Error> {
        Ok(inner.map(|inner| Patient { inner, stopped: self.stopped.clone() }))
    }
}

impl<T: Transport> Transport for Patient<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if self.stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        match self.inner.transmit_output(amount, timeout) {
            Err(ureq::Error::Io(error))
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                self.stopped.store(true, Ordering::SeqCst);
                Ok(())
            }
            sent => sent,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        !self.stopped.load(Ordering::SeqCst) && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
