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

mod matcher;
mod parse;

use std::borrow::Cow;

use longshore_oci::{Error, Result};

use crate::options::Value;
use parse::Pattern;

/// An ordered list of patterns; a later one overrides earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    list: Vec<Pattern>,
    /// Directories that are left out wherever they are, by device and inode, and what is said of each.
    directories: Vec<((u64, u64), String)>,
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
        Ok(Self { list: parsed.collect::<Result<_>>()?, directories: Vec::new() })
    }

    /// Parses the text of a `.dockerignore` file: one pattern per line, `#` in the first column starts a
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
        self.directories.extend(later.directories);
    }

    /// Excludes the directory with these device and inode numbers, whatever its path is, and whatever patterns include
    /// again. A walk visits it, so that `said` can be said of it, but nothing in it.
    pub fn exclude_directory(&mut self, identity: (u64, u64), said: impl Into<String>) {
        self.directories.push((identity, said.into()));
    }

    /// Returns what is said of an excluded directory.
    pub fn excluded_directory(&self, identity: (u64, u64)) -> Option<&str> {
        self.directories.iter().find(|(own, _)| *own == identity).map(|(_, said)| said.as_str())
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

    /// Tells whether a path is excluded, itself or through a directory above it; the root is not. `path` is written as
    /// for [`enter`](Self::enter), which a walk uses, as it decides about each directory only once.
    pub fn excludes(&self, path: &[u8]) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let ends = slashes.chain((!path.is_empty()).then_some(path.len()));
        ends.fold(self.root(), |parent, end| self.enter(&parent, &path[..end])).is_excluded()
    }

    /// Tells whether a `!` pattern may include again something below `path`, a directory that is excluded.
    ///
    /// If not, a walk may skip the directory. True does not promise that there is such a path.
    pub fn may_reinclude_below(&self, path: &[u8]) -> bool {
        // A `!` pattern that matches the directory itself was overridden there, and so it is below.
        self.list.iter().any(|pattern| pattern.negated && pattern.may_match_below(path))
    }
}

impl Matched {
    /// Tells whether the path is excluded.
    pub fn is_excluded(&self) -> bool {
        self.excluded
    }
}

/// A list is one CSV record, as of other options.
impl Value for Patterns {
    fn syntax() -> Cow<'static, str> {
        "PATTERN[,PATTERN…]".into()
    }

    fn parse(text: &str) -> Result<Self> {
        Self::new(&Vec::<String>::parse(text)?).map_err(|error| {
            let message = error.message().to_owned();
            Error::option(message).with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn patterns(list: &[&str]) -> Patterns {
        Patterns::new(list).unwrap()
    }

    pub(super) fn check(cases: &[(&[&str], &[u8], bool)]) {
        for (list, path, expected) in cases {
            let excluded = patterns(list).excludes(path);
            assert_eq!(excluded, *expected, "{list:?} on {:?}", String::from_utf8_lossy(path));
        }
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
        assert!(!list.excludes(b"a"));
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
}
