//! The layers of a run: each is built once for all outputs.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use longshore_oci::{Digest, Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::make::Workshop;
use super::{Layer, LayerSource, MadeLayer, Variant};

/// The layers of a run, and the variants of each that its outputs need.
#[derive(Debug)]
pub(crate) struct LayerSet {
    slots: Mutex<HashMap<Identity, Arc<Slot>>>,
    wanted: WantedLayers,
    is_for_one_output: bool,
}

/// The variants of layers that outputs need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WantedLayers {
    /// By layer.
    known: HashMap<Identity, Vec<Variant>>,
    /// Variants of the layers found when an existing image is taken apart.
    found: Vec<Variant>,
}

/// Identifies equal layers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    /// Its blob, whichever image it was found in.
    Blob(Digest),
    /// Its tar stream, whichever source has it.
    Tar(Digest),
    /// The address of a source without an identity of its own. The result holds it as long as the run lives.
    Address(usize),
}

impl Identity {
    fn of(layer: &Arc<Layer>) -> Self {
        match &layer.source {
            LayerSource::Blob(source) => Self::Blob(source.descriptor.digest.clone()),
            LayerSource::Dir(_) | LayerSource::Tar(_) => match layer.diff_id() {
                Some(diff_id) => Self::Tar(diff_id.clone()),
                None => Self::Address(Arc::as_ptr(layer) as usize),
            },
        }
    }
}

#[derive(Debug)]
struct Slot {
    made: OnceLock<Result<Vec<MadeLayer>>>,
    /// Keeps the address from being reused for another layer.
    _layer: Arc<Layer>,
}

impl WantedLayers {
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.found.is_empty()
    }

    pub(crate) fn add(&mut self, layer: &Arc<Layer>, variant: Variant) {
        insert(self.known.entry(Identity::of(layer)).or_default(), variant);
    }

    pub(crate) fn add_found(&mut self, variant: Variant) {
        insert(&mut self.found, variant);
    }

    pub(crate) fn unite(&mut self, other: Self) {
        for (identity, variants) in other.known {
            let own = self.known.entry(identity).or_default();
            variants.into_iter().for_each(|variant| insert(own, variant));
        }
        other.found.into_iter().for_each(|variant| insert(&mut self.found, variant));
    }

    /// Returns the variants of a layer, each once, in the order in which outputs requested them.
    fn of(&self, identity: &Identity) -> Vec<Variant> {
        let mut variants = self.known.get(identity).cloned().unwrap_or_default();
        // Which of them an existing image has is unknown until it is taken apart.
        if matches!(identity, Identity::Blob(_)) || variants.is_empty() {
            self.found.iter().for_each(|variant| insert(&mut variants, *variant));
        }
        variants
    }

    /// Returns whether `variant` of `layer` was requested.
    pub(crate) fn contains(&self, layer: &Arc<Layer>, variant: Variant) -> bool {
        self.of(&Identity::of(layer)).contains(&variant)
    }
}

fn insert(variants: &mut Vec<Variant>, variant: Variant) {
    if !variants.contains(&variant) {
        variants.push(variant);
    }
}

impl LayerSet {
    /// Creates a set that expects to build `wanted`.
    pub(crate) fn new(wanted: WantedLayers, is_for_one_output: bool) -> Self {
        Self { slots: Mutex::default(), wanted, is_for_one_output }
    }

    /// Returns whether at most one output needs layers, so that none has to be kept for another.
    pub(crate) fn is_for_one_output(&self) -> bool {
        self.is_for_one_output
    }

    /// Returns `layer` in `variant`: built now, in every variant that the run needs, or by another thread, which
    /// this one waits for.
    pub(crate) fn get(&self, layer: &Arc<Layer>, variant: Variant, workshop: Workshop<'_>) -> Result<MadeLayer> {
        let identity = Identity::of(layer);
        let variants = self.wanted.of(&identity);
        let unexpected = || {
            let message = format!("an exporter did not say that it needs layer {} as {variant}", layer.name());
            Error::new(ErrorKind::Other, message)
        };
        if !variants.contains(&variant) {
            return Err(unexpected());
        }
        let slot = {
            let mut slots = self.slots.lock();
            let new = || Arc::new(Slot { made: OnceLock::new(), _layer: layer.clone() });
            slots.entry(identity).or_insert_with(new).clone()
        };
        let made = slot.made.get_or_init(|| workshop.make(layer, &variants)).clone()?;
        made.into_iter().find(|made| made.variant == variant).ok_or_else(unexpected)
    }
}
