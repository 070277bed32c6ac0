//! docs/buildkit.md names what is compared, and what is not.

use super::cases::ALL;
use super::differences;

pub fn is_complete() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/buildkit.md")).unwrap();
    let cases = ALL.iter().map(|case| case.name);
    let names = cases.chain(differences::ALL.iter().map(|difference| difference.name));
    let missing: Vec<&str> = names.filter(|name| !page.contains(&format!("\n| {name} |"))).collect();
    assert!(missing.is_empty(), "docs/buildkit.md has no row for {missing:#?}");
}
