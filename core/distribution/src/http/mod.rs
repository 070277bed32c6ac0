//! HTTP: one request at a time, described failures, and retries.

mod cause;
mod encoding;
mod exchange;
mod failure;
mod limits;
mod link;
mod pace;
mod range;
mod reach;
mod response;
mod retry;
mod transport;
mod url;

pub(crate) use failure::{Failure, Reason};
pub use limits::Timeouts;
pub(crate) use link::{next, parameter_value, warnings};
pub(crate) use pace::{Outgoing, Pace};
pub(crate) use range::{content_range_start, uploaded};
pub(crate) use reach::{Lead, Zone};
pub(crate) use response::Response;
pub use retry::RetryPolicy;
pub(crate) use retry::{Retries, run};
pub(crate) use transport::{Payload, Request, Tls, Transport};
pub(crate) use url::{Url, bounded, encode, host, is_loopback};
