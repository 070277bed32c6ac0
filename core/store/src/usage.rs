//! How much the store holds, and of what.

use longshore_content::{Amount, Usage};
use longshore_oci::Result;
use rusqlite::Transaction;

use crate::embedded::EmbeddedStore;
use crate::failure::failed;
use crate::schema::REACHABLE;

pub(crate) fn count(transaction: &Transaction<'_>) -> Result<Usage> {
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
