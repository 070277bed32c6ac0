#![doc = include_str!("../README.md")]
#![deny(clippy::print_stderr)]

mod args;
mod builtin;
mod command;
mod contents;
mod exit_code;
mod origin;
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
