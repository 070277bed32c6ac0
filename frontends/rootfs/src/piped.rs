//! A tar archive on standard input, kept in a file, as layers are read more than once.

use std::env;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};

use longshore_core::layer::{FileStream, TarStream};
use longshore_core::{Error, Result, ScratchDirectory};

/// What came on standard input. The file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Piped {
    stream: FileStream,
    _directory: ScratchDirectory,
}

impl Piped {
    /// Reads standard input to its end.
    ///
    /// # Errors
    /// Standard input that is a terminal, is empty or cannot be read.
    pub(crate) fn read() -> Result<Self> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(Error::option("it is a terminal").with_hint("pipe an archive into it"));
        }
        let mut input = stdin.lock();
        if input.fill_buf()?.is_empty() {
            return Err(Error::input("it is empty").with_hint("pipe an archive into it"));
        }
        let directory = ScratchDirectory::new_in(&env::temp_dir())?;
        let path = directory.path().join("piped.tar");
        io::copy(&mut input, &mut File::create(&path)?)?;
        Ok(Self { stream: FileStream::new(path), _directory: directory })
    }
}

impl TarStream for Piped {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        self.stream.open()
    }

    fn name(&self) -> String {
        "standard input".to_owned()
    }
}
