//! `longshore du`.

use std::io::Write;

use anyhow::Result;
use indicatif::HumanBytes;
use longshore_core::content::{Amount, Collector, ImageStore, Usage};
use longshore_core::{Error, ErrorKind};
use serde_json::json;

use super::cap;
use crate::args::DuArgs;
use crate::stdout;
use crate::store_root::StoreRoot;

/// Layers that the next export may use again.
const MADE: &str = "layers made before";

pub(crate) fn du(args: &DuArgs, root: &StoreRoot) -> Result<()> {
    stdout::check()?;
    let store = root.open_existing()?;
    let limit = store.as_ref().map_or(Ok(None), |store| cap::limit(store.as_ref()))?;
    let usage = store.map_or_else(|| Ok(Usage::default()), |store| collector(store.as_ref())?.usage())?;
    if args.json {
        let json = json!({"usage": usage, "total": usage.total(), "limit": limit});
        return Ok(stdout::print(serde_json::to_string_pretty(&json)? + "\n")?);
    }
    let lines = [
        ("images", usage.images),
        ("in use by commands", usage.in_use),
        (MADE, usage.made),
        ("unused", usage.unused),
        ("unpacked layers", usage.snapshots),
        ("half-written", usage.leftovers),
        ("total", usage.total()),
    ];
    let mut out = Vec::new();
    for (what, counted) in lines {
        let most = limit.filter(|_| what == MADE).map(|limit| format!(", at most {} are kept", HumanBytes(limit)));
        writeln!(out, "{what:<20} {}{}", amount(counted), most.unwrap_or_default())?;
    }
    Ok(stdout::print(out)?)
}

/// Returns the collector of a store.
pub(super) fn collector(store: &dyn ImageStore) -> Result<&dyn Collector, Error> {
    store.collector().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "longshore does not collect garbage in this kind of image store")
            .with_hint("use the tools of the program that keeps it")
    })
}

/// Formats an amount, for display.
pub(super) fn amount(amount: Amount) -> String {
    let noun = if amount.count == 1 { "blob" } else { "blobs" };
    format!("{} {noun}, {}", amount.count, HumanBytes(amount.bytes))
}
