//! The map in `docs/architecture.md` is that of this tree.
//!
//! A table is a block of code. The first has folders of the workspace; each other one has the files of the folder
//! that the line before it names. A row begins with one or more names: `x/` is a folder, `x` a file `x.rs` or a
//! folder. `a/x, y` are two names of the same folder.

use std::path::Path;

use crate::packages;
use crate::source::{files, workspace};

/// The crates whose files the map lists one by one.
const LISTED: [&str; 7] = [
    "core/src",
    "core/containerd/src",
    "core/content/src",
    "core/distribution/src",
    "core/external/src",
    "core/oci/src",
    "core/store/src",
];

/// A row: the folder that the table is of, and a name in it.
type Row = (String, String);

/// Returns the rows of the map in `page`.
fn rows(page: &str) -> Vec<Row> {
    let map = page.split("\n## ").find(|part| part.starts_with("The map\n")).expect("a part `The map`");
    let (mut rows, mut folder, mut is_inside) = (Vec::new(), String::new(), false);
    for line in map.lines() {
        if line.starts_with("```") {
            is_inside = !is_inside;
        } else if is_inside {
            rows.extend(names(line).into_iter().map(|name| (folder.clone(), name)));
        } else if let Some(named) = line.strip_prefix('`').and_then(|rest| rest.split('`').next()) {
            folder = named.to_owned();
        }
    }
    rows
}

/// Returns the names that a row begins with; none for a line that continues the one before.
fn names(line: &str) -> Vec<String> {
    if line.starts_with(' ') {
        return Vec::new();
    }
    let (mut found, mut folder) = (Vec::new(), "");
    for word in line.split_whitespace() {
        let name = word.trim_end_matches(',');
        if found.is_empty() {
            folder = name.trim_end_matches('/').rsplit_once('/').map_or("", |(folder, _)| folder);
            found.push(name.to_owned());
        } else {
            found.push(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") });
        }
        if !word.ends_with(',') {
            break;
        }
    }
    found
}

fn exists(root: &Path, (folder, name): &Row) -> bool {
    let place = root.join(folder).join(name);
    place.is_dir() || (!name.ends_with('/') && place.with_extension("rs").is_file())
}

/// Whether a row names `file`, a folder that it is in, or, if it is only the head of a folder, a part of that.
fn is_covered(rows: &[Row], folder: &str, file: &str) -> bool {
    let module = file.trim_end_matches(".rs");
    let head = module.strip_suffix("mod");
    rows.iter().filter(|(place, _)| place == folder).any(|(_, name)| {
        let name = name.trim_end_matches('/');
        let is_inside = module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_inside || head.is_some_and(|head| !head.is_empty() && name.starts_with(head))
    })
}

/// Returns the files of `folder` that no row names.
fn missing(rows: &[Row], folder: &str, names: &[String]) -> Vec<String> {
    let files = names.iter().filter(|name| name.as_str() != "lib.rs" && !is_covered(rows, folder, name));
    files.map(|name| format!("{folder}/{name}")).collect()
}

/// Returns the names that several rows of a table have.
fn repeated(rows: &[Row]) -> Vec<String> {
    let is_repeated = |(at, row): &(usize, &Row)| rows[..*at].contains(row);
    rows.iter().enumerate().filter(is_repeated).map(|(_, (folder, name))| format!("{folder}/{name}")).collect()
}

#[test]
fn the_map_is_that_of_the_tree() {
    let root = workspace();
    let rows = rows(&std::fs::read_to_string(root.join("docs/architecture.md")).unwrap());
    assert!(rows.len() > 100, "{} rows", rows.len());
    let gone = rows.iter().filter(|row| !exists(&root, row));
    let gone: Vec<String> = gone.map(|(folder, name)| format!("{folder}/{name}")).collect();
    assert!(gone.is_empty(), "rows of docs/architecture.md that name nothing:\n{}", gone.join("\n"));
    let repeated = repeated(&rows);
    assert!(repeated.is_empty(), "rows of docs/architecture.md that are there twice:\n{}", repeated.join("\n"));
    let mut unnamed = Vec::new();
    for folder in LISTED {
        let place = root.join(folder);
        let names = files(&place, ".rs");
        let names = names.iter().map(|path| path.strip_prefix(&place).unwrap().display().to_string());
        unnamed.extend(missing(&rows, folder, &names.collect::<Vec<_>>()));
    }
    for package in packages() {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let name = format!("{}/", folder.strip_prefix(&root).unwrap().display());
        if !rows.contains(&(String::new(), name.clone())) {
            unnamed.push(name);
        }
    }
    assert!(unnamed.is_empty(), "docs/architecture.md has no row for:\n{}", unnamed.join("\n"));
}

#[test]
fn a_file_without_a_row_and_a_row_without_a_file_are_found() {
    let page = "# x\n\n## The map\n\n```\ncore/   all\n        of it\n```\n\n`core/src`, one noun a file:\n\n```\nimage/mod  one\n\
                image/push, plan  two\ntree/      three\ngone       four\n```\n\n## Next\n\n```\nnot/ a row\n```\n";
    let rows = rows(page);
    let names: Vec<&str> = rows.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["core/", "image/mod", "image/push", "image/plan", "tree/", "gone"]);
    assert!(!exists(&workspace(), &rows[5]));
    assert!(exists(&workspace(), &rows[0]));
    let files =
        ["lib.rs", "image/mod.rs", "image/push/send.rs", "image/plan.rs", "image/new.rs", "tree/mod.rs", "pushed.rs"];
    let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(missing(&rows, "core/src", &files), ["core/src/image/new.rs", "core/src/pushed.rs"]);
}

/// `image/names` had two rows.
#[test]
fn a_name_with_two_rows_is_found() {
    let page = "# x\n\n## The map\n\n`core/src`:\n\n```\nsink  one\nimage/names, plan  two\nimage/plan  three\n```\n\n\
                `core/oci/src`:\n\n```\nsink  of another table\n```\n";
    assert_eq!(repeated(&rows(page)), ["core/src/image/plan"]);
}
