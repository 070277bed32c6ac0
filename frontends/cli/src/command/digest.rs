//! `longshore digest`.

use anyhow::Result;
use longshore_core::image::Graph;
use longshore_core::{FrontendRegistry, Source};

use super::{inspect, work};
use crate::args::{DigestArgs, ProgressStyle};
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn digest(args: &DigestArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    stdout::check()?;
    let (_, work) = work::begin(ProgressStyle::Plain, None)?;
    for (_, existing) in inspect::open(&Source::parse(&args.source)?, root, frontends, &work)? {
        let digest = match &args.platform {
            Some(platform) => Graph::of(&existing, &work).platform(platform)?.digest,
            None => existing.root.digest.clone(),
        };
        stdout::print(format!("{digest}\n"))?;
    }
    Ok(())
}
