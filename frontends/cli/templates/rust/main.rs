//! `type=@TYPE@` as a program of its own: `longshore` finds it on `PATH` and in `$LONGSHORE_PLUGINS`.

use std::process::ExitCode;

use @CRATE@::ListingExporter;

fn main() -> ExitCode {
    longshore_external::serve(ListingExporter)
}
