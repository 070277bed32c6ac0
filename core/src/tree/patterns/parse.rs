//! Parses the text of a pattern into tokens.

use std::iter::Peekable;
use std::str::Chars;

use longshore_oci::{Error, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) negated: bool,
    /// The literal start of every match, kept apart because comparing it is cheap and settles most paths.
    pub(super) head: Vec<u8>,
    /// What follows `head`: nothing, or a wildcard and more.
    pub(super) tokens: Vec<Token>,
    /// The literal end of `tokens`, kept apart for the same reason.
    pub(super) tail: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Literal(char),
    /// `?`.
    Any,
    /// `[…]`, its ranges inclusive.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`.
    Run,
    /// Any other `**`: nothing, or anything that ends in a slash.
    Directories,
    /// `**` at the end, or before a literal end without a slash in between: anything.
    Everything,
}

impl Pattern {
    /// Parses one pattern; returns `None` for blank text and for the root itself.
    pub(super) fn parse(text: &str) -> Result<Option<Self>> {
        let trimmed = text.trim();
        let malformed = |what| Error::input(format!("malformed pattern {trimmed:?}: {what}"));
        let (negated, path) = match trimmed.strip_prefix('!') {
            Some(path) => (true, path.trim_start()),
            None => (false, trimmed),
        };
        if negated && path.is_empty() {
            return Err(malformed("nothing after the `!`").with_hint("name what to include again after the `!`"));
        }
        let hint = "put a `\\` before a special character that stands for itself";
        let mut literals = tokenize(&clean(path)).map_err(|what| malformed(what).with_hint(hint))?;
        if literals.is_empty() {
            return Ok(None);
        }
        let wildcard = |token: &Token| !matches!(token, Token::Literal(_));
        let first = literals.iter().position(wildcard).unwrap_or(literals.len());
        let tokens = literals.split_off(first);
        let last = tokens.iter().rposition(wildcard).map_or(0, |last| last + 1);
        Ok(Some(Self { negated, head: spell(&literals), tail: spell(&tokens[last..]), tokens }))
    }
}

/// Resolves `.`, `..` and repeated slashes, and drops leading and trailing ones; the root becomes empty.
fn clean(path: &str) -> String {
    let mut components = Vec::new();
    for component in path.split('/') {
        match (component, components.last()) {
            ("" | ".", _) => {}
            ("..", Some(&last)) if last != ".." => {
                components.pop();
            }
            // Nothing is above the root; a relative path that leads above it cannot be in the tree.
            ("..", None) if path.starts_with('/') => {}
            _ => components.push(component),
        }
    }
    components.join("/")
}

/// Splits a cleaned pattern into tokens, or returns what is wrong with it.
fn tokenize(pattern: &str) -> Result<Vec<Token>, &'static str> {
    // Docker compares such a pattern with the end of the path, not with whole components.
    if let Some(end) = pattern.strip_prefix("**")
        && !end.starts_with('/')
        && !end.contains(['*', '?', '[', ']', '\\'])
    {
        return Ok(std::iter::once(Token::Everything).chain(end.chars().map(Token::Literal)).collect());
    }
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                if chars.peek().is_some() { Token::Directories } else { Token::Everything }
            }
            '*' => Token::Run,
            '?' => Token::Any,
            '[' => class(&mut chars)?,
            '\\' => Token::Literal(chars.next().ok_or("nothing after the `\\` at its end")?),
            c => Token::Literal(c),
        };
        // A repeated `**` would only make every match slower.
        if token != Token::Directories || tokens.last() != Some(&token) {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// Parses a class, after its `[`.
fn class(chars: &mut Peekable<Chars<'_>>) -> Result<Token, &'static str> {
    const UNCLOSED: &str = "a `[` without its `]`";
    let bound = |chars: &mut Peekable<Chars<'_>>| match chars.next().ok_or(UNCLOSED)? {
        '\\' => chars.next().ok_or(UNCLOSED),
        '-' | ']' => Err("a `-` or `]` in a class where a character belongs"),
        c => Ok(c),
    };
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
        let low = bound(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { bound(chars)? } else { low };
        if low > high {
            return Err("a range in a class that ends before it starts");
        }
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges })
}

/// Returns the literal text of `tokens`.
fn spell(tokens: &[Token]) -> Vec<u8> {
    let literal = |token: &Token| if let Token::Literal(c) = token { Some(*c) } else { None };
    tokens.iter().filter_map(literal).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::Patterns;
    use super::super::tests::check;

    #[test]
    fn paths_are_cleaned() {
        check(&[
            (&["/a"], b"a", true),
            (&["a/"], b"a", true),
            (&["/a/"], b"b/a", false),
            (&["./a"], b"a", true),
            (&["a//b"], b"a/b", true),
            (&["a/./b"], b"a/b", true),
            (&["a/../b"], b"b", true),
            (&["a/../b"], b"a", false),
            (&["/../a"], b"a", true),
            (&["../a"], b"a", false),
            (&["a/../.."], b"a", false),
            (&["**/../a"], b"a", true),
            (&["  a\t"], b"a", true),
            (&["a", "! /a/b/"], b"a/b", false),
            (&["."], b"a", false),
            (&["/"], b"a", false),
            (&["a", "!."], b"a", true),
            (&["a", "!/"], b"a", true),
            (&["", " "], b"a", false),
        ]);
    }

    #[test]
    fn malformed_patterns_are_named() {
        let malformed = r"! \ a\ a\/ *\ [ a[ [] [^] [^ [^bc [a- [\ [a-\ []a] [-] [-x] [x-] [a-b-c] [z-a] !a[ **[ **/[";
        for pattern in malformed.split(' ') {
            let message = Patterns::new(["a", pattern]).unwrap_err().to_string();
            assert!(message.contains(&format!("{pattern:?}")), "{message}");
            assert!(Patterns::parse_file(&format!("a\n{pattern} \n")).is_err(), "{pattern}");
        }
        assert!(Patterns::parse_file("! \n").is_err());
    }
}
