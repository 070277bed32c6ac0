//! Content digests: a string that has passed [`Digest::from_str`] is safe as a path and as a URL.

use std::fmt;
use std::io;
use std::str::FromStr;

use ring::digest::{Context, SHA256};
use sha2::{Digest as _, Sha512};

use crate::error::{Error, ErrorKind};

/// A hash function that this version can check.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum DigestAlgorithm {
    /// SHA-256, used for all new content.
    Sha256,
    /// SHA-512, accepted in existing content.
    Sha512,
}

impl DigestAlgorithm {
    fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The digest of a blob, such as `sha256:44136f…` (image-spec, descriptor.md, "Digests").
///
/// It always has a known algorithm and lower-case hex of the right length, so its users need no further checks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    hex: Box<str>,
}

impl Digest {
    /// Returns the SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::sha256();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Returns the hash function.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Returns the hash in lower-case hex.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Returns the first 12 hex digits, for display.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }

    /// Returns the path of the blob in an image layout: `blobs/sha256/44136f…`.
    pub fn layout_path(&self) -> String {
        format!("blobs/{}/{}", self.algorithm, self.hex)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::input(format!("`{}` is not a digest", text.escape_debug()));
        let (name, hex) = text.split_once(':').ok_or_else(invalid)?;
        if name.is_empty() || hex.is_empty() {
            return Err(invalid());
        }
        let algorithm = DigestAlgorithm::from_str(name).map_err(|_| {
            Error::new(ErrorKind::Unsupported, format!("digest `{}`: unsupported algorithm", text.escape_debug()))
                .with_hint("sha256 and sha512 can be checked")
        })?;
        let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || hex.len() != algorithm.hex_length() {
            return Err(invalid());
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a digest incrementally.
#[derive(Clone)]
pub struct Hasher(State);

/// SHA-256 is `ring`'s: it hashes every byte, and without SHA instructions is almost twice as fast as the
/// portable code of `sha2`, which suffices for the rare SHA-512.
#[derive(Clone)]
enum State {
    Sha256(Context),
    Sha512(Sha512),
}

impl Hasher {
    /// Creates a hasher for new content.
    pub fn sha256() -> Self {
        Self::new(DigestAlgorithm::Sha256)
    }

    /// Creates a hasher for checking a digest of `algorithm`.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self(match algorithm {
            DigestAlgorithm::Sha256 => State::Sha256(Context::new(&SHA256)),
            DigestAlgorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the digest of all hashed bytes.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => digest(DigestAlgorithm::Sha256, state.finish().as_ref()),
            State::Sha512(state) => digest(DigestAlgorithm::Sha512, &state.finalize()),
        }
    }
}

/// Hashes what is written.
impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

fn digest(algorithm: DigestAlgorithm, hash: &[u8]) -> Digest {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(hash.len() * 2);
    for byte in hash {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Digest { algorithm, hex: hex.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_known_bytes() {
        let empty_object = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(Digest::of(b"{}").to_string(), empty_object);
        assert_eq!(empty_object.parse::<Digest>().unwrap(), Digest::of(b"{}"));
    }

    #[test]
    fn refuses_what_is_not_a_digest() {
        let long = format!("sha256:{}", "a".repeat(65));
        let upper = format!("sha256:{}", "A".repeat(64));
        let path = format!("sha256:../../{}", "a".repeat(58));
        for text in ["", "sha256", "sha256:", ":abc", "sha256:abc", &long, &upper, &path] {
            assert_eq!(text.parse::<Digest>().unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
        let other = format!("md5:{}", "a".repeat(32));
        assert_eq!(other.parse::<Digest>().unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
