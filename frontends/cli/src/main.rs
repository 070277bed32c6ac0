//! The command `longshore`.

use std::process::ExitCode;

use longshore_cli::Program;

fn main() -> ExitCode {
    Program::builtin().run()
}
