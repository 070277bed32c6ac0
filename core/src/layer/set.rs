//! The layers of a run: each is made once, however many outputs want it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use longshore_oci::{Digest, Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::make::Workshop;
use super::{Layer, LayerSource, MadeLayer};
use crate::compression::Encoding;

/// The layers of a run and the encodings that its outputs said they need.
#[derive(Debug)]
pub(crate) struct LayerSet {
    slots: Mutex<HashMap<Identity, Arc<Slot>>>,
    encodings: Vec<Encoding>,
    is_for_one_output: bool,
}

/// What makes two layers the same one.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Identity {
    /// Its blob, whichever image it was found in.
    Blob(Digest),
    /// Its tar stream, whichever source has it.
    Tar(Digest),
    /// The address of a source that has no name of its own.
    Address(usize),
}

#[derive(Debug)]
struct Slot {
    made: OnceLock<Result<MadeLayer>>,
    /// Keeps the address from being used for another layer.
    _layer: Arc<Layer>,
}

impl LayerSet {
    /// Expects to make layers in `encodings`, all at once.
    pub(crate) fn new(encodings: Vec<Encoding>, is_for_one_output: bool) -> Self {
        Self { slots: Mutex::default(), encodings, is_for_one_output }
    }

    /// Whether no more than one output needs layers, so that none of them has to be kept for another one.
    pub(crate) fn is_for_one_output(&self) -> bool {
        self.is_for_one_output
    }

    /// `layer` in every encoding of the run: made now, or by another thread that this one waits for.
    pub(crate) fn get(&self, layer: &Arc<Layer>, wanted: Encoding, workshop: Workshop<'_>) -> Result<MadeLayer> {
        if !self.encodings.contains(&wanted) {
            return Err(Error::new(ErrorKind::Other, format!("an exporter did not say that it needs {wanted:?}")));
        }
        let identity = match &layer.source {
            LayerSource::Blob(source) => Identity::Blob(source.descriptor.digest.clone()),
            LayerSource::Dir(_) | LayerSource::Tar(_) => match layer.diff_id() {
                Some(diff_id) => Identity::Tar(diff_id.clone()),
                None => Identity::Address(Arc::as_ptr(layer) as usize),
            },
        };
        let slot = {
            let mut slots = self.slots.lock();
            let new = || Arc::new(Slot { made: OnceLock::new(), _layer: layer.clone() });
            slots.entry(identity).or_insert_with(new).clone()
        };
        slot.made.get_or_init(|| workshop.make(layer, &self.encodings)).clone()
    }
}
