//! `longshore completion`.

use std::io;

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Args, CompletionArgs};

pub(crate) fn completion(args: &CompletionArgs) -> Result<()> {
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut io::stdout());
    Ok(())
}
