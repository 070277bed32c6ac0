//! Generated pages are what the code says: set `LONGSHORE_BLESS=1` to write them anew.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use longshore_cli::{builtin, reference_page};

#[test]
fn docs_exporters_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exporters.md");
    let expected = reference_page(&builtin::exporters());
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "docs/exporters.md is stale: run the tests with LONGSHORE_BLESS=1");
}
