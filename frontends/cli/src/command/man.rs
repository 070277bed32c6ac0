//! `longshore man`: pages from the declarations of the commands.

use std::fs;

use anyhow::Result;
use longshore_core::Context;

use crate::args::{self, ManArgs};
use crate::stdout;

pub(crate) fn man(args: &ManArgs) -> Result<()> {
    let directory = args.directory.display();
    fs::create_dir_all(&args.directory).attempt(|| format!("cannot create {directory}"))?;
    let written = clap_mangen::generate_to(args::command(), &args.directory);
    written.attempt(|| format!("cannot write man pages to {directory}"))?;
    Ok(stdout::print(format!("{directory}/longshore.1 is the first page: man -l {directory}/longshore.1\n"))?)
}
