//! The command `longshore`.

use std::process::ExitCode;

use longshore_cli::{builtin, run};

fn main() -> ExitCode {
    run(builtin::exporters(), builtin::frontends())
}
