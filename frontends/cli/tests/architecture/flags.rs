//! Libraries name no flags of the command: most of their users have no command line.

use crate::source::{files, workspace};

/// Where libraries are.
const LIBRARIES: [&str; 13] = [
    "core/oci/src",
    "core/containerd/src",
    "core/content/src",
    "core/distribution/src",
    "core/store/src",
    "core/src",
    "exporters",
    "frontends/archive/src",
    "frontends/containerd/src",
    "frontends/docker-graph/src",
    "frontends/registry/src",
    "frontends/rootfs/src",
    "frontends/store/src",
];

/// Flags of other programs.
const OF_OTHERS: [&str; 1] = ["--sparse"];

/// Returns the flags in the code of `source`, which are in its literals: Rust has no such operator.
fn flags(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let starts = code.flat_map(|line| line.match_indices("--").map(|(at, _)| &line[at..]));
    let is_flag = |rest: &&str| rest.bytes().skip(2).take(2).filter(u8::is_ascii_lowercase).count() == 2;
    let end = |rest: &str| rest.find(|c: char| c != '-' && !c.is_ascii_lowercase()).unwrap_or(rest.len());
    starts.filter(is_flag).map(|rest| &rest[..end(rest)]).filter(|flag| !OF_OTHERS.contains(flag)).collect()
}

/// Hints of core said `--exclude` and `--no-store` to programs that have no such flags.
#[test]
fn libraries_name_no_flags_of_the_command() {
    let root = workspace();
    let mut found = Vec::new();
    for path in LIBRARIES.iter().flat_map(|folder| files(&root.join(folder), ".rs")) {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        found.extend(flags(&source).into_iter().map(|flag| format!("{}: {flag}", path.display())));
    }
    assert!(found.is_empty(), "say it in words, and add them to frontends/cli/src/report.rs:\n{}", found.join("\n"));
}

#[test]
fn flags_are_found_in_literals() {
    let source = "/// With `--help`.\nlet a = b - -c; // x\nhint(\"leave out --no-store, or --x; tar --sparse\")\n";
    assert_eq!(flags(source), ["--no-store"]);
}
