//! The place of an error in an archive.

use std::fmt;
use std::io;

use longshore_oci::{Error, ErrorKind};

use super::entry::shown;

/// A header of an archive, as named in errors.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// What the header describes: a tar entry, a PAX header, a GNU long name.
    pub(super) what: &'static str,
    /// Its path, as far as known.
    pub(super) path: Vec<u8>,
    /// The offset of its header block in the archive, in bytes.
    pub(super) offset: u64,
}

impl Place {
    /// Returns the error for a malformed field of the header.
    pub(super) fn malformed(&self, field: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::input(format!("the {self} has a malformed `{field}`: {why}"))
    }

    /// Returns the error for a header that is valid by itself, but that readers interpret differently.
    pub(super) fn ambiguous(&self, why: impl fmt::Display) -> Error {
        Error::input(format!("the {self} {why}")).with_hint("readers disagree about it: recreate the archive")
    }

    /// Returns the error for an archive that ends too early, at byte `at`.
    pub(super) fn cut(&self, at: u64) -> Error {
        Error::input(format!("the tar archive ends early: at byte {at}, within the {self}"))
    }

    /// Returns an error of the input at byte `at`, which is in this entry or after it.
    pub(super) fn broken(&self, at: u64, error: io::Error) -> Error {
        let entry = if at == 0 { String::new() } else { format!(", after the start of the {self}") };
        Error::from(error).context(format!("cannot read the tar archive at byte {at}{entry}"))
    }

    /// Returns the error for an unsupported kind of header.
    pub(super) fn unsupported(&self, why: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Unsupported, format!("the {self} {why}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` at byte {}", self.what, shown(&self.path), self.offset)
    }
}
