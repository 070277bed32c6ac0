//! gzip, as independent members that every reader of RFC 1952 takes as one stream.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use libdeflater::{CompressionLvl, Compressor};

use crate::error::{Error, ErrorKind, Result};

/// zlib's default, which people mean when they say nothing.
pub(super) const DEFAULT_LEVEL: i32 = 6;
/// libdeflate's levels: 0 stores, 10 and more search for the best encoding.
pub(super) const LEVELS: RangeInclusive<i32> = 0..=12;

/// What makes the bytes. It changes whenever a golden digest below does.
pub(super) const ENCODER: &str = "gzip libdeflate-1.26.1 members of 1048576";

/// Uncompressed bytes in a member. Part of what decides digests: never change it.
pub(super) const MEMBER: usize = 1 << 20;

/// Compresses `block` into one member for each MiB.
pub(super) fn encode(block: &[u8], level: i32) -> Result<Vec<u8>> {
    thread_local! {
        // A compressor is some hundred KiB of tables: one a thread, not one a block.
        static COMPRESSOR: RefCell<Option<(i32, Compressor)>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(of, _)| *of != level) {
            let valid = CompressionLvl::new(level).map_err(|error| failed(&format!("{error:?}")))?;
            *slot = Some((level, Compressor::new(valid)));
        }
        let Some((_, compressor)) = slot else { return Err(failed("no compressor")) };
        let mut out = Vec::new();
        for member in block.chunks(MEMBER) {
            let start = out.len();
            out.resize(start + compressor.gzip_compress_bound(member.len()), 0);
            let written = compressor.gzip_compress(member, &mut out[start..]);
            out.truncate(start + written.map_err(|error| failed(&error.to_string()))?);
        }
        Ok(out)
    })
}

fn failed(reason: &str) -> Error {
    Error::new(ErrorKind::Other, format!("cannot compress a block with gzip: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    /// A changed digest here means that every user's images change: it must be wanted and announced.
    #[test]
    fn golden_bytes() {
        let data: Vec<u8> = (0..2_500_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x3f).collect();
        let bytes = encode(&data, DEFAULT_LEVEL).unwrap();
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], "no name, no time, no system");
        assert_eq!(Digest::of(&bytes).short(), "836ffba16ab5");
    }
}
