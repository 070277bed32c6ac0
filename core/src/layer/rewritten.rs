//! A layer whose files are not newer than an epoch (`rewrite-timestamp`).

use std::io::Write;

use longshore_content::Work;
use longshore_oci::Result;

use super::Layer;
use crate::archive::Writer;
use crate::epoch::Epoch;

/// Writes the layer to `out`, with each time later than `epoch` replaced by it; returns the newest time.
///
/// All entries are written anew, like those of a directory, so that the stream depends only on them. A layer
/// that was already rewritten stays unchanged.
///
/// # Errors
/// As [`Layer::entries`], which also checks the diffID of the original.
pub(super) fn write(layer: &Layer, epoch: Epoch, out: &mut dyn Write, work: &Work) -> Result<Option<i64>> {
    let mut tar = Writer::new(out);
    let mut newest = None;
    layer.entries(work, &mut |mut entry, content| {
        entry.mtime = entry.mtime.min(epoch.seconds());
        newest = newest.max(Some(entry.mtime));
        Ok(tar.append(&entry, content)?)
    })?;
    tar.finish()?;
    Ok(newest)
}
