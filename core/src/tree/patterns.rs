//! Which paths of a tree to leave out: the rules of `.dockerignore`.
//!
//! | pattern | matches |
//! | --- | --- |
//! | `*` | any run of characters without a `/` |
//! | `?` | one character that is not a `/` |
//! | `[a-z]`, `[^a-z]` | one character of the class, or one outside it; either may be a `/` |
//! | `\c` | the character `c` |
//! | `**/` | any number of directories, also none |
//! | `**` at the end | everything: `a/**` is all below `a`, without `a` itself |
//! | `**name` without other wildcards | every path that ends in `name`, also within a component |
//!
//! A pattern holds for a path if it matches the path or a directory above it. Of those that hold, the
//! last one decides: an ordinary one excludes the path, one with a leading `!` includes it again.

use std::iter::Peekable;
use std::str::Chars;

use longshore_oci::{Error, Result};

/// An ordered list of patterns; a later one overrides earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    list: Vec<Pattern>,
}

/// Which patterns hold for one path, itself or through a directory above it.
///
/// Comes from [`Patterns::root`] and [`Patterns::enter`], and is of use only to the list it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    held: Vec<bool>,
    excluded: bool,
}

impl Patterns {
    /// Parses patterns as given on a command line.
    ///
    /// White space, `!`, leading and trailing slashes, `.` and `..` mean what they mean in a file, but a
    /// leading `#` is part of the pattern.
    ///
    /// # Errors
    /// A pattern is a bare `!`, ends in `\`, or has a malformed class.
    pub fn new<I, S>(patterns: I) -> Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let parsed = patterns.into_iter().filter_map(|pattern| Pattern::parse(pattern.as_ref()).transpose());
        Ok(Self { list: parsed.collect::<Result<_>>()? })
    }

    /// Parses the text of a `.dockerignore` file: one pattern a line, `#` in the first column starts a
    /// comment.
    ///
    /// # Errors
    /// As [`Patterns::new`].
    pub fn parse_file(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::new(text.lines().filter(|line| !line.starts_with('#')))
    }

    /// Appends `later`, whose patterns override the present ones.
    pub fn extend(&mut self, later: Patterns) {
        self.list.extend(later.list);
    }

    /// Tells whether there is no pattern, so that nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the state of the root, for which no pattern holds.
    pub fn root(&self) -> Matched {
        Matched { held: vec![false; self.list.len()], excluded: false }
    }

    /// Decides about `path`, given the state of the directory it is in.
    ///
    /// `path` is relative to the root, its components separated by single slashes, without a slash at
    /// either end.
    pub fn enter(&self, parent: &Matched, path: &[u8]) -> Matched {
        let mut matched = Matched { held: Vec::with_capacity(self.list.len()), excluded: false };
        for (index, pattern) in self.list.iter().enumerate() {
            let held = parent.held.get(index).is_some_and(|held| *held) || pattern.matches(path);
            if held {
                matched.excluded = !pattern.negated;
            }
            matched.held.push(held);
        }
        matched
    }

    /// Tells whether a `!` pattern may include again something below `path`, a directory that is excluded.
    ///
    /// If not, a walk may skip the directory. True does not promise that there is such a path.
    pub fn may_reinclude_below(&self, path: &[u8]) -> bool {
        // A `!` pattern that holds for the directory itself was overridden there, and so it is below.
        self.list.iter().any(|pattern| pattern.negated && pattern.may_match_below(path))
    }
}

