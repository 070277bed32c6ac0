//! The tar archive of a layer, put together from tar-split and files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, Digest as Crc};
use longshore_core::{Context, Error, ErrorKind, Result};

use crate::directory::Directory;
use crate::tar_split::{Part, Parts};

/// Reads the archive. Each file is checked against its size and CRC-64; the whole is not.
pub(crate) struct TarReader<R> {
    parts: Parts<R>,
    files: Files,
    state: State,
}

/// Where the content of files comes from.
pub(crate) enum Files {
    /// The files below this directory.
    In(Directory),
    /// Nowhere: zeros stand for it.
    Zeros,
}

enum State {
    Segment { bytes: Vec<u8>, at: usize },
    File(Content),
    Zeros { left: u64 },
    Ended,
}

/// A file that is being read.
struct Content {
    file: File,
    name: Vec<u8>,
    left: u64,
    crc: Crc,
    expected: u64,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(tar_split: R, files: Files) -> Self {
        Self { parts: Parts::new(tar_split), files, state: State::Segment { bytes: Vec::new(), at: 0 } }
    }

    fn next_state(&mut self) -> Result<State> {
        Ok(match (self.parts.next_part()?, &self.files) {
            (None, _) => State::Ended,
            (Some(Part::Segment(bytes)), _) => State::Segment { bytes, at: 0 },
            (Some(Part::File { size, .. }), Files::Zeros) => State::Zeros { left: size },
            (Some(Part::File { name, size, crc }), Files::In(directory)) => {
                let opened = open(directory, &name, size);
                let file = opened.attempt(|| format!("cannot read {}", shown(directory, &name)))?;
                State::File(Content { file, name, left: size, crc: Crc::new(CrcAlgorithm::Crc64GoIso), expected: crc })
            }
        })
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = match &mut self.state {
                State::Segment { bytes, at } => {
                    let count = (&bytes[*at..]).read(buffer)?;
                    *at += count;
                    count
                }
                State::Zeros { left } => {
                    let count = most(buffer.len(), *left);
                    buffer[..count].fill(0);
                    *left -= count as u64;
                    count
                }
                State::File(content) => content.read(buffer, &self.files)?,
                State::Ended => return Ok(0),
            };
            if count > 0 {
                return Ok(count);
            }
            self.state = self.next_state()?;
        }
    }
}

impl Content {
    /// Reads on; checks the file at its end.
    fn read(&mut self, buffer: &mut [u8], files: &Files) -> Result<usize> {
        let count = most(buffer.len(), self.left);
        let read = match self.file.read(&mut buffer[..count]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return self.read(buffer, files),
            read => read,
        };
        let changed = |what: String| {
            let Files::In(directory) = files else { return Error::corrupt(what) };
            Error::corrupt(format!("{} {what}", shown(directory, &self.name)))
        };
        let read = read.map_err(|error| changed("cannot be read".to_owned()).with_source(error))?;
        if read == 0 && self.left > 0 {
            return Err(changed(format!("ends {} bytes early", self.left)));
        }
        self.crc.update(&buffer[..read]);
        self.left -= read as u64;
        if self.left == 0 {
            let (found, expected) = (self.crc.finalize(), self.expected);
            if found != expected {
                return Err(changed(format!("was changed: its CRC-64 is {found:016x}, its layer has {expected:016x}")));
            }
        }
        Ok(read)
    }
}

/// Opens the file of a layer that is called `name`, with `size` bytes.
fn open(directory: &Directory, name: &[u8], size: u64) -> Result<File> {
    let (file, found) = directory.open_in_root(&relative(name)?).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "it is gone").with_hint("was the image removed while it was read?")
        }
        _ => error,
    })?;
    if found != size {
        return Err(Error::corrupt(format!("it was changed: it has {found} bytes, its layer has {size}")));
    }
    Ok(file)
}

/// A name of an archive as a path below a directory.
fn relative(name: &[u8]) -> Result<PathBuf> {
    let parts = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let parts: Vec<&[u8]> = parts.collect();
    if parts.is_empty() || parts.contains(&&b".."[..]) {
        return Err(Error::corrupt("its name leads out of the layer"));
    }
    Ok(Path::new(OsStr::from_bytes(&parts.join(&b'/'))).to_owned())
}

fn shown(directory: &Directory, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    format!("`{}` in {}", name.trim_start_matches("./").escape_debug(), directory.path().display())
}

fn most(space: usize, left: u64) -> usize {
    usize::try_from(left).map_or(space, |left| left.min(space))
}
