//! A tar stream as the one blob that it is.

use std::io::{self, Read};
use std::sync::Arc;

use longshore_content::Provider;
use longshore_oci::{Digest, Result};

use super::TarStream;

/// Gives the bytes of a tar stream. Whoever reads them checks that they are the blob.
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
