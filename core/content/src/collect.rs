//! Collection: removal of content that no name and no lease needs, and measurement of stored content.

use longshore_oci::{Digest, Result};
use serde::Serialize;

use crate::files::Amount;

/// A store that is garbage collected on request.
///
/// Other processes may use the store at the same time.
pub trait Collector {
    /// Removes content reachable from no name and no live lease, and leftovers of dead processes.
    ///
    /// # Errors
    /// I/O errors. Content removed before the error stays removed.
    fn prune(&self, options: &PruneOptions) -> Result<Pruned>;

    /// Measures what the store holds.
    ///
    /// # Errors
    /// I/O errors.
    fn usage(&self) -> Result<Usage>;
}

/// What [`Collector::prune`] keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Maximum bytes of unreferenced layers built here that are kept.
    pub keep: u64,
    /// Remove only unreferenced layers built here, the longest unused first, until so much is kept; nothing else.
    pub made_only: bool,
    /// Only report what would be removed.
    pub dry_run: bool,
}

impl PruneOptions {
    /// Sets the maximum bytes of unreferenced layers built here that are kept.
    #[must_use]
    pub fn with_keep(mut self, bytes: u64) -> Self {
        self.keep = bytes;
        self
    }

    /// Sets whether only unreferenced layers built here are removed.
    #[must_use]
    pub fn with_made_only(mut self, made_only: bool) -> Self {
        self.made_only = made_only;
        self
    }

    /// Sets whether to only report what would be removed.
    #[must_use]
    pub fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// The result of [`Collector::prune`]: what was removed, or would be. A store starts with an empty one and adds to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Blobs, with their sizes in bytes, by digest.
    pub blobs: Vec<(Digest, u64)>,
    /// Leftovers of writers that died half-way.
    pub leftovers: Amount,
    /// Snapshots, with the size of their files.
    pub snapshots: Amount,
    /// Unreferenced layers kept because of [`PruneOptions::keep`].
    pub kept: Amount,
    /// What stays because it is unknown whether it is in use, and why, in one line each.
    pub warnings: Vec<String>,
}

impl Pruned {
    /// Returns the total bytes removed.
    pub fn bytes(&self) -> u64 {
        let rest = [self.leftovers.bytes, self.snapshots.bytes];
        self.blobs.iter().map(|(_, size)| *size).chain(rest).fold(0, u64::saturating_add)
    }
}

/// Disk usage of a store, empty at first. Each blob counts once, in the first field that applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Content reachable from names.
    pub images: Amount,
    /// Content reachable only from leases, of running processes or of ones that died since the last collection.
    pub in_use: Amount,
    /// Unreachable layers built here, of which `prune --keep-storage` keeps some.
    pub made: Amount,
    /// Other unreachable content.
    pub unused: Amount,
    /// All snapshots: their number, and the size of their files.
    pub snapshots: Amount,
    /// Leftovers of writers that died half-way.
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
