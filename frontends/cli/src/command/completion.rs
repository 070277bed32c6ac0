//! `longshore completion`.

use anyhow::Result;

use crate::args::{self, CompletionArgs};
use crate::stdout;

pub(crate) fn completion(args: &CompletionArgs) -> Result<()> {
    stdout::check()?;
    let mut command = args::command();
    let name = command.get_name().to_owned();
    // Not directly to standard output: clap panics on write errors.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(stdout::print(&script)?)
}
