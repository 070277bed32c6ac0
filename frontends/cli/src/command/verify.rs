//! `longshore verify`.

use std::io::{self, Write};

use anyhow::{Result, bail};
use longshore_core::image::verify as verify_one;
use longshore_core::{FrontendRegistry, Progress};

use super::{inspect, signals};
use crate::args::VerifyArgs;
use crate::store_root::StoreRoot;

pub(crate) fn verify(args: &VerifyArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    let cancel = signals::cancel_on_signal()?;
    let mut out = io::stdout().lock();
    let mut problems = 0;
    for (image, existing) in inspect::open(&args.source, root, frontends, &cancel)? {
        let found = verify_one(&existing, &cancel, &Progress::silent())?;
        if found.problems.is_empty() {
            writeln!(out, "ok {} {}", existing.root.digest, inspect::names(&image).join(" "))?;
        }
        for missing in &found.missing {
            writeln!(out, "{}", inspect::not_there(missing))?;
        }
        for problem in &found.problems {
            writeln!(out, "{problem}")?;
        }
        problems += found.problems.len();
    }
    if problems > 0 {
        bail!("{}: {problems} problem{}", args.source, if problems == 1 { "" } else { "s" });
    }
    Ok(())
}
