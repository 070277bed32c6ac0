//! A layer that is consumed while it is built, and not stored.

use std::fmt;
use std::io::{self, Write};

use longshore_content::{BlobInfo, BlobMeta, BlobWriter};
use longshore_oci::{Digest, Error, ErrorKind, Hasher, Result};

use super::{Layer, MadeLayer, Variant, Workshop};

/// A layer in one variant that can be built any number of times, with the same bytes unless its source changes.
pub struct LayerStream<'a> {
    layer: &'a Layer,
    variant: Variant,
    workshop: Workshop<'a>,
}

impl<'a> LayerStream<'a> {
    pub(crate) fn new(layer: &'a Layer, variant: Variant, workshop: Workshop<'a>) -> Self {
        Self { layer, variant, workshop }
    }

    /// Returns its name, for display.
    pub fn name(&self) -> String {
        self.layer.name()
    }

    /// Returns the expected diffID, if it is known before the layer is read.
    pub fn diff_id(&self) -> Option<&Digest> {
        self.layer.diff_id().filter(|_| self.variant.rewrite.is_none())
    }

    /// Returns the variant that is written.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Builds the layer and writes it to `out`.
    ///
    /// # Errors
    /// Errors of reading the layer and of `out`.
    pub fn write_to(&self, out: &mut (dyn Write + Send)) -> Result<MadeLayer> {
        let task = self.workshop.work.progress.task(format!("layer {}", self.name()), None);
        let passing = Passing { out, hasher: Hasher::sha256(), size: 0 };
        let made = self.workshop.write(self.layer, vec![(self.variant, Box::new(passing))], &task)?;
        let missing = || Error::new(ErrorKind::Other, format!("layer {} was not made", self.name()));
        let made = made.into_iter().next().ok_or_else(missing)?;
        task.done(made.diff_id.to_string());
        Ok(made)
    }
}

impl fmt::Debug for LayerStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerStream").field("layer", self.layer).field("variant", &self.variant).finish()
    }
}

/// Passes a blob on instead of storing it.
struct Passing<'a> {
    out: &'a mut (dyn Write + Send),
    hasher: Hasher,
    size: u64,
}

impl Write for Passing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl BlobWriter for Passing<'_> {
    fn offset(&self) -> u64 {
        0
    }

    fn suspend(self: Box<Self>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "what was passed on cannot be continued"))
    }

    fn commit(self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo> {
        self.out.flush()?;
        Ok(BlobInfo::new(self.hasher.finish(), self.size, meta))
    }
}
