//! Rust source as words: no comments, no text of literals, and on request no tests.

use std::path::{Path, PathBuf};

/// A word, a number, `::`, or one other character of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// The line it is on, from 1.
    pub line: usize,
}

/// Returns the words of `source`.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (number, line) in blank(source).lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            found.push(Token { text: rest[..length].to_owned(), line: number + 1 });
            rest = rest[length..].trim_start();
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns `source` with spaces for comments and literals, every line where it was.
fn blank(source: &str) -> String {
    let (mut kept, mut rest) = (String::new(), source);
    while let Some(first) = rest.chars().next() {
        let length = hidden(&kept, rest);
        if length == 0 {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            kept.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    kept
}

/// Returns the length of the comment or literal that `rest` begins with, or 0.
fn hidden(before: &str, rest: &str) -> usize {
    let after_word = before.ends_with(is_word);
    let bare = if after_word { rest } else { rest.trim_start_matches(['b', 'c']) };
    let prefix = rest.len() - bare.len();
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if let Some(raw) = bare.strip_prefix('r').filter(|_| !after_word && prefix <= 1) {
        let quotes = raw.len() - raw.trim_start_matches('#').len();
        if !raw[quotes..].starts_with('"') {
            return 0;
        }
        let (start, end) = (prefix + 1 + quotes + 1, format!("\"{}", "#".repeat(quotes)));
        rest[start..].find(&end).map_or(rest.len(), |found| start + found + end.len())
    } else if bare.starts_with('"') && prefix <= 1 {
        prefix + quoted(bare, '"')
    } else if bare.starts_with('\'') && prefix <= 1 {
        // A lifetime has no closing quote after one character.
        let mut inner = bare[1..].chars();
        match (inner.next(), inner.next()) {
            (Some('\\'), _) | (Some(_), Some('\'')) => prefix + quoted(bare, '\''),
            _ => 0,
        }
    } else {
        0
    }
}

/// Returns the length of a literal between `quote` and the next one without a backslash.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (place, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return place + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut place) = (0, 0);
    while place < rest.len() {
        let (step, change) = match &rest.as_bytes()[place..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        (place, depth) = (place + step, depth + change);
        if depth == 0 {
            break;
        }
    }
    place
}

/// Returns `tokens` without the items under `#[cfg(test)]`, and the names of the modules among those
/// that have a file of their own.
pub fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut files) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text.as_str());
        if token.text == "#" && text(1) == "!" && text(2) == "[" && is_test(&tokens[at + 3..]) {
            return (Vec::new(), files);
        }
        if token.text == "#" && text(1) == "[" && is_test(&tokens[at + 2..]) {
            let end = end_of_item(tokens, at);
            let words: Vec<&str> = tokens[at..end].iter().map(|token| token.text.as_str()).collect();
            if let [.., "mod", name, ";"] = words[..] {
                files.push(name.to_owned());
            }
            at = end;
        } else {
            kept.push(token.clone());
            at += 1;
        }
    }
    (kept, files)
}

/// Whether an attribute, from after its bracket, is a condition that only tests meet.
fn is_test(attribute: &[Token]) -> bool {
    let words: Vec<&str> = attribute.iter().map(|token| token.text.as_str()).take_while(|word| *word != "]").collect();
    matches!(words[..], ["cfg", "(", "test", ")"] | ["cfg", "(", "all", "(", "test", ",", ..])
}

/// Returns the place after the item at `start`, which may begin with attributes.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while tokens.get(at).is_some_and(|token| token.text == "#") {
        at = end_of_group(tokens, at + 1);
    }
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" => return at + 1,
            "{" => return end_of_group(tokens, at),
            "}" => return at,
            "(" | "[" => at = end_of_group(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Returns the place after the bracket that closes the one at `start`.
pub fn end_of_group(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Returns the root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Returns the files below `folder` whose names end in `ending`, in order; none of what was built.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(files(&path, ending));
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        let tokens = tokens(source);
        tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_no_words() {
        for (source, expected) in [
            ("a // use crate::b\nc", "a c"),
            ("a /* x /* y */ z */ b", "a b"),
            ("/// crate::x\n//! crate::y\nz", "z"),
            (r#"f("use crate::b; \" }", 'x', '\'', b'{')"#, "f ( , , , )"),
            ("f(r#\"a \"quoted\" {\"#, br\"\\\", b\"{\")", "f ( , , )"),
            ("fn f<'a>(x: &'a str) {}", "fn f < ' a > ( x : & ' a str ) { }"),
            ("r#type; for_each(barb\"x\")", "r # type ; for_each ( barb )"),
            ("'é'; '\\u{7d}'; 'b", "; ; ' b"),
            ("a::b", "a :: b"),
        ] {
            assert_eq!(words(source), expected, "{source}");
        }
        let lines: Vec<usize> = tokens("a\n/* \n */ b \"\n\" c").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }

    #[test]
    fn items_for_tests_are_left_out() {
        let source = "
            #[cfg(test)] use a::{b};
            fn kept() {}
            #[cfg(test)] #[allow(x)] pub fn f(x: [u8; 2]) -> u8 { { 1 } }
            #[cfg(not(test))] fn also() {}
            #[cfg(test)] mod apart;
            #[cfg(all(test, unix))] mod tests { use c; }
        ";
        let (kept, files) = without_tests(&tokens(source));
        let functions: Vec<&str> =
            kept.windows(2).filter(|pair| pair[0].text == "fn").map(|pair| pair[1].text.as_str()).collect();
        assert_eq!(functions, ["kept", "also"]);
        assert!(kept.iter().all(|token| !["use", "mod"].contains(&token.text.as_str())), "{kept:?}");
        assert_eq!(files, ["apart"]);
        assert_eq!(without_tests(&tokens("#![cfg(test)] fn f() {}")).0, []);
    }
}
