//! `longshore plugin`.

mod new;
mod test;

use anyhow::Result;

use crate::args::{PluginArgs, PluginCommand};

pub(crate) fn plugin(args: &PluginArgs) -> Result<()> {
    match &args.command {
        PluginCommand::Test(args) => test::test(args),
        PluginCommand::New(args) => new::new(args),
    }
}
