//! How much the store holds, and of what.

use longshore_content::Amount;
use longshore_oci::{Context, Result};
use rusqlite::Transaction;
use serde::Serialize;

use crate::embedded::EmbeddedStore;
use crate::failure::failed;
use crate::prune::REACHABLE;

/// How much a store holds. Each blob counts once, in the first line that it belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// What names reach.
    pub images: Amount,
    /// What only runs reach that use it now, or that died since the last collection.
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

impl EmbeddedStore {
    /// How much it holds.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn usage(&self) -> Result<Usage> {
        let usage = || -> Result<Usage> {
            let mut usage = self.inner.database.read(count)?;
            usage.leftovers = self.inner.files.leftovers(false)?;
            Ok(usage)
        };
        usage().attempt(|| format!("cannot measure the store {}", self.root().display()))
    }
}

fn count(transaction: &Transaction<'_>) -> Result<Usage> {
    let select = format!(
        "{REACHABLE}, named (digest) AS (
            SELECT digest FROM roots UNION SELECT child FROM edges JOIN named ON parent = named.digest
        )
        SELECT CASE
            WHEN digest IN named THEN 0
            WHEN digest IN reachable THEN 1
            WHEN EXISTS (SELECT 1 FROM made WHERE made.digest = blobs.digest) THEN 2
            ELSE 3
        END AS class, count(*), sum(size) FROM blobs GROUP BY class"
    );
    let mut select = transaction.prepare(&select).map_err(failed)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, Amount { count: row.get(1)?, bytes: row.get(2)? }));
    let mut usage = Usage::default();
    for row in select.query_map([], row).map_err(failed)? {
        let (class, amount) = row.map_err(failed)?;
        match class {
            0 => usage.images = amount,
            1 => usage.in_use = amount,
            2 => usage.made = amount,
            _ => usage.unused = amount,
        }
    }
    usage.snapshots = EmbeddedStore::count_snapshots(transaction)?;
    Ok(usage)
}
