//! A tar stream as a blob.

use std::io::{self, Read};
use std::sync::Arc;

use longshore_content::Provider;
use longshore_oci::{Digest, Result};

use super::TarStream;

/// Provides the bytes of a tar stream. The reader verifies them against the blob.
#[derive(Debug)]
pub(super) struct PlainTar {
    pub(super) stream: Arc<dyn TarStream>,
}

impl Provider for PlainTar {
    fn open(&self, _: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut stream = self.stream.open()?;
        io::copy(&mut stream.by_ref().take(from), &mut io::sink())?;
        Ok(Box::new(stream))
    }

    fn outline(&self, _: &Digest) -> Result<Option<Box<dyn Read + Send + '_>>> {
        self.stream.outline()
    }
}