impl Matched {
    /// Tells whether the path is excluded.
    pub fn is_excluded(&self) -> bool {
        self.excluded
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    negated: bool,
    /// What every match starts with, apart because comparing it is cheap and settles most paths.
    head: Vec<u8>,
    /// What follows `head`: nothing, or a wildcard and more.
    tokens: Vec<Token>,
    /// The literal end of `tokens`, for the same reason.
    tail: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
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
    /// `**` at the end, and before a literal end that no slash sets apart: anything.
    Everything,
}

impl Pattern {
    /// Parses one pattern; blank text and a pattern of the root itself are none.
    fn parse(text: &str) -> Result<Option<Self>> {
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

    fn matches(&self, path: &[u8]) -> bool {
        match path.strip_prefix(self.head.as_slice()) {
            Some(rest) if self.tokens.is_empty() => rest.is_empty(),
            Some(rest) => rest.ends_with(&self.tail) && reached(&self.tokens, rest).last() == Some(&true),
            None => false,
        }
    }

    /// Tells whether some path that starts with `directory` and a slash, and is longer, may match.
    fn may_match_below(&self, directory: &[u8]) -> bool {
        let mut start = directory.to_vec();
        // The root has no name for a slash to follow.
        if !directory.is_empty() {
            start.push(b'/');
        }
        match start.strip_prefix(self.head.as_slice()) {
            Some(rest) => reached(&self.tokens, rest).contains(&true),
            None => self.head.starts_with(&start),
        }
    }
}

/// Resolves `.`, `..` and repeated slashes, and drops those at either end; the root is empty.
fn clean(path: &str) -> String {
    let mut components = Vec::new();
    for component in path.split('/') {
        match (component, components.last()) {
            ("" | ".", _) => {}
            ("..", Some(&last)) if last != ".." => {
                components.pop();
            }
            // Nothing is above the root; above a relative path there is what no path in the tree names.
            ("..", None) if path.starts_with('/') => {}
            _ => components.push(component),
        }
    }
    components.join("/")
}

/// Splits a cleaned pattern into tokens, or says what is wrong with it.
fn tokenize(pattern: &str) -> Result<Vec<Token>, &'static str> {
    // Docker compares such a pattern with the end of the path and not with whole components.
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
        // A second `**` in a row adds nothing but work for every path.
        if token != Token::Directories || tokens.last() != Some(&token) {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// Parses a class, of which the `[` has been read.
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

/// Returns the text of the literals among `tokens`.
fn spell(tokens: &[Token]) -> Vec<u8> {
    let literal = |token: &Token| if let Token::Literal(c) = token { Some(*c) } else { None };
    tokens.iter().filter_map(literal).collect::<String>().into_bytes()
}

/// Returns how much of `tokens` can have matched when all of `text` has: at each index whether those
/// before it can, so the last entry is about all of them.
///
/// All the ways to match are followed at once and none is tried twice, so the time is at most the product
/// of the two lengths whatever the pattern.
fn reached(tokens: &[Token], mut text: &[u8]) -> Vec<bool> {
    let mut now = vec![false; tokens.len() + 1];
    let mut next = now.clone();
    mark(tokens, &mut now, 0);
    while !text.is_empty() && now.contains(&true) {
        let (c, length) = first_char(text);
        text = &text[length..];
        let slash = c == Some('/');
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| now[*at]) {
            match token {
                Token::Literal(literal) if c == Some(*literal) => mark(tokens, &mut next, at + 1),
                Token::Any if !slash => mark(tokens, &mut next, at + 1),
                Token::Class { negated, ranges } if in_ranges(ranges, c) != *negated => mark(tokens, &mut next, at + 1),
                Token::Run if !slash => mark(tokens, &mut next, at),
                Token::Everything => mark(tokens, &mut next, at),
                Token::Directories => {
                    // Within a component there is no way on, which is why this is not a mark.
                    next[at] = true;
                    if slash {
                        mark(tokens, &mut next, at + 1);
                    }
                }
                _ => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
        next.fill(false);
    }
    now
}

/// Marks `at` as reached, and what follows the tokens there that can match nothing.
fn mark(tokens: &[Token], reached: &mut [bool], at: usize) {
    for (index, entry) in reached.iter_mut().enumerate().skip(at) {
        *entry = true;
        if !matches!(tokens.get(index), Some(Token::Run | Token::Directories | Token::Everything)) {
            break;
        }
    }
}

fn in_ranges(ranges: &[(char, char)], c: Option<char>) -> bool {
    // Go, whose classes these are, reads a byte that is not UTF-8 as this character.
    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
}

/// Decodes the first character and its length; a byte that is not UTF-8 is a character without a value.
fn first_char(text: &[u8]) -> (Option<char>, usize) {
    let start = &text[..text.len().min(4)];
    let first = start.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    (first, first.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> Patterns {
        Patterns::new(list).unwrap()
    }

    /// Enters each directory on the way to `path`, as a walk does.
    fn excludes(patterns: &Patterns, path: &[u8]) -> bool {
        let ends = (0..path.len()).filter(|at| path[*at] == b'/').chain([path.len()]);
        ends.fold(patterns.root(), |parent, end| patterns.enter(&parent, &path[..end])).is_excluded()
    }

    fn check(cases: &[(&[&str], &[u8], bool)]) {
        for (list, path, expected) in cases {
            let excluded = excludes(&patterns(list), path);
            assert_eq!(excluded, *expected, "{list:?} on {:?}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn a_literal_matches_itself_and_what_is_below() {
        check(&[
            (&[], b"a", false),
            (&["a"], b"a", true),
            (&["a"], b"a/b/c", true),
            (&["a"], b"ab", false),
            (&["ab"], b"a", false),
            (&["a"], b"b/a", false),
            (&["a/b"], b"a", false),
            (&["a/b"], b"a/b", true),
            (&["a/b"], b"a/b/c", true),
            (&["a/b"], b"a/bc", false),
            (&["a.b"], b"aXb", false),
            (&["a+(b)|{c}$^"], b"a+(b)|{c}$^", true),
            (&["a]"], b"a]", true),
            (&["A"], b"a", false),
            (&["a b"], b"a b", true),
            (&["\u{e9}"], "\u{e9}".as_bytes(), true),
        ]);
    }

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
    fn single_wildcards_stay_within_a_component() {
        check(&[
            (&["*"], b"a", true),
            (&["*"], b"a/b", true),
            (&["*"], b".a", true),
            (&["*.c"], b"a.c", true),
            (&["*.c"], b".c", true),
            (&["*.c"], b"a.cc", false),
            (&["*.c"], b"d/a.c", false),
            (&["*.c"], b"d.c/a", true),
            (&["a*"], b"a", true),
            (&["a/*"], b"a", false),
            (&["a/*"], b"a/b", true),
            (&["a/*/c"], b"a/b/c", true),
            (&["a/*/c"], b"a/c", false),
            (&["a/*/c"], b"a/b/b/c", false),
            (&["*/*"], b"a", false),
            (&["a*b*c"], b"aXbYbc", true),
            (&["a*b*c"], b"aXbYcb", false),
            (&["a?c"], b"abc", true),
            (&["a?c"], b"ac", false),
            (&["a?c"], b"a/c", false),
            (&["a?c"], "a\u{263a}c".as_bytes(), true),
            (&["a??c"], "a\u{263a}c".as_bytes(), false),
            (&["*\n"], b"a\n", true),
        ]);
    }

    #[test]
    fn double_stars_cross_components() {
        check(&[
            (&["**"], b"a", true),
            (&["**"], b"a/b", true),
            (&["**/"], b"a", true),
            (&["**/**"], b"a", true),
            (&["***"], b"a/b", true),
            (&["****"], b"a/b", true),
            (&["**/a"], b"a", true),
            (&["**/a"], b"b/a", true),
            (&["**/a"], b"b/c/a/d", true),
            (&["**/a"], b"ba", false),
            (&["**/a"], b"b/ca", false),
            (&["**/a/b"], b"c/a/b", true),
            (&["**/a/b"], b"a/c/b", false),
            (&["**/*.c"], b"a.c", true),
            (&["**/*.c"], b"d/e/a.c", true),
            (&["**/*.c"], b"d/a.h", false),
            (&["a/**"], b"a", false),
            (&["a/**"], b"a/b", true),
            (&["a/**"], b"a/b/c", true),
            (&["a/**"], b"ab/c", false),
            (&["a/**/b"], b"a/b", true),
            (&["a/**/b"], b"a/c/d/b", true),
            (&["a/**/b"], b"a/cb", false),
            (&["a/**/**/b"], b"a/b", true),
            (&["a/**/*"], b"a", false),
            (&["*/**"], b"a", false),
            (&["**/a/**"], b"b/a", false),
            (&["**/a/**"], b"b/a/c", true),
            (&["**/a/**/b"], b"a/a/b", true),
            (&["**/b/**/c"], b"b/bc/c", true),
            (&["**/b**/c"], b"b/bc", true),
            (&["**/b**/c"], b"b/d", false),
            (&["a**"], b"a", true),
            (&["a**"], b"abc/d", true),
            (&["a**/*.c"], b"a/d/x.c", true),
            (&["a**b"], b"ab", true),
            (&["a**b"], b"ac/b", true),
            (&["a**b"], b"acb", false),
            (&["**.c"], b"d/a.c", true),
            (&["**.c"], b"a.h", false),
            (&["**.c*"], b"a.c", false),
            (&["**.c*"], b"d/.c", true),
        ]);
    }

    #[test]
    fn classes_and_escapes() {
        check(&[
            (&["[a-c]"], b"b", true),
            (&["[a-c]"], b"d", false),
            (&["[^a-c]"], b"b", false),
            (&["[^a-c]"], b"d", true),
            (&["[xa-c_]"], b"_", true),
            (&["[!a]"], b"!", true),
            (&["[!a]"], b"b", false),
            (&["[a^]"], b"^", true),
            (&["[^^]"], b"^", false),
            (&["[*?]"], b"*", true),
            (&["[*?]"], b"a", false),
            (&["[[]"], b"[", true),
            (&["[\\]a]"], b"]", true),
            (&["[\\--/]"], b"-", true),
            (&["[\\^a]"], b"^", true),
            (&["[a-\u{3b6}]"], "\u{3b1}".as_bytes(), true),
            (&["a[^x]b"], b"a/b", true),
            (&["*[0-9].[ch]"], b"main2.c", true),
            (&["\\*"], b"*", true),
            (&["\\*"], b"a", false),
            (&["a\\?"], b"a?", true),
            (&["\\[a]"], b"[a]", true),
            (&["\\\\"], b"\\", true),
            (&["\\d"], b"d", true),
            (&["\\d"], b"1", false),
            (&["**\\*"], b"a/*", true),
            (&["\\!a"], b"!a", true),
            (&["*", "!!a"], b"!a", false),
            (&["/!a"], b"!a", true),
            (&["#a"], b"#a", true),
        ]);
    }

    #[test]
    fn bytes_that_are_not_utf8() {
        check(&[
            (&["a?"], b"a\xff", true),
            (&["a?"], b"a\xe2\x98", false),
            (&["a??"], b"a\xe2\x98", true),
            (&["a*c"], b"a\xff\xfec", true),
            (&["*/c"], b"\xff/c", true),
            (&["**/c"], b"\xff\xff/c", true),
            (&["[^a]"], b"\xff", true),
            (&["[a-z]"], b"\xff", false),
            (&["\u{fffd}"], b"\xff", false),
            (&["*\u{fffd}"], b"\xff", false),
            (&["?c"], b"\xe2c", true),
            (&["\u{e9}*"], b"\xc3\xa9\xa9", true),
        ]);
    }

    #[test]
    fn the_last_pattern_that_holds_decides() {
        check(&[
            (&["*", "!a"], b"a", false),
            (&["*", "!a"], b"b", true),
            (&["!a", "*"], b"a", true),
            (&["*", "!a", "a"], b"a", true),
            (&["a", "!a/b"], b"a", true),
            (&["a", "!a/b"], b"a/b", false),
            (&["a", "!a/b"], b"a/b/c", false),
            (&["a", "!a/b", "a/b/c"], b"a/b/c/d", true),
            (&["a", "!a/b", "a/b/c"], b"a/b/d", false),
            (&["*.md", "!README*.md", "README-secret.md"], b"README-secret.md", true),
            (&["*.md", "README-secret.md", "!README*.md"], b"README-secret.md", false),
            (&["**", "!**/*.rs"], b"a/b.rs", false),
            (&["**", "!**/*.rs"], b"a/b", true),
            (&["a/**", "!a/b"], b"a", false),
            // A pattern holds below `a` even where it changed nothing about `a` itself.
            (&["a/b", "!a"], b"a/b", false),
            (&["!a"], b"a", false),
        ]);
    }

    #[test]
    fn files_have_comments() {
        let text = "\u{feff}# comment\r\na\r\n\n  \t\n /b/ \n!a/c\n #d\n\\#e\n! a/f";
        let parsed = Patterns::parse_file(text).unwrap();
        assert_eq!(parsed, patterns(&["a", "b", "!a/c", "#d", "#e", "!a/f"]));
        assert!(Patterns::parse_file("\u{feff}#a").unwrap().is_empty());
        assert!(Patterns::parse_file("").unwrap().is_empty());
        assert!(patterns(&[".", "!/", ""]).is_empty());
        assert!(!parsed.is_empty());
    }

    #[test]
    fn later_patterns_are_appended() {
        let mut list = patterns(&["*"]);
        list.extend(patterns(&["!a"]));
        assert_eq!(list, patterns(&["*", "!a"]));
        assert!(!excludes(&list, b"a"));
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

    #[test]
    fn a_walk_finds_what_is_included_again() {
        const TREE: &str = "a/ a/keep a/lose b/ b/c/ b/c/keep b/lose d/ d/keep e/ e/keep e/f/ e/f/x";
        let walk = |patterns: &Patterns| {
            let (mut included, mut skipped) = (Vec::new(), Vec::new());
            let mut parents = vec![("", patterns.root())];
            for entry in TREE.split(' ') {
                let path = entry.trim_end_matches('/');
                if skipped.iter().any(|skipped: &&str| path.starts_with(*skipped)) {
                    continue;
                }
                while !path.starts_with(parents.last().unwrap().0) {
                    parents.pop();
                }
                let matched = patterns.enter(&parents.last().unwrap().1, path.as_bytes());
                if !matched.is_excluded() {
                    included.push(path);
                } else if path != entry && !patterns.may_reinclude_below(path.as_bytes()) {
                    skipped.push(entry);
                }
                if path != entry {
                    parents.push((entry, matched));
                }
            }
            (included.join(" "), skipped.join(" "))
        };
        let cases: &[(&[&str], &str, &str)] = &[
            (&["*"], "", "a/ b/ d/ e/"),
            (&["*", "!a/keep"], "a/keep", "b/ d/ e/"),
            (&["*", "!*/keep"], "a/keep d/keep e/keep", "b/c/ e/f/"),
            (&["*", "!**/keep"], "a/keep b/c/keep d/keep e/keep", ""),
            (&["*", "!b/**"], "b/c b/c/keep b/lose", "a/ d/ e/"),
            (&["*", "!e", "e/f"], "e e/keep", "a/ b/ d/ e/f/"),
            (&["a", "b/c", "!b", "d", "e/f"], "b b/c b/c/keep b/lose e e/keep", "a/ d/ e/f/"),
        ];
        for (list, included, skipped) in cases {
            assert_eq!(walk(&patterns(list)), ((*included).to_owned(), (*skipped).to_owned()), "{list:?}");
        }
    }

    #[test]
    fn directories_that_may_hold_an_exception() {
        let cases: &[(&str, &str, bool)] = &[
            ("a", "a", false),
            ("!a", "a", false),
            ("!a", "b", false),
            ("!a", "", true),
            ("!*", "", true),
            ("!a/b", "a", true),
            ("!a/b", "a/b", false),
            ("!a/b", "ab", false),
            ("!ab", "a", false),
            ("!a/*/c", "a", true),
            ("!a/*/c", "a/x", true),
            ("!a/*/c", "a/x/y", false),
            ("!a*", "ab", false),
            ("!a**", "ab", true),
            ("!a/**", "a/b/c", true),
            ("!**/x", "a/b", true),
            ("!a/**/x", "b", false),
            ("!**x", "b", true),
            ("!a/[bc]/d", "a/b", true),
            ("!a/[bc]/d", "a/d", false),
            ("!a[^x]b", "a", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(patterns(&[pattern]).may_reinclude_below(path.as_bytes()), *expected, "{pattern} below {path}");
        }
    }

    #[test]
    fn patterns_that_would_trap_a_backtracking_matcher() {
        let path = "a".repeat(2000);
        assert!(!excludes(&patterns(&[&("*a".repeat(100) + "b")]), path.as_bytes()));
        assert!(excludes(&patterns(&[&("*a".repeat(100) + "*")]), path.as_bytes()));
        let path = "a/".repeat(200) + "a";
        let list = patterns(&[&("**/".repeat(100) + "x"), &("**/a/".repeat(50) + "x*y")]);
        assert!(!excludes(&list, path.as_bytes()));
        assert!(excludes(&patterns(&[&("**/a/".repeat(50) + "*")]), path.as_bytes()));
    }
}
