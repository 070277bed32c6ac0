//! The way to a file, through symbolic links.

use longshore_oci::{Error, Result};

/// Symbolic links that are followed on the way to one file, as in Linux and in containerd.
const LINKS: usize = 255;
/// Parts of a path that may be still to come.
const PARTS: usize = 4096;

/// The parts of a path that are still to come, the next one last.
#[derive(Debug)]
pub(super) struct Way {
    parts: Vec<Vec<u8>>,
    links: usize,
}

impl Way {
    pub(super) fn new(parts: &[&[u8]]) -> Self {
        Self { parts: parts.iter().rev().map(|part| part.to_vec()).collect(), links: 0 }
    }

    /// Takes the next part.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        self.parts.pop()
    }

    /// Goes on where a link points.
    pub(super) fn follow(&mut self, target: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > LINKS {
            return Err(Error::input(format!("more than {LINKS} symbolic links on the way to it")));
        }
        let parts = target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
        self.parts.extend(parts.map(<[u8]>::to_vec).rev());
        if self.parts.len() > PARTS {
            return Err(Error::input(format!("links lead to it through more than {PARTS} directories")));
        }
        Ok(())
    }
}
