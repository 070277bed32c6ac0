//! Files and functions are short enough to be read.

use std::path::Path;

use crate::source::{Token, end_of_group, files, tokens, workspace};

const LINES_OF_A_FILE: usize = 400;
const LINES_OF_A_FUNCTION: usize = 60;

/// Returns the functions in `source`, with the number of lines from `fn` to the closing brace.
fn functions(source: &str) -> Vec<(String, usize)> {
    let tokens = tokens(source);
    let text = |at: usize| tokens.get(at).map_or("", |token: &Token| token.text.as_str());
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.text != "fn" || !text(at + 1).starts_with(|c: char| c.is_alphabetic() || c == '_') {
            continue;
        }
        let mut body = at + 2;
        while !["{", ";", ""].contains(&text(body)) {
            body = if ["(", "["].contains(&text(body)) { end_of_group(&tokens, body) } else { body + 1 };
        }
        if text(body) == "{" {
            let last = end_of_group(&tokens, body) - 1;
            found.push((text(at + 1).to_owned(), tokens[last].line - token.line + 1));
        }
    }
    found
}

/// Returns what is too long in the file `name`.
fn too_long(name: &str, source: &str) -> Vec<String> {
    let lines = source.lines().count();
    let file = (lines > LINES_OF_A_FILE).then(|| format!("{name} has {lines} lines"));
    let functions = functions(source).into_iter().filter(|(_, lines)| *lines > LINES_OF_A_FUNCTION);
    let functions = functions.map(|(function, lines)| format!("{name}: fn {function} has {lines} lines"));
    file.into_iter().chain(functions).collect()
}

#[test]
fn files_and_functions_are_short() {
    let root = workspace();
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let files = files(&root, ".rs");
    assert!(files.len() > 300, "{} files", files.len());
    let offenders = files.iter().flat_map(|path| too_long(&name(path), &std::fs::read_to_string(path).unwrap()));
    let offenders: Vec<String> = offenders.collect();
    assert!(offenders.is_empty(), "too long to read:\n{}", offenders.join("\n"));
}

#[test]
fn what_is_too_long_is_named() {
    let body = |lines: usize| "    let brace = \"}\"; // }\n".repeat(lines);
    let long =
        format!("trait T {{ fn none(x: [u8; 3]); }}\nfn long() {{\n{}}}\nfn short() {{\n{}}}\n", body(59), body(58));
    assert_eq!(functions(&long), [("long".to_owned(), 61), ("short".to_owned(), 60)]);
    assert_eq!(too_long("a.rs", &long), ["a.rs: fn long has 61 lines"]);
    assert_eq!(too_long("b.rs", &"\n".repeat(401)), ["b.rs has 401 lines"]);
    assert_eq!(too_long("c.rs", &"\n".repeat(400)), Vec::<String>::new());
}
