//! `longshore tag`.

use std::io::Write;

use anyhow::Result;
use longshore_core::oci::ImageName;
use longshore_core::{Error, ErrorKind};

use crate::args::TagArgs;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn tag(args: &TagArgs, root: &StoreRoot) -> Result<()> {
    let source: ImageName = args.image.parse()?;
    let names = args.names.iter().map(|name| name.parse()).collect::<Result<Vec<ImageName>, Error>>()?;
    let store = root.open_existing()?;
    let missing = || {
        Error::new(ErrorKind::NotFound, format!("image {source} is not in the store"))
            .with_hint("`longshore images` lists the names")
    };
    let store = store.ok_or_else(missing)?;
    let image = store.image(&source)?.ok_or_else(missing)?;
    let tagged: Vec<_> = names.into_iter().map(|name| (name, image.clone())).collect();
    let before = store.tag(&tagged)?;
    let mut out = Vec::new();
    for ((name, image), before) in tagged.iter().zip(before) {
        match before.filter(|before| before.root.digest != image.root.digest) {
            Some(before) => writeln!(out, "{name} {} (was {})", image.root.digest, before.root.digest)?,
            None => writeln!(out, "{name} {}", image.root.digest)?,
        }
    }
    Ok(stdout::print(out)?)
}
