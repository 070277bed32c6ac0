//! `longshore completion`.

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Args, CompletionArgs};
use crate::stdout;

pub(crate) fn completion(args: &CompletionArgs) -> Result<()> {
    stdout::check()?;
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    // Not directly to standard output: clap panics on write errors.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(stdout::print(&script)?)
}
