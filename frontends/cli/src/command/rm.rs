//! `longshore rm`.

use std::io::Write;

use anyhow::Result;
use longshore_core::oci::ImageName;
use longshore_core::{Error, ErrorKind};

use crate::args::RmArgs;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn rm(args: &RmArgs, root: &StoreRoot) -> Result<()> {
    let mut names: Vec<ImageName> = Vec::new();
    for name in &args.names {
        let name = name.parse()?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let Some(store) = root.open_existing()? else {
        return Err(Error::new(ErrorKind::NotFound, "the image store has no images").into());
    };
    let images = store.untag(&names).map_err(|error: Error| match error.kind() {
        ErrorKind::NotFound => error.context("no names were removed").with_hint("`longshore images` lists the names"),
        _ => error,
    })?;
    let mut out = Vec::new();
    for (name, image) in names.iter().zip(images) {
        writeln!(out, "{name} {}", image.root.digest)?;
    }
    Ok(stdout::print(out)?)
}
