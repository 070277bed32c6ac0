//! URLs from registries.

use std::fmt;
use std::net::IpAddr;

use longshore_oci::{Error, Result};
use ureq::http::Uri;

/// An absolute HTTP URL. Its query is kept unchanged, because registries sign theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) is_secure: bool,
    /// Host and port as written, without a user.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Url {
    pub(crate) fn new(is_secure: bool, authority: &str, path: impl Into<String>) -> Self {
        Self { is_secure, authority: authority.to_owned(), path: path.into() }
    }

    /// Reads an absolute URL.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::input(format!("URL `{}`: {reason}", bounded(&without_secrets(text))));
        let uri: Uri = text.parse().map_err(|_| invalid("not a URL"))?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid("neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("a user in it"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_secure, authority: authority.as_str().to_ascii_lowercase(), path })
    }

    /// Returns the whole URL, for a request.
    pub(crate) fn full(&self) -> String {
        format!("{}://{}{}", if self.is_secure { "https" } else { "http" }, self.authority, self.path)
    }

    /// Resolves `reference` in a response from this URL (RFC 3986, section 5.2): a `Location`, a link.
    pub(crate) fn join(&self, reference: &str) -> Result<Self> {
        let scheme = if self.is_secure { "https" } else { "http" };
        let reference = reference.split('#').next().unwrap_or_default();
        let has_scheme = reference.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
        if has_scheme {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{scheme}:{reference}"));
        }
        let path = self.path.split('?').next().unwrap_or("/");
        let joined = match reference.as_bytes().first() {
            Some(b'/') => reference.to_owned(),
            Some(b'?') => format!("{path}{reference}"),
            None => self.path.clone(),
            Some(_) => {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                let (relative, query) = reference.split_at(reference.find('?').unwrap_or(reference.len()));
                format!("{}{query}", without_dots(&format!("{parent}/{relative}")))
            }
        };
        Self::parse(&format!("{scheme}://{}{joined}", self.authority))
    }

    /// Returns the same URL with one more query parameter. The existing query is kept unchanged.
    pub(crate) fn with_query(&self, key: &str, value: &str) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{separator}{key}={}", self.path, encode(value));
        Self { path, ..self.clone() }
    }

    /// Returns whether both have the same scheme, host and port, and so may share credentials.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        let port = if self.is_secure { ":443" } else { ":80" };
        let plain = |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
        self.is_secure == other.is_secure && plain(&self.authority) == plain(&other.authority)
    }

    /// Returns whether it stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.authority)
    }
}

/// Removes the segments `.` and `..` of a path (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                kept.extend(is_last.then_some(""));
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

/// For messages: without the query, which may be signed and is then as good as a password.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", if self.is_secure { "https" } else { "http" }, self.authority)
    }
}

/// Returns the URL for messages, without user name, password and query.
fn without_secrets(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{}", &rest[end..]),
        None => text.to_owned(),
    }
}

/// Returns the host without its port; an IPv6 address without its brackets.
pub(crate) fn host(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Returns whether a host, with or without a port, is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host(authority);
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3), `:` and `/`. Queries may contain these two,
/// and digests and scopes stay readable in logs.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Returns text of a registry for messages: escaped, on one line, and not too long.
pub(crate) fn bounded(text: &str) -> String {
    const LIMIT: usize = 300;
    let mut short: String = text.trim().chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if text.trim().chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    short.replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Random;

    #[test]
    fn locations_are_resolved_and_their_queries_kept() {
        let base = Url::parse("https://r.example:5000/v2/a/blobs/uploads/?x=1").unwrap();
        for (location, expected) in [
            ("/v2/a/blobs/uploads/7?_state=a%2Fb==", "https://r.example:5000/v2/a/blobs/uploads/7?_state=a%2Fb=="),
            ("7?s=1", "https://r.example:5000/v2/a/blobs/uploads/7?s=1"),
            ("?s=2", "https://r.example:5000/v2/a/blobs/uploads/?s=2"),
            ("http://other.example/x", "http://other.example/x"),
            ("https://other.example", "https://other.example/"),
            ("//cdn.example/y", "https://cdn.example/y"),
            ("../7?d=../x", "https://r.example:5000/v2/a/blobs/7?d=../x"),
            ("./../../../../../../7/.", "https://r.example:5000/7/"),
        ] {
            assert_eq!(base.join(location).unwrap().full(), expected, "{location}");
        }
        let signed = base.join("/u?sig=a+b").unwrap().with_query("digest", "sha256:00");
        assert_eq!(signed.to_string(), "https://r.example:5000/u");
        assert_eq!(signed.path, "/u?sig=a+b&digest=sha256:00");
        assert_eq!(base.join("/u").unwrap().with_query("digest", "x y").path, "/u?digest=x%20y");
        for bad in ["ftp://a/b", "https://user:pass@a/b", "http://"] {
            assert!(base.join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_and_loopback() {
        let url = |text| Url::parse(text).unwrap();
        assert!(url("https://A.example/x").is_same_origin(&url("https://a.example:443/y")));
        assert!(!url("https://a.example/x").is_same_origin(&url("http://a.example/x")));
        assert!(!url("https://a.example/x").is_same_origin(&url("https://a.example:8443/x")));
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1:5000", "[::2]:1", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn text_of_a_registry_cannot_write_to_the_terminal() {
        assert_eq!(bounded("  a \u{1b}[31mred\n\"b\" "), "a \\u{1b}[31mred\\n\"b\"");
        assert_eq!(bounded(&"x".repeat(1000)).chars().count(), 301);
    }

    /// Writes the parts of a reference; the last one is how it is to be read.
    fn reference(random: &mut Random, base: &Url) -> (String, String) {
        let query =
            if random.below(2) == 0 { String::new() } else { format!("?{}", random.text("a=&%2F?/:@!$'()*+,;", 9)) };
        let path = format!("/{}", random.text("ab/-_~%7E!$&'()*+,;=:@", 12).replace("//", "/x"));
        let path = if path.starts_with("//") { "/y".to_owned() } else { path };
        let host = random.pick(&["r.example", "r.example:5000", "127.0.0.1:1", "[::1]:80", "xn--a.example"]);
        let (scheme, own) = (if base.is_secure { "https" } else { "http" }, &base.authority);
        let fragment = random.pick(&["", "#f", "#/x?y"]);
        let (text, read) = match random.below(4) {
            0 => (format!("{path}{query}"), format!("{scheme}://{own}{path}{query}")),
            1 => (format!("//{host}{path}{query}"), format!("{scheme}://{host}{path}{query}")),
            2 => (format!("http://{host}{path}{query}"), format!("http://{host}{path}{query}")),
            _ => {
                let name = random.text("abc-_~%7E", 5) + "z";
                (format!("{name}{query}"), format!("{scheme}://{own}/v2/a/{name}{query}"))
            }
        };
        (text + fragment, read)
    }

    #[test]
    fn references_of_the_grammar_are_resolved_and_broken_ones_end() {
        for mut random in Random::seeded(3986, 20_000) {
            let base = Url::new(random.below(2) == 0, "own.example:5000", "/v2/a/uploads?x=/y/z");
            let (text, expected) = reference(&mut random, &base);
            let read = base.join(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.full(), expected, "{text}");
            if let Ok(url) = base.join(&random.broken(&text)) {
                assert!(!url.authority.contains('@') && url.path.starts_with('/'), "{url:?}");
                assert!(!url.to_string().contains('?'), "{url}");
            }
        }
    }
}
