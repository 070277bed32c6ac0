//! The command `longshore`.

use std::process::ExitCode;

use longshore_cli::{builtin, run};

fn main() -> ExitCode {
    let client = builtin::client();
    run(builtin::exporters(), builtin::frontends(&client), &client)
}
