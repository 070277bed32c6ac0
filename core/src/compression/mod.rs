//! Compression of layers: independent blocks, so that the bytes do not depend on the number of threads.

mod decode;
mod gzip;
mod stream;
mod zstd;

use std::borrow::Cow;
use std::fmt;

use longshore_oci::{Error, Result};

pub use decode::{decoder, detect};
/// How layers are compressed: a word of the documents.
pub use longshore_oci::Algorithm;
pub use stream::Compressor;

use crate::options::{Value, choice_syntax, parse_choice};

impl Value for Algorithm {
    fn syntax() -> Cow<'static, str> {
        choice_syntax::<Self>()
    }

    fn parse(text: &str) -> Result<Self> {
        parse_choice(text)
    }
}

/// Bytes of a tar stream that are compressed, hashed and written together. It determines the digests of
/// zstd layers: never change it.
pub(crate) const BLOCK: usize = 4 << 20;

/// An algorithm and its level: everything that determines the bytes of a compressed layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    algorithm: Algorithm,
    level: i32,
}

impl Encoding {
    /// Checks that `algorithm` has `level`; `None` is its default.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) with the levels that there are.
    pub fn new(algorithm: Algorithm, level: Option<i32>) -> Result<Self> {
        let (default, levels) = match algorithm {
            Algorithm::Gzip => (gzip::DEFAULT_LEVEL, gzip::LEVELS),
            Algorithm::Zstd => (zstd::DEFAULT_LEVEL, zstd::LEVELS),
            Algorithm::Uncompressed => {
                return match level {
                    Some(_) => Err(Error::option("compression=uncompressed has no level")
                        .with_hint("leave out compression-level, or choose gzip or zstd")),
                    None => Ok(Self { algorithm, level: 0 }),
                };
            }
        };
        let level = level.unwrap_or(default);
        if !levels.contains(&level) {
            let (first, last) = (levels.start(), levels.end());
            return Err(Error::option(format!("compression={algorithm} has no level {level}"))
                .with_hint(format!("its levels are {first} to {last}, the default is {default}")));
        }
        Ok(Self { algorithm, level })
    }

    /// Returns the algorithm.
    pub fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// Returns the level; 0 if the algorithm has none.
    pub fn level(self) -> i32 {
        self.level
    }

    /// Returns the encoder, its version and its parameters: everything that determines the bytes of a layer it
    /// builds.
    pub fn encoder(self) -> String {
        let Self { algorithm, level } = self;
        match algorithm {
            Algorithm::Uncompressed => "tar".to_owned(),
            Algorithm::Gzip => format!("{} level {level}", gzip::ENCODER),
            Algorithm::Zstd => format!("{} level {level}", zstd::ENCODER),
        }
    }

    /// Returns how many bytes are compressed together, independently of all others; `None` without compression.
    pub(crate) fn part(self) -> Option<usize> {
        match self.algorithm {
            Algorithm::Uncompressed => None,
            Algorithm::Gzip => Some(gzip::MEMBER),
            Algorithm::Zstd => Some(BLOCK),
        }
    }

    /// Compresses one block of a layer. Blocks follow each other without anything between them, and
    /// the same block gives the same bytes on every machine.
    ///
    /// # Errors
    /// The library failed, which is a defect and not the fault of any input.
    pub fn encode(self, block: &[u8]) -> Result<Vec<u8>> {
        match self.algorithm {
            Algorithm::Uncompressed => Ok(block.to_vec()),
            Algorithm::Gzip => gzip::encode(block, self.level),
            Algorithm::Zstd => zstd::encode(block, self.level),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.algorithm {
            Algorithm::Uncompressed => f.write_str("uncompressed"),
            algorithm => write!(f, "{algorithm}, level {}", self.level),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use strum::IntoEnumIterator;

    #[test]
    fn every_level_of_every_algorithm_decodes() {
        let data: Vec<u8> = (0..3_000_000u32).map(|i| (i / 7 % 251) as u8).collect();
        for algorithm in Algorithm::iter() {
            let levels = (-1..30).filter_map(|level| Encoding::new(algorithm, Some(level)).ok());
            let default = Encoding::new(algorithm, None).unwrap();
            for encoding in levels.step_by(3).chain([default]) {
                let blocks: Vec<u8> = data.chunks(1 << 21).flat_map(|block| encoding.encode(block).unwrap()).collect();
                assert_eq!(detect(&blocks).unwrap(), algorithm);
                let mut decoded = Vec::new();
                decoder(&blocks[..]).unwrap().1.read_to_end(&mut decoded).unwrap();
                assert!(decoded == data, "{encoding:?}");
            }
        }
    }

    #[test]
    fn levels_are_checked() {
        let hint = |algorithm, level| Encoding::new(algorithm, Some(level)).unwrap_err().hint().unwrap().to_owned();
        assert_eq!(hint(Algorithm::Zstd, 23), "its levels are 1 to 22, the default is 3");
        assert_eq!(hint(Algorithm::Gzip, -1), "its levels are 0 to 12, the default is 6");
        assert!(hint(Algorithm::Uncompressed, 0).starts_with("leave out"));
    }
}
