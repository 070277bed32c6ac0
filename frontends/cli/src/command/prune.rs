//! `longshore prune`.

use std::io::Write;

use anyhow::Result;
use indicatif::HumanBytes;
use longshore_core::content::{PruneOptions, Pruned};

use super::du::{amount, collector};
use crate::args::PruneArgs;
use crate::stderr::say;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn prune(args: &PruneArgs, root: &StoreRoot) -> Result<()> {
    let options = PruneOptions::default().with_keep(args.keep_storage).with_dry_run(args.dry_run);
    let store = root.open_existing()?;
    let pruned = store.map_or_else(|| Ok(Pruned::default()), |store| collector(store.as_ref())?.prune(&options))?;
    let mut out = Vec::new();
    for (digest, size) in &pruned.blobs {
        writeln!(out, "{digest}  {}", HumanBytes(*size))?;
    }
    let Pruned { blobs, leftovers, snapshots, kept, warnings, .. } = &pruned;
    warnings.iter().for_each(|warning| say(&format!("warning: {warning}\n")));
    if snapshots.count > 0 {
        writeln!(out, "unpacked layers: {}, {}", snapshots.count, HumanBytes(snapshots.bytes))?;
    }
    if leftovers.count > 0 {
        writeln!(out, "incomplete files of killed commands: {}", HumanBytes(leftovers.bytes))?;
    }
    if kept.count > 0 {
        writeln!(out, "unused but kept: {}", amount(*kept))?;
    }
    let done = if args.dry_run { "would remove" } else { "removed" };
    let noun = if blobs.len() == 1 { "blob" } else { "blobs" };
    writeln!(out, "{done} {} {noun}, {} in total", blobs.len(), HumanBytes(pruned.bytes()))?;
    Ok(stdout::print(out)?)
}
