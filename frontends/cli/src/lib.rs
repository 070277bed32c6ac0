//! The command `longshore` as a library: a program with an exporter or frontend of its own is a `main` of one line.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use longshore_cli::Program;
//!
//! fn main() -> ExitCode {
//!     // `.exporter(MyExporter)` and `.frontend(MyFrontend)` add to what `longshore` offers.
//!     Program::builtin().run()
//! }
//! ```

#![deny(clippy::print_stderr)]

mod args;
mod builtin;
mod command;
mod contents;
mod exit_code;
mod page;
mod plugins;
mod program;
mod progress;
mod report;
mod stderr;
mod stdout;
mod steps;
mod store_root;

pub use program::Program;

/// Compiles and runs the exporter in the page on writing one.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-an-exporter.md")]
struct WritingAnExporter;
