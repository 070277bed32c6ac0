//! zstd, as independent frames that every reader of RFC 8878 reads as one stream.

use std::cell::RefCell;
use std::io;
use std::ops::RangeInclusive;

use longshore_oci::{Error, ErrorKind, Result};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// zstd's own default.
pub(super) const DEFAULT_LEVEL: i32 = 3;
/// Identifies the encoding. It changes whenever a golden digest below does.
pub(super) const ENCODER: &str = "zstd libzstd-1.5.7 frames of 4194304";
/// zstd's documented levels. The window never exceeds a block, so every reader accepts all of them.
pub(super) const LEVELS: RangeInclusive<i32> = 1..=22;

/// Compresses `block` into one frame with a checksum and its content size.
pub(super) fn encode(block: &[u8], level: i32) -> Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    }
    let compressed = COMPRESSOR.with_borrow_mut(|slot| -> io::Result<Vec<u8>> {
        if slot.as_ref().is_none_or(|(of, _)| *of != level) {
            let mut compressor = Compressor::new(level)?;
            compressor.set_parameter(CParameter::ChecksumFlag(true))?;
            *slot = Some((level, compressor));
        }
        let Some((_, compressor)) = slot else { return Err(io::Error::other("no compressor")) };
        compressor.compress(block)
    });
    compressed.map_err(|error| Error::new(ErrorKind::Other, "cannot compress a block with zstd").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::Digest;

    /// A changed digest here means that every user's images change: it must be wanted and announced.
    #[test]
    fn golden_bytes() {
        let data: Vec<u8> = (0..2_500_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x3f).collect();
        assert_eq!(Digest::of(&encode(&data, DEFAULT_LEVEL).unwrap()).short(), "77f5897d8634");
    }
}
