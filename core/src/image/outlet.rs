//! Outlets: destinations that accept layers while they are built, or already have them.

use std::sync::Arc;

use longshore_content::Provider;
use longshore_oci::{Descriptor, Result};

use crate::context::Run;
use crate::layer::{Layer, LayerStream, MadeLayer, Variant};

/// A destination that takes layers while they are built, or already has them.
///
/// [`assemble_to`](super::assemble_to) calls it from several threads concurrently, for each layer whose
/// [`Route`](super::Route) says so. Layers are not visible before the output is published.
pub trait LayerOutlet: Sync {
    /// Returns `run` with the abilities of this outlet, which never change.
    fn abilities(&self, run: Run) -> Run;

    /// Looks for a layer in `variant` at the destination; returns its blob and a provider of it. `None` if it is
    /// not found.
    ///
    /// # Errors
    /// Errors of the destination, if the run cannot continue without the result.
    fn find(&self, layer: &Layer, variant: Variant) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
        let _ = (layer, variant);
        Ok(None)
    }

    /// Takes a layer, by [`LayerStream::write_to`]; returns the layer and a provider of its blob. `None` if the
    /// destination does not accept it: then it is built in the store.
    ///
    /// # Errors
    /// Errors of the layer and of the destination.
    fn take(&self, layer: &LayerStream<'_>) -> Result<Option<(MadeLayer, Arc<dyn Provider>)>>;
}
