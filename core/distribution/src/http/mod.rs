//! HTTP: one request at a time, its failures in words, and when to try again.

mod failure;
mod retry;
mod transport;
mod url;

pub(crate) use failure::{Failure, Reason};
pub use retry::RetryPolicy;
pub(crate) use retry::{Retries, run};
pub use transport::Timeouts;
pub(crate) use transport::{Payload, Request, Response, Tls, Transport};
pub(crate) use url::{Url, bounded, encode, is_loopback};
