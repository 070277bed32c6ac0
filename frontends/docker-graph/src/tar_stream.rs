//! The tar archive of a layer, assembled from tar-split and files.

use std::fs::File;
use std::io::{self, Read};

use crc_fast::{CrcAlgorithm, Digest as Crc};
use longshore_core::{Context, Error, ErrorKind, Result};
use rustix::fs::fgetxattr;

use crate::tar_split::{Part, Parts};
use crate::tree::{DOCKER_CAN, Tree};

/// Reads the archive. Each file is checked against its size and CRC-64; the whole is not.
pub(crate) struct TarReader<R> {
    parts: Parts<R>,
    files: Files,
    state: State,
}

/// The source of file contents.
pub(crate) enum Files {
    /// These files.
    In(Tree),
    /// No files: zeros stand in for their contents.
    Zeros,
}

impl Files {
    /// Returns the name of a file in an archive, for display.
    fn shown(&self, name: &[u8]) -> String {
        let name = String::from_utf8_lossy(name);
        let name = name.trim_start_matches("./").escape_debug();
        match self {
            Self::In(tree) => format!("`{name}` in {}", tree.path().display()),
            Self::Zeros => format!("`{name}`"),
        }
    }
}

enum State {
    Segment { bytes: Vec<u8>, at: usize },
    File(Content),
    Zeros { left: u64 },
    Ended,
}

/// A file being read, while any of its bytes are left.
struct Content {
    file: File,
    name: Vec<u8>,
    left: u64,
    crc: Crc,
    expected: u64,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(parts: Parts<R>, files: Files) -> Self {
        Self { parts, files, state: State::Segment { bytes: Vec::new(), at: 0 } }
    }

    fn next_state(&mut self) -> Result<State> {
        Ok(match (self.parts.next_part()?, &mut self.files) {
            (None, _) => State::Ended,
            (Some(Part::Segment(bytes)), _) => State::Segment { bytes, at: 0 },
            (Some(Part::File { size, .. }), Files::Zeros) => State::Zeros { left: size },
            (Some(Part::File { name, size, crc }), Files::In(tree)) => {
                let opened = tree.open(&name, size);
                let file = opened.attempt(|| format!("cannot read {}", self.files.shown(&name)))?;
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
                State::File(Content { left: 0, .. }) => 0,
                State::File(content) => {
                    let read = content.read(buffer);
                    read.attempt(|| format!("cannot read {}", self.files.shown(&content.name)))?
                }
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
    /// Reads more; checks the file at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = most(buffer.len(), self.left);
        let read = loop {
            match self.file.read(&mut buffer[..count]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            return Err(Error::corrupt(format!("it was changed: it ends {} bytes early", self.left)));
        }
        self.crc.update(&buffer[..read]);
        if read as u64 == self.left {
            self.check()?;
        }
        self.left -= read as u64;
        Ok(read)
    }

    fn check(&self) -> Result<()> {
        let (found, expected) = (self.crc.finalize(), self.expected);
        if found == expected {
            return Ok(());
        }
        if is_metacopy(&self.file) {
            let message = "overlayfs keeps its content in a layer below (metacopy)";
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint(DOCKER_CAN));
        }
        Err(Error::corrupt(format!("it was changed: its CRC-64 is {found:016x}, its layer has {expected:016x}")))
    }
}

/// Returns whether overlayfs has only the attributes of the file here, and its content in a lower layer.
fn is_metacopy(file: &File) -> bool {
    ["trusted.overlay.metacopy", "user.overlay.metacopy"]
        .iter()
        .any(|name| fgetxattr(file, *name, &mut [0_u8; 64][..]).is_ok())
}

fn most(space: usize, left: u64) -> usize {
    usize::try_from(left).map_or(space, |left| left.min(space))
}
