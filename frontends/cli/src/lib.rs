//! The command `longshore` as a library: a program with exporters of its own is a `main` of two lines.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     // `.with(MyExporter)` adds a type to all that `longshore` has.
//!     let client = longshore_cli::builtin::client();
//!     longshore_cli::run(longshore_cli::builtin::exporters(), longshore_cli::builtin::frontends(&client), &client)
//! }
//! ```

mod args;
pub mod builtin;
mod command;
mod exit_code;
mod progress;
mod report;
mod store_root;

use std::process::ExitCode;

use clap::Parser;
use longshore_core::{ExporterRegistry, FrontendRegistry};
use longshore_distribution::Client;

use args::{Args, Command};
use store_root::StoreRoot;

/// Runs the command line of this process with these exporters and frontends; what is pushed goes through
/// `client`.
pub fn run(exporters: ExporterRegistry, frontends: FrontendRegistry, client: &Client) -> ExitCode {
    let args = Args::parse();
    let root = StoreRoot::new(builtin::stores(), args.store);
    let done = match &args.command {
        Command::Export(args) => command::export(args, &root, &exporters, &frontends, client),
        Command::Import(args) => command::import(args, &root),
        Command::Save(args) => command::save(args, &root, &exporters, &frontends),
        Command::Images(args) => command::images(args, &root),
        Command::Tag(args) => command::tag(args, &root),
        Command::Unpack(args) => command::unpack(args, &root, &frontends),
        Command::Rm(args) => command::rm(args, &root),
        Command::Prune(args) => command::prune(args, &root),
        Command::Du(args) => command::du(args, &root),
        Command::Inspect(args) => command::inspect(args, &root, &frontends),
        Command::Verify(args) => command::verify(args, &root, &frontends),
        Command::Exporters(args) => command::exporters(args, &exporters),
        Command::Completion(args) => command::completion(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::print(&error);
            exit_code::of(&error).into()
        }
    }
}

/// Compiles and runs the exporter of the page that explains how to write one.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-an-exporter.md")]
struct WritingAnExporter;

/// The page `docs/exporters.md` for these exporters.
pub fn reference_page(exporters: &ExporterRegistry) -> String {
    command::reference_page(exporters)
}
