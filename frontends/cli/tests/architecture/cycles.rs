//! No module of a crate needs another that needs it: what is below can be read, tested and moved alone.
//!
//! Modules are those at the top of a crate; a folder is one module. A name that the root exports from a module
//! is that module's. The root itself is none: it is the table of contents, and has the type that a program names,
//! such as an exporter, with the entry into its modules.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use crate::paths::{OwnPath, paths};
use crate::source::{files, tokens, without_tests, workspace};

/// A file of a crate: its path below `src`, and its text.
type Source = (String, String);
/// For each need of one module for another, a line that shows it.
type Needs = BTreeMap<(String, String), String>;

/// Returns the module that a file is, such as `["push", "blob"]` for `push/blob.rs`.
fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

fn needs(sources: &[Source]) -> Needs {
    let mut tests = BTreeSet::new();
    let mut found: Vec<(&Source, Vec<String>, Vec<OwnPath>)> = Vec::new();
    for source in sources {
        let module = module_of(&source.0);
        let (tokens, files) = without_tests(&tokens(&source.1));
        tests.extend(files.into_iter().map(|name| [module.clone(), vec![name]].concat()));
        let paths = paths(&module, &tokens);
        found.push((source, module, paths));
    }
    found.retain(|(_, module, _)| !tests.iter().any(|test| module.starts_with(test)));
    let tops: BTreeSet<&String> = found.iter().filter_map(|(_, module, _)| module.first()).collect();
    let roots = || found.iter().filter(|(_, module, _)| module.is_empty());
    let of_tops = || roots().flat_map(|(_, _, paths)| paths).filter(|path| tops.contains(&path.segments[0]));
    let exports: BTreeMap<&str, &str> =
        of_tops().filter_map(|path| Some((path.name.as_deref()?, path.segments[0].as_str()))).collect();
    let mut needs = Needs::new();
    for ((file, text), module, paths) in &found {
        let Some(from) = module.first() else { continue };
        for path in paths {
            let first = &path.segments[0];
            let to = if tops.contains(first) { Some(first.as_str()) } else { exports.get(first.as_str()).copied() };
            let Some(to) = to.filter(|to| to != from) else { continue };
            let line = text.lines().nth(path.line - 1).unwrap_or_default().trim();
            let example = format!("{file}:{}: {line}", path.line);
            needs.entry((from.clone(), to.to_owned())).or_insert(example);
        }
    }
    needs
}

/// Returns the shortest way through `needs` from `start` back to itself.
fn cycle_at<'a>(needs: &'a Needs, start: &'a str) -> Option<Vec<&'a str>> {
    let mut reached = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start]]);
    while let Some(way) = ways.pop_front() {
        let last = way[way.len() - 1];
        for (_, to) in needs.keys().filter(|(from, _)| from == last) {
            let longer = [way.as_slice(), &[to.as_str()]].concat();
            if to == start {
                return Some(longer);
            }
            if reached.insert(to.as_str()) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Returns one text for each cycle, with a line for each of its needs. A module is in one text at most.
fn cycles(sources: &[Source]) -> Vec<String> {
    let needs = needs(sources);
    let (mut seen, mut texts) = (BTreeSet::new(), Vec::new());
    for (start, _) in needs.keys() {
        if seen.contains(start.as_str()) {
            continue;
        }
        if let Some(way) = cycle_at(&needs, start) {
            seen.extend(way.iter().copied());
            let lines = way.windows(2).map(|pair| &needs[&(pair[0].to_owned(), pair[1].to_owned())]);
            texts.push(lines.fold(way.join(" -> "), |text, line| format!("{text}\n    {line}")));
        }
    }
    texts
}

#[test]
fn no_crate_has_a_cycle_of_modules() {
    let mut failures = Vec::new();
    let mut checked = 0;
    for manifest in files(&workspace(), "Cargo.toml") {
        let folder = manifest.parent().unwrap().join("src");
        if folder.is_dir() {
            let sources = sources(&folder);
            checked += sources.len();
            let crate_name = manifest.parent().unwrap().strip_prefix(workspace()).unwrap().display().to_string();
            failures.extend(cycles(&sources).iter().map(|cycle| format!("{crate_name}: {cycle}")));
        }
    }
    assert!(checked > 200, "{checked} files");
    assert!(failures.is_empty(), "modules need each other:\n{}", failures.join("\n"));
}

fn sources(folder: &Path) -> Vec<Source> {
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let name = |path: &Path| path.strip_prefix(folder).unwrap().display().to_string();
    files(folder, ".rs").iter().map(|path| (name(path), read(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &[(&str, &str)]) -> Vec<String> {
        cycles(&sources.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn two_modules_that_use_each_other_are_a_cycle() {
        let sources = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "// first\nuse crate::{\n    b::B,\n};"),
            ("b.rs", "fn f() { super::a::f() }"),
        ];
        assert_eq!(found(&sources), ["a -> b -> a\n    a.rs:3: b::B,\n    b.rs:1: fn f() { super::a::f() }"]);
    }

    #[test]
    fn a_cycle_may_go_through_folders_and_exports() {
        let sources = [
            ("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use c::C as See;"),
            ("a/mod.rs", "mod deep;"),
            ("a/deep.rs", "use super::super::b; use super::other;"),
            ("b.rs", "use crate::See;"),
            ("c.rs", "use crate::A;"),
        ];
        let lines = "a/deep.rs:1: use super::super::b; use super::other;\n    b.rs:1: use crate::See;\n    c.rs:1: use crate::A;";
        assert_eq!(found(&sources), [format!("a -> b -> c -> a\n    {lines}")]);
    }

    /// An exporter is in the root, and its modules use its name.
    #[test]
    fn what_the_root_defines_is_no_module() {
        let sources = [("lib.rs", "mod a; use a::A; pub struct Own(A);"), ("a.rs", "use crate::Own; pub struct A;")];
        assert_eq!(found(&sources), Vec::<String>::new());
    }

    #[test]
    fn separate_cycles_are_told_apart() {
        let sources = [
            ("a.rs", "use crate::b;"),
            ("b.rs", "use crate::a;"),
            ("c.rs", "use crate::a;"),
            ("d.rs", "use crate::e;"),
            ("e.rs", "use crate::d;"),
        ];
        let first: Vec<String> =
            found(&sources).iter().filter_map(|text| text.lines().next()).map(str::to_owned).collect();
        assert_eq!(first, ["a -> b -> a", "d -> e -> d"]);
    }

    #[test]
    fn tests_comments_strings_and_what_is_inside_a_module_are_no_needs() {
        let sources = [
            ("lib.rs", "pub mod a; pub mod b; pub use a::A; #[cfg(test)] mod apart;"),
            ("a/mod.rs", "//! See [`crate::b`].\nmod inner; use inner::X; #[cfg(test)] mod tests { use crate::b::B; }"),
            ("a/inner.rs", "use super::X; const TEXT: &str = \"use crate::b;\"; /* crate::b::B */"),
            ("b.rs", "use crate::a::A; use std::a; use other::lib;"),
            ("apart.rs", "use crate::b; use crate::a;"),
        ];
        assert_eq!(found(&sources), Vec::<String>::new());
    }
}
