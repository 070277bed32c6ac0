//! How much the image store keeps of layers that were built before: they are found again by the next export.

use longshore_core::content::{ImageStore, PruneOptions};
use longshore_core::{Error, Result};

/// The variable that sets another size.
const VARIABLE: &str = "LONGSHORE_KEEP_STORAGE";
/// At most this, and at most this part of the disk.
const MOST: u64 = 10_000_000_000;
const PART: u64 = 10;

/// Returns how many bytes of unused layers a store keeps after an export; `None` if that cannot be known.
///
/// # Errors
/// A variable that is not a size.
pub(super) fn limit(store: &dyn ImageStore) -> Result<Option<u64>> {
    if let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
        let size = text.to_str().and_then(|text| text.parse::<bytesize::ByteSize>().ok());
        let bad = || Error::option(format!("{VARIABLE} is not a size: `{}`", text.to_string_lossy()));
        return Ok(Some(size.ok_or_else(|| bad().with_hint("write a size such as 500MB or 10GiB"))?.as_u64()));
    }
    let disk = store.directory().and_then(|place| rustix::fs::statvfs(place).ok());
    Ok(disk.map(|disk| (disk.f_blocks.saturating_mul(disk.f_frsize) / PART).min(MOST)))
}

/// Removes layers that were built before, the longest unused first, until the store keeps no more than it should. Nothing
/// else is removed, and no other command is waited for.
///
/// # Errors
/// As [`limit`]; a store that cannot be pruned.
pub(super) fn keep(store: &dyn ImageStore) -> Result<()> {
    let (Some(collector), Some(limit)) = (store.collector(), limit(store)?) else { return Ok(()) };
    if !store.is_read_only() && collector.usage()?.made.bytes > limit {
        collector.prune(&PruneOptions::default().with_keep(limit).with_made_only(true))?;
    }
    Ok(())
}
