//! Generated pages are what the code declares: set `LONGSHORE_BLESS=1` to write them anew.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use longshore_cli::Program;

fn check(page: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "docs/{page} is stale: run the tests with LONGSHORE_BLESS=1");
}

#[test]
fn docs_exporters_is_fresh() {
    check("exporters.md", &Program::builtin().exporters_page());
}

#[test]
fn docs_sources_is_fresh() {
    check("sources.md", &Program::builtin().sources_page());
}
