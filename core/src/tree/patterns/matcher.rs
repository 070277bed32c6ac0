//! Matching a pattern against a path.

use super::parse::{Pattern, Token};

impl Pattern {
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match path.strip_prefix(self.head.as_slice()) {
            Some(rest) if self.tokens.is_empty() => rest.is_empty(),
            Some(rest) => rest.ends_with(&self.tail) && reached(&self.tokens, rest).last() == Some(&true),
            None => false,
        }
    }

    /// Returns whether a path below `directory` may match.
    pub(super) fn may_match_below(&self, directory: &[u8]) -> bool {
        let mut start = directory.to_vec();
        // The root has no name before a slash.
        if !directory.is_empty() {
            start.push(b'/');
        }
        match start.strip_prefix(self.head.as_slice()) {
            Some(rest) => reached(&self.tokens, rest).contains(&true),
            None => self.head.starts_with(&start),
        }
    }
}

/// Returns which prefixes of `tokens` can match all of `text`: the entry at each index is about the tokens before
/// it, so the last one is about all of them.
///
/// All possible matches are followed in parallel, and none is tried twice, so the time is at most the product
/// of the two lengths, whatever the pattern.
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
                    // Within a component the next token cannot match yet, so this does not use `mark`.
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

/// Marks `at` as reached, and the positions after tokens there that can match nothing.
fn mark(tokens: &[Token], reached: &mut [bool], at: usize) {
    for (index, entry) in reached.iter_mut().enumerate().skip(at) {
        *entry = true;
        if !matches!(tokens.get(index), Some(Token::Run | Token::Directories | Token::Everything)) {
            break;
        }
    }
}

fn in_ranges(ranges: &[(char, char)], c: Option<char>) -> bool {
    // Go, which defines these classes, reads an invalid UTF-8 byte as this character.
    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
}

/// Decodes the first character and its length; an invalid UTF-8 byte is a character without a value.
fn first_char(text: &[u8]) -> (Option<char>, usize) {
    let start = &text[..text.len().min(4)];
    let first = start.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    (first, first.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, patterns};

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
    fn patterns_that_would_trap_a_backtracking_matcher() {
        let path = "a".repeat(2000);
        assert!(!patterns(&[&("*a".repeat(100) + "b")]).excludes(path.as_bytes()));
        assert!(patterns(&[&("*a".repeat(100) + "*")]).excludes(path.as_bytes()));
        let path = "a/".repeat(200) + "a";
        let list = patterns(&[&("**/".repeat(100) + "x"), &("**/a/".repeat(50) + "x*y")]);
        assert!(!list.excludes(path.as_bytes()));
        assert!(patterns(&[&("**/a/".repeat(50) + "*")]).excludes(path.as_bytes()));
    }
}
