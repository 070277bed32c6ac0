//! The one error that crosses crate and process boundaries.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words that a program can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option, a flag or a destination as the caller wrote it.
    InvalidOption,
    /// Data handed in: a configuration, a tree, a layer, an archive.
    InvalidInput,
    /// A missing file, blob, name or platform.
    NotFound,
    /// The system or a registry refused.
    Denied,
    /// Valid, but not supported by this version.
    Unsupported,
    /// Bytes that do not have the digest or size they claim.
    Corrupt,
    /// Temporarily unreachable, or locked by another process.
    Unavailable,
    /// No space left where the bytes were going.
    NoSpace,
    /// The caller cancelled the operation.
    Cancelled,
    /// Anything else, such as an I/O error.
    Other,
}

/// An error: what was attempted and on what, why it failed, and what to do.
///
/// A struct and not an enum, because third-party exporters cannot add variants. The message is one
/// line in lower case without a full stop; the cause is its [`source`](StdError::source). Clones are returned
/// to several outputs when a layer that all of them wait for fails.
///
/// ```
/// use longshore_oci::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "cannot read layer sha256:ab…: no such blob")
///     .with_hint("import the base image first");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.hint(), Some("import the base image first"));
/// ```
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    retryable: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error that is not worth retrying.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), hint: None, retryable: false, source: None }))
    }

    /// Creates an error of kind [`ErrorKind::InvalidOption`].
    pub fn option(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidOption, message)
    }

    /// Creates an error of kind [`ErrorKind::InvalidInput`].
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Creates an error of kind [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Returns the error of an operation that was cancelled.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// Adds a hint on what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Marks that the same call may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// Wraps the error in a message on what was attempted: kind and hint stay, this error becomes the cause.
    #[must_use]
    pub fn context(self, attempted: impl Into<String>) -> Self {
        // A cancelled run says so once, not once per layer of the call stack.
        if self.kind() == ErrorKind::Cancelled {
            return self;
        }
        let mut outer = Self::new(self.kind(), attempted);
        outer.0.hint.clone_from(&self.0.hint);
        outer.0.retryable = self.0.retryable;
        outer.with_source(self)
    }

    /// Returns the kind of the error, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns what was attempted and why it failed, in one line, without the cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the message and those of all causes, in one line.
    pub fn with_causes(&self) -> String {
        let mut line = self.message().to_owned();
        let mut cause = self.source();
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        line
    }

    /// Returns the hint on what to do, if any.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Unwraps an error of ours that travelled through a `Read` or `Write`.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(foreign) => {
                let kind = match foreign.kind() {
                    io::ErrorKind::NotFound => ErrorKind::NotFound,
                    io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
                    _ => ErrorKind::Other,
                };
                Self::new(kind, plain_words(&foreign.to_string()))
            }
        }
    }
}

/// Returns a system message in our style: lower case, without the error number.
fn plain_words(text: &str) -> String {
    let text = text.find(" (os error").map_or(text, |at| &text[..at]);
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// Wraps an error to pass it through `Read` and `Write`; [`Error::from`] unwraps it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// Adds what was attempted to the error of a result.
pub trait Context<T> {
    /// Puts `attempted` in front of the error, as `cannot open /etc/x: permission denied`.
    ///
    /// # Errors
    /// The error of `self`, with its kind and hint.
    fn attempt(self, attempted: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn attempt(self, attempted: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().context(attempted()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_through_io_unchanged() {
        let before = Error::corrupt("blob sha256:00: wrong size").with_hint("fetch it again");
        let after = Error::from(io::Error::from(before));
        assert_eq!(after.kind(), ErrorKind::Corrupt);
        assert_eq!(after.message(), "blob sha256:00: wrong size");
        assert_eq!(after.hint(), Some("fetch it again"));
    }

    #[test]
    fn context_keeps_kind_hint_and_cause() {
        let error = Err::<(), _>(Error::input("bad").with_hint("do this")).attempt(|| "cannot do that".into());
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.hint()), (ErrorKind::InvalidInput, Some("do this")));
        assert_eq!(error.source().unwrap().to_string(), "bad");
    }

    #[test]
    fn a_full_disk_has_its_own_kind_and_so_has_a_full_quota() {
        for (errno, message) in
            [(rustix::io::Errno::NOSPC, "no space left on device"), (rustix::io::Errno::DQUOT, "disk quota exceeded")]
        {
            let error = Error::from(errno);
            assert_eq!((error.kind(), error.message()), (ErrorKind::NoSpace, message));
        }
    }
}
