//! gzip, as independent members that every reader of RFC 1952 reads as one stream.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use libdeflater::{CompressionLvl, Compressor};
use longshore_oci::{Error, ErrorKind, Result};

/// zlib's default, which users expect without an option.
pub(super) const DEFAULT_LEVEL: i32 = 6;
/// libdeflate's levels: 0 stores, 10 and above search for the best encoding.
pub(super) const LEVELS: RangeInclusive<i32> = 0..=12;

/// Identifies the encoding. It changes whenever a golden digest below does.
pub(super) const ENCODER: &str = "gzip libdeflate-1.26.1 members of 1048576, stored if samples do not shrink";

/// Uncompressed bytes per member. It determines digests: never change it.
pub(super) const MEMBER: usize = 1 << 20;

/// Levels from here on search for the best encoding at any cost.
const THOROUGH: i32 = 10;

/// Compresses `block` into one member for each MiB.
pub(super) fn encode(block: &[u8], level: i32) -> Result<Vec<u8>> {
    thread_local! {
        // A compressor takes hundreds of KiB for tables: one per thread, not one per block.
        static COMPRESSORS: RefCell<Option<Compressors>> = const { RefCell::new(None) };
    }
    COMPRESSORS.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|compressors| compressors.level != level) {
            *slot = Some(Compressors::new(level)?);
        }
        let Some(compressors) = slot else { return Err(failed("no compressor")) };
        let mut out = Vec::new();
        for member in block.chunks(MEMBER) {
            let compressor = compressors.suited_to(member)?;
            let start = out.len();
            out.resize(start + compressor.gzip_compress_bound(member.len()), 0);
            let written = compressor.gzip_compress(member, &mut out[start..]);
            out.truncate(start + written.map_err(|error| failed(&error.to_string()))?);
        }
        Ok(out)
    })
}

/// The compressors of one level.
struct Compressors {
    level: i32,
    compressor: Compressor,
    /// Level 1, for samples.
    sampler: Compressor,
    /// Level 0, for incompressible data.
    storer: Compressor,
    sample: Vec<u8>,
}

impl Compressors {
    fn new(level: i32) -> Result<Self> {
        let new = |level| -> Result<Compressor> {
            let valid = CompressionLvl::new(level).map_err(|error| failed(&format!("{error:?}")))?;
            Ok(Compressor::new(valid))
        };
        Ok(Self { level, compressor: new(level)?, sampler: new(1)?, storer: new(0)?, sample: Vec::new() })
    }

    /// Already compressed data, such as packages and pictures, takes longest and gains nothing.
    fn suited_to(&mut self, member: &[u8]) -> Result<&mut Compressor> {
        let is_sampled = (1..THOROUGH).contains(&self.level) && member.len() >= SAMPLED;
        Ok(if is_sampled && !self.shrinks(member)? { &mut self.storer } else { &mut self.compressor })
    }

    /// Returns whether any sample of `member` shrinks by more than 1 %.
    fn shrinks(&mut self, member: &[u8]) -> Result<bool> {
        let small = (0..SMALL_SAMPLES).map(|number| (member.len() / SMALL_SAMPLES * number, SMALL_SAMPLE));
        for (start, length) in small.chain([(member.len() / 2, LARGE_SAMPLE)]) {
            let sample = &member[start..member.len().min(start + length)];
            self.sample.resize(self.sampler.deflate_compress_bound(sample.len()), 0);
            let written = self.sampler.deflate_compress(sample, &mut self.sample);
            if written.map_err(|error| failed(&error.to_string()))? < sample.len() - sample.len() / 100 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Members of at least this size are sampled; smaller ones take no time.
const SAMPLED: usize = 256 << 10;
const SMALL_SAMPLES: usize = 16;
const SMALL_SAMPLE: usize = 4 << 10;
/// Twice deflate's window, to include repetitions within it.
const LARGE_SAMPLE: usize = 64 << 10;

fn failed(reason: &str) -> Error {
    Error::new(ErrorKind::Other, format!("cannot compress a block with gzip: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::Digest;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    /// A changed digest here means that every user's images change: it must be wanted and announced.
    #[test]
    fn golden_bytes() {
        let data: Vec<u8> = (0..2_500_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x3f).collect();
        let bytes = encode(&data, DEFAULT_LEVEL).unwrap();
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], "no name, no time, no system");
        assert_eq!(Digest::of(&bytes).short(), "836ffba16ab5");
        // A MiB that does not shrink, and the same with a page of zeros where a sample looks.
        let mut noise = noise(MEMBER);
        let stored = encode(&noise, DEFAULT_LEVEL).unwrap();
        assert!(stored.len() > MEMBER);
        assert_eq!(Digest::of(&stored).short(), "858c2970560d");
        noise[..SMALL_SAMPLE].fill(0);
        assert!(encode(&noise, DEFAULT_LEVEL).unwrap().len() < MEMBER - SMALL_SAMPLE / 2);
    }

    #[test]
    fn noise_that_repeats_is_compressed() {
        let data: Vec<u8> = noise(8192).into_iter().cycle().take(MEMBER).collect();
        assert!(encode(&data, DEFAULT_LEVEL).unwrap().len() < MEMBER / 4);
    }
}
