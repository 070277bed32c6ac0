//! The paths of the crate's own that a file of Rust names, in `use` and in code.

use crate::source::{Token, end_of_group};

/// A path from the root of the crate, such as `["image", "options", "ImageOptions"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPath {
    pub segments: Vec<String>,
    /// The name that it has from here on, in a `use`.
    pub name: Option<String>,
    pub line: usize,
}

/// Returns the paths that the file of `module` names. Those that begin with neither `crate`, `self` nor `super`
/// are taken from the root of the crate if they are in its file, and left out elsewhere.
pub fn paths(module: &[String], tokens: &[Token]) -> Vec<OwnPath> {
    let mut reader = Reader { tokens, at: 0, module: module.to_vec(), inline: Vec::new(), found: Vec::new() };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The module, with those inside the file that it is in.
    module: Vec<String>,
    /// Where the inline modules end.
    inline: Vec<usize>,
    found: Vec<OwnPath>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn before(&self) -> &str {
        self.at.checked_sub(1).map_or("", |at| self.text(at))
    }

    fn step(&mut self) {
        while self.inline.last().is_some_and(|end| *end <= self.at) {
            self.inline.pop();
            self.module.pop();
        }
        match self.text(self.at) {
            "mod" if self.text(self.at + 2) == "{" => {
                self.inline.push(end_of_group(self.tokens, self.at + 2));
                self.module.push(self.text(self.at + 1).to_owned());
                self.at += 3;
            }
            // `impl Trait + use<'a>` names no path.
            "use" if self.text(self.at + 1) != "<" => {
                self.at += 1;
                self.tree(&[]);
            }
            text if starts_path(text) && self.text(self.at + 1) == "::" && self.before() != "::" => {
                let line = self.tokens[self.at].line;
                let mut segments = vec![text.to_owned()];
                while self.text(self.at + 1) == "::" && starts_path(self.text(self.at + 2)) {
                    segments.push(self.text(self.at + 2).to_owned());
                    self.at += 2;
                }
                self.at += 1;
                self.keep(segments, None, line);
            }
            _ => self.at += 1,
        }
    }

    /// Reads what may stand after `use`, or between the commas of its braces.
    fn tree(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.text(self.at) {
                "{" => return self.group(&segments),
                "::" if segments.is_empty() => segments.push(String::new()),
                "::" => {}
                "," | ";" | "}" | "" => break,
                "as" => {
                    let name = self.text(self.at + 1).to_owned();
                    self.at += 2;
                    return self.keep(segments, Some(name), line);
                }
                word => segments.push(word.to_owned()),
            }
            self.at += 1;
        }
        let name = segments.iter().rev().find(|segment| *segment != "self").cloned();
        self.keep(segments, name, line);
    }

    fn group(&mut self, prefix: &[String]) {
        let end = end_of_group(self.tokens, self.at);
        self.at += 1;
        while self.at + 1 < end {
            if self.text(self.at) == "," {
                self.at += 1;
            } else {
                self.tree(prefix);
            }
        }
        self.at = end;
    }

    fn keep(&mut self, segments: Vec<String>, name: Option<String>, line: usize) {
        let mut path = match segments[0].as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ if self.module.is_empty() => segments[..1].to_vec(),
            _ => return,
        };
        if segments[0] == "super" {
            path.pop();
        }
        for segment in &segments[1..] {
            match segment.as_str() {
                "super" => drop(path.pop()),
                "self" => {}
                segment => path.push(segment.to_owned()),
            }
        }
        if !path.is_empty() {
            self.found.push(OwnPath { segments: path, name, line });
        }
    }
}

fn starts_path(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tokens;

    fn found(module: &[&str], source: &str) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|name| (*name).to_owned()).collect();
        paths(&module, &tokens(source)).iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn paths_of_uses() {
        for (source, expected) in [
            ("use crate::a::B;", vec!["a::B"]),
            ("use crate::{a::{self, B}, c,\n d::e::*};", vec!["a", "a::B", "c", "d::e::*"]),
            ("use std::io; use ::other::x; use other::{a, b};", vec![]),
            ("use super::a; use self::b::C; use super::super::d::E;", vec!["x::a", "x::y::b::C", "d::E"]),
            ("pub(crate) use super::{a as b};", vec!["x::a"]),
            (
                "mod inner { use super::a; mod more { use super::super::b; } } use super::c;",
                vec!["x::y::a", "x::y::b", "x::c"],
            ),
        ] {
            assert_eq!(found(&["x", "y"], source), expected, "{source}");
        }
    }

    #[test]
    fn paths_of_code() {
        let code = "fn f(x: &crate::a::B) -> impl Sized + use<'_> { super::c::d(x); x.y::<u8>(); std::mem::drop(x) }";
        assert_eq!(found(&["x"], code), ["a::B", "c::d"]);
        assert_eq!(found(&["x"], "macro_rules! m { () => { $crate::b::c() } } pub(crate) fn f() {}"), ["b::c"]);
    }

    #[test]
    fn paths_of_the_root() {
        assert_eq!(found(&[], "use a::B; pub use b::C; fn f() { c::d() }"), ["a::B", "b::C", "c::d"]);
        let named = paths(&[], &tokens("pub use a::B; pub(crate) use a::C as D; use a::{self, F};"));
        let names: Vec<_> = named.iter().map(|path| path.name.as_deref().unwrap_or_default()).collect();
        assert_eq!(names, ["B", "D", "a", "F"]);
    }
}
