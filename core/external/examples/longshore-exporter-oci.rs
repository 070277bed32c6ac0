//! `type=oci` as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_external::serve(longshore_exporter_oci::OciExporter)
}
