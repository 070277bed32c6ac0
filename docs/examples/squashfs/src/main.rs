//! `longshore` with `type=squashfs` and `squashfs:FILE`.

use std::process::ExitCode;

use longshore_cli::Program;
use longshore_example_squashfs::{SquashfsExporter, SquashfsFrontend};

fn main() -> ExitCode {
    Program::builtin().exporter(SquashfsExporter).frontend(SquashfsFrontend::default()).run()
}
