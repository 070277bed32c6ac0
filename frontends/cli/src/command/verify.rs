//! `longshore verify`.

use std::io::Write;

use anyhow::{Result, bail};
use longshore_core::image::verify as verify_one;
use longshore_core::{FrontendRegistry, Progress, Source};

use super::{inspect, work};
use crate::args::{ProgressStyle, VerifyArgs};
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn verify(args: &VerifyArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    let (_, work) = work::begin(ProgressStyle::Plain, None)?;
    let mut problems = 0;
    for (image, existing) in inspect::open(&Source::parse(&args.source)?, root, frontends, &work)? {
        let found = verify_one(&existing, &work.clone().with_progress(Progress::silent()))?;
        let mut out = Vec::new();
        if found.problems.is_empty() {
            writeln!(out, "ok {} {}", existing.root.digest, inspect::names(&image).join(" "))?;
        }
        for missing in &found.missing {
            writeln!(out, "{}", inspect::not_there(missing))?;
        }
        for layer in &found.left_out {
            writeln!(out, "{}", inspect::not_there(layer))?;
        }
        for problem in &found.problems {
            writeln!(out, "{problem}")?;
        }
        stdout::print(out)?;
        problems += found.problems.len();
    }
    if problems > 0 {
        bail!("{}: {problems} problem{}", args.source, if problems == 1 { "" } else { "s" });
    }
    Ok(())
}
