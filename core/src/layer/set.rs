//! The layers of a run: each is made once, however many outputs want it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::make::Workshop;
use super::{Layer, MadeLayer};
use crate::compression::Encoding;
use crate::error::{Error, ErrorKind, Result};

/// The layers of a run and the encodings that its outputs said they need.
#[derive(Debug)]
pub(crate) struct LayerSet {
    slots: Mutex<HashMap<usize, Arc<Slot>>>,
    encodings: Vec<Encoding>,
}

type Slot = OnceLock<Result<MadeLayer>>;

impl LayerSet {
    /// Expects to make layers in `encodings`, all at once.
    pub(crate) fn new(encodings: Vec<Encoding>) -> Self {
        Self { slots: Mutex::default(), encodings }
    }

    /// `layer` in every encoding of the run: made now, or by another thread that this one waits for.
    pub(crate) fn get(&self, layer: &Arc<Layer>, wanted: Encoding, workshop: Workshop<'_>) -> Result<MadeLayer> {
        if !self.encodings.contains(&wanted) {
            return Err(Error::new(ErrorKind::Other, format!("an exporter did not say that it needs {wanted:?}")));
        }
        // The result keeps the layer alive for the whole run, so its address is its identity.
        let identity = Arc::as_ptr(layer) as usize;
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(identity).or_default().clone()
        };
        slot.get_or_init(|| workshop.make(layer, &self.encodings)).clone()
    }
}
