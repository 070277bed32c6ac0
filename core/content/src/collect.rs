//! Collection: removing what neither a name nor a lease needs, and measuring what is stored.

use longshore_oci::{Digest, Result};
use serde::Serialize;

use crate::files::Amount;

/// Stores that are collected on request.
///
/// Other processes may use the store at the same time.
pub trait Collector {
    /// Removes what neither a name nor a live lease reaches, and what dead processes left behind.
    ///
    /// # Errors
    /// Those of the medium. What was removed by then stays removed.
    fn prune(&self, options: &PruneOptions) -> Result<Pruned>;

    /// Measures what the store holds.
    ///
    /// # Errors
    /// Those of the medium.
    fn usage(&self) -> Result<Usage>;
}

/// What [`Collector::prune`] keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Bytes of layers that were made here that may stay although nothing refers to them.
    pub keep: u64,
    /// Only says what would be removed.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blobs, with their sizes in bytes, by digest.
    pub blobs: Vec<(Digest, u64)>,
    /// What writers left that died half-way.
    pub leftovers: Amount,
    /// Snapshots, with the size of their files.
    pub snapshots: Amount,
    /// Layers that nothing refers to and that stay, as [`PruneOptions::keep`] says.
    pub kept: Amount,
}

impl Pruned {
    /// Returns the bytes of everything that was removed.
    pub fn bytes(&self) -> u64 {
        let rest = [self.leftovers.bytes, self.snapshots.bytes];
        self.blobs.iter().map(|(_, size)| *size).chain(rest).fold(0, u64::saturating_add)
    }
}

/// How much a store holds. Each blob counts once, in the first line that it belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// What names reach.
    pub images: Amount,
    /// What only leases reach, of runs that work now or that died since the last collection.
    pub in_use: Amount,
    /// Layers that were made here and that nothing reaches: `prune --keep-storage` keeps some.
    pub made: Amount,
    /// What else nothing reaches.
    pub unused: Amount,
    /// Snapshots, whatever needs them: their number, and the size of their files.
    pub snapshots: Amount,
    /// What writers left that died half-way.
    pub leftovers: Amount,
}

impl Usage {
    /// Returns the sum of all.
    pub fn total(&self) -> Amount {
        let all = [self.images, self.in_use, self.made, self.unused, self.snapshots, self.leftovers];
        let sum = |of: fn(&Amount) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
        Amount { count: sum(|each| each.count), bytes: sum(|each| each.bytes) }
    }
}
