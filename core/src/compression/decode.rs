//! Decompression, by the bytes themselves and not by a media type.

use std::io::{self, BufRead, BufReader, Read};

use longshore_oci::{Context, Error, ErrorKind, Result};

use super::Algorithm;

/// Largest accepted window of a zstd frame, as a power of two: 128 MiB, `zstd`'s own limit.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Detects the compression of bytes that begin with `start`.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for formats that no layer may have: xz, bzip2, lz4.
pub fn detect(start: &[u8]) -> Result<Algorithm> {
    let other = match start {
        [0x1f, 0x8b, ..] => return Ok(Algorithm::Gzip),
        // A frame, or a skippable frame (RFC 8878, section 3.1).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => return Ok(Algorithm::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [b'B', b'Z', b'h', ..] => "bzip2",
        [0x04, 0x22, 0x4d, 0x18, ..] => "lz4",
        _ => return Ok(Algorithm::Uncompressed),
    };
    Err(Error::new(ErrorKind::Unsupported, format!("compressed with {other}"))
        .with_hint("decompress it first, or use gzip or zstd"))
}

/// Reads `input` decompressed, whatever it is compressed with, and says what that is.
///
/// All members and frames are read as one stream. Memory is bounded by the window of the format.
///
/// # Errors
/// As [`detect`], and errors of the input.
pub fn decoder<'a>(input: impl Read + Send + 'a) -> Result<(Algorithm, Box<dyn Read + Send + 'a>)> {
    let mut input = BufReader::with_capacity(128 << 10, input);
    let algorithm = detect(input.fill_buf()?)?;
    let reader: Box<dyn Read + Send + 'a> = match algorithm {
        Algorithm::Uncompressed => Box::new(input),
        Algorithm::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Algorithm::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input).attempt(|| "cannot read zstd".to_owned())?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    };
    Ok((algorithm, Box::new(Decompressed { reader, algorithm })))
}

/// Reports undecodable input as corrupt; errors of the input itself pass unchanged.
struct Decompressed<R> {
    reader: R,
    algorithm: Algorithm,
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let is_of_input =
                error.raw_os_error().is_some() || error.get_ref().is_some_and(|error| error.is::<Error>());
            if is_of_input || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            Error::corrupt(format!("the {} data is damaged or truncated", self.algorithm)).with_source(error).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_cannot_read() {
        for (start, name) in [(&b"\xfd7zXZ\0"[..], "xz"), (b"BZh9", "bzip2"), (b"\x04\x22\x4d\x18", "lz4")] {
            let error = detect(start).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, &*format!("compressed with {name}")));
        }
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        for algorithm in [Algorithm::Gzip, Algorithm::Zstd] {
            let encoding = super::super::Encoding::new(algorithm, None).unwrap();
            let bytes = encoding.encode(&[7; 100_000]).unwrap();
            let mut out = Vec::new();
            let cut = decoder(&bytes[..bytes.len() - 5]).unwrap().1.read_to_end(&mut out);
            assert!(cut.is_err(), "{algorithm}");
        }
    }
}
