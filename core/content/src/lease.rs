//! Leases: what a run uses stays as long as it runs.

use std::any::Any;
use std::fmt;

/// Keeps blobs from being collected until it is dropped.
#[must_use = "blobs may be collected once this is dropped"]
pub struct Lease(#[expect(dead_code, reason = "held for what its drop does")] Box<dyn Any + Send + Sync>);

impl Lease {
    /// A lease that ends when `guard` is dropped.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
