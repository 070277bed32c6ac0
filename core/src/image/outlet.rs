//! Outlets: destinations that take layers while they are made, or have them already.

use std::sync::Arc;

use longshore_content::Provider;
use longshore_oci::{Descriptor, Result};

use crate::context::Run;
use crate::layer::{Layer, LayerStream, MadeLayer, Variant};

/// A destination that takes layers while they are made, or has them already.
///
/// [`assemble_to`](super::assemble_to) calls it from several threads at the same time, for each layer whose
/// [`Route`](super::Route) says so. What it takes is not visible before the output is published.
pub trait LayerOutlet: Sync {
    /// Says in `run` what this outlet can do. The answer does not change.
    fn abilities(&self, run: Run) -> Run;

    /// Looks for a layer in `variant` where the layer would go; returns its blob and a provider of it.
    /// `None` if there is none.
    ///
    /// # Errors
    /// Those of the destination, if the run cannot go on without an answer.
    fn find(&self, layer: &Layer, variant: Variant) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
        let _ = (layer, variant);
        Ok(None)
    }

    /// Takes a layer, by [`LayerStream::write_to`]; returns the layer and a provider of its blob. `None` if
    /// the destination does not take it: then it is made in the store.
    ///
    /// # Errors
    /// Those of the layer and of the destination.
    fn take(&self, layer: &LayerStream<'_>) -> Result<Option<(MadeLayer, Arc<dyn Provider>)>>;
}
