//! A tar archive in a file.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use longshore_oci::{Context, Error, Result};

use super::TarStream;

/// A tar archive in a regular file, compressed or not.
#[derive(Debug, Clone)]
pub struct FileStream(PathBuf);

impl FileStream {
    /// Returns the archive at `path`, which is opened when it is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl TarStream for FileStream {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        let file = File::open(&self.0).attempt(|| format!("cannot open {}", self.0.display()))?;
        if !file.metadata()?.is_file() {
            return Err(Error::input(format!("{} is not a regular file, so it cannot be read twice", self.name())));
        }
        Ok(Box::new(file))
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}
