//! The arguments of `longshore plugin`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::exit_code;

/// Test an exporter that is a program of its own, or begin one
///
/// An executable longshore-exporter-TYPE in a directory of $LONGSHORE_PLUGINS or $PATH is `type=TYPE`; `longshore
/// exporters` lists it. docs/external-protocol.md has the messages that it exchanges.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum PluginCommand {
    Test(PluginTestArgs),
    New(PluginNewArgs),
}

/// Run the suite of exporters against an executable, and print what it promises and breaks
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct PluginTestArgs {
    /// The executable, longshore-exporter-TYPE
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,

    /// Options of each output, if it cannot do without
    #[arg(long, short, value_name = "KEY=VALUE[,…]")]
    pub(crate) options: Option<String>,
}

/// Write an exporter that works, with its test, into a new directory NAME
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct PluginNewArgs {
    /// Its type: lower-case letters, digits, and hyphens between them
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What it is written in
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(crate) language: Language,

    /// A checkout of Longshore to build against, with --language rust, instead of the crates of this version
    #[arg(long, value_name = "DIR")]
    pub(crate) longshore: Option<PathBuf>,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// A crate
    Rust,
    /// Python 3, its standard library alone
    Python,
    /// POSIX shell, with jq
    Sh,
}
