//! List headers with quoted strings: `Link` (RFC 8288, section 3) and `Warning` (RFC 9111, section 5.5).

use super::bounded;

/// Returns the target of the first link with the relation `next` in all values of the header.
pub(crate) fn next(values: &[String]) -> Option<String> {
    values.iter().flat_map(|value| links(value)).find(|link| link.has_relation("next")).map(|link| link.target)
}

#[derive(Debug, PartialEq, Eq)]
struct Link {
    target: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Link {
    /// Returns whether the first `rel` lists this relation; a link with a context of its own (`anchor`) does not count.
    fn has_relation(&self, relation: &str) -> bool {
        let value = |name: &str| self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let relations = value("rel").unwrap_or_default();
        value("anchor").is_none_or(str::is_empty)
            && relations.split_ascii_whitespace().any(|own| own.eq_ignore_ascii_case(relation))
    }
}

/// Reads the links of one value. Anything else ends the list.
fn links(value: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((target, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
            return links;
        };
        let (parameters, after) = parameters(after);
        links.push(Link { target: target.trim().to_owned(), parameters });
        rest = after;
    }
}

/// Reads any number of `; name=value`. Returns the rest.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut parameters = Vec::new();
    loop {
        let Some(after) = blank(rest).strip_prefix(';') else { return (parameters, skip(rest)) };
        let after = blank(after);
        let end = after.find(|c: char| " \t=;,".contains(c)).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let (value, after) = match blank(after).strip_prefix('=') {
            Some(after) => parameter_value(blank(after), ';'),
            None => (String::new(), after),
        };
        if !name.is_empty() {
            parameters.push((name.to_ascii_lowercase(), value));
        }
        rest = after;
    }
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// Skips to the next comma.
fn skip(text: &str) -> &str {
    text.find(',').map_or("", |at| &text[at..])
}

/// Returns the texts of the warnings in all values of the header (distribution-spec 1.1, "Warnings"): `299 - "text"`,
/// in lists separated by commas.
pub(crate) fn warnings(values: &[String]) -> Vec<String> {
    let mut texts = Vec::new();
    for value in values {
        let mut rest = value.trim_start_matches([' ', '\t', ',']);
        while !rest.is_empty() {
            let (text, after) = warning(rest);
            texts.extend(text.map(|text| bounded(&text)).filter(|text| !text.is_empty()));
            rest = after.trim_start_matches([' ', '\t', ',']);
        }
    }
    texts
}

/// Reads a warning, and returns its text if it is for the user. Returns the rest, from the next comma.
fn warning(value: &str) -> (Option<String>, &str) {
    let token = |text| {
        let (token, after) = parameter_value(blank(text), '"');
        (token, blank(after))
    };
    let (code, after) = token(value);
    let (agent, after) = token(after);
    if !after.starts_with('"') {
        return (None, skip(after));
    }
    let (text, after) = parameter_value(after, ',');
    // A date in quotes may follow.
    let (_, after) = token(after);
    (Some(text).filter(|_| code == "299" && agent == "-"), skip(after))
}

/// Reads a quoted string, or a token up to a comma, white space or `separator` (RFC 9110, section 5.6). Returns the
/// rest.
pub(crate) fn parameter_value(text: &str, separator: char) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', separator, ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Random;

    fn found(header: &str) -> Option<String> {
        next(&[header.to_owned()])
    }

    #[test]
    fn the_next_page_is_found_wherever_it_is() {
        for header in [
            "</v2/p?n=1,2>; rel=next",
            r#"</v2/p?n=1,2>; title="a, \"b\"; rel=prev"; rel="next""#,
            r#"</first>; rel="first", </v2/p?n=1,2>;rel="last  Next""#,
            r#"</x>; rel="prev" , </v2/p?n=1,2> ; REL = next ; rel=prev"#,
            r#", ,</a,b>; title="</v2/x>; rel=next", </v2/p?n=1,2>; crossorigin; rel=next"#,
        ] {
            assert_eq!(found(header).as_deref(), Some("/v2/p?n=1,2"), "{header}");
        }
        for header in [
            "",
            "</a>",
            "</a>; rel=prev; rel=next",
            "</a>; rel=nextpage",
            "</a; rel=next",
            r#"</a>; rel=next; anchor="/b""#,
            r#"</a>; title="; rel=next"#,
        ] {
            assert_eq!(found(header), None, "{header}");
        }
        let headers = ["</a>; rel=prev".to_owned(), "</b>; rel=next".to_owned()];
        assert_eq!(next(&headers).as_deref(), Some("/b"));
    }

    #[test]
    fn warnings_are_those_for_the_user() {
        let of = |header: &str| warnings(&[header.to_owned()]);
        assert_eq!(of(r#"299 - "this \"image\" is old, move""#), [r#"this "image" is old, move"#]);
        assert_eq!(of("299 - \"a\u{1b}[31m\""), ["a\\u{1b}[31m"]);
        assert_eq!(of(r#"299 - "one, two" , 299 -"three",299 - "four""#), ["one, two", "three", "four"]);
        let dated = r#"110 proxy "stale, \"299\"", 299 - "late" "Wed, 21 Oct 2015 07:28:00 GMT", x, 299 - "last""#;
        assert_eq!(of(dated), ["late", "last"]);
        for other in [
            "",
            ",",
            "299, 299 -, x \"y\", 299 - z \"a\"",
            "299",
            "299 -",
            "299 - text",
            "199 - \"a\"",
            "299 agent \"a\"",
            "299 - \"\"",
        ] {
            assert!(of(other).is_empty(), "{other}");
        }
    }

    /// Writes a link, and returns what is to be read of it.
    fn link(random: &mut Random) -> (String, Link) {
        let target = random.text("/abc?=&,;\"'%2C ._-", 12).trim().to_owned();
        let mut text = format!("<{target}>");
        let mut parameters = Vec::new();
        for _ in 0..random.below(4) {
            let name = random.pick(&["rel", "title", "TYPE", "anchor", "x-y"]);
            let value = random.text("next prev,;=<>\\\"/ab", 10);
            let is_token = !value.is_empty() && value.chars().all(|c| c.is_ascii_lowercase());
            let written = match is_token && random.below(2) == 0 {
                true => value.clone(),
                false => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
            };
            text += &format!("{}; {name}{}={}{written}", random.space(), random.space(), random.space());
            parameters.push((name.to_ascii_lowercase(), value));
        }
        (text, Link { target, parameters })
    }

    #[test]
    fn links_of_the_grammar_are_read_and_broken_ones_end() {
        for mut random in Random::seeded(8288, 20_000) {
            let all: Vec<_> = (0..=random.below(3)).map(|_| link(&mut random)).collect();
            let separator = format!("{},{}", random.space(), random.space());
            let text = all.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(&separator);
            assert_eq!(links(&text), all.into_iter().map(|(_, link)| link).collect::<Vec<_>>(), "{text}");
            found(&random.broken(&text));
        }
    }
}
