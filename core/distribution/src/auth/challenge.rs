//! `WWW-Authenticate`: what a registry asks for (RFC 9110, section 11.6.1).

use crate::http::{bounded, parameter_value};

/// One challenge of a response, which may contain several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Its scheme, in lower case.
    pub(super) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Returns the challenges of all `headers`. Skips what cannot be parsed: another challenge may do.
pub(super) fn parse(headers: &[String]) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for header in headers {
        let mut rest = header.as_str();
        while let Some(after) = next_item(rest.trim_start_matches([' ', '\t', ',']), &mut challenges) {
            rest = after;
        }
    }
    challenges
}

/// Returns why the challenges refuse a request (RFC 6750, section 3), or, if none is Basic or Bearer, which schemes
/// they ask for.
pub(super) fn cause(headers: &[String]) -> Option<String> {
    let challenges = parse(headers);
    let said = challenges.iter().find_map(|challenge| {
        let error = challenge.parameter("error")?;
        let description = challenge.parameter("error_description").map(|text| format!(", {text}")).unwrap_or_default();
        Some(bounded(&format!("{error}{description}")))
    });
    let is_known = |challenge: &Challenge| matches!(challenge.scheme.as_str(), "basic" | "bearer");
    match said {
        Some(said) => Some(format!("the challenge says {said}")),
        None if challenges.is_empty() || challenges.iter().any(is_known) => None,
        None => {
            let schemes: Vec<_> = challenges.iter().map(|challenge| challenge.scheme.as_str()).collect();
            Some(format!("the challenge asks for {}, which is not supported", bounded(&schemes.join(" or "))))
        }
    }
}

/// Reads a scheme or a parameter, and returns what follows it.
fn next_item<'t>(text: &'t str, challenges: &mut Vec<Challenge>) -> Option<&'t str> {
    let end = text.find(|c: char| !is_token(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.is_empty() {
        // No longer a list: continue after the next comma, if any.
        return text.split_once(',').map(|(_, rest)| rest);
    }
    let value = rest.trim_start_matches([' ', '\t']).strip_prefix('=');
    let Some(value) = value.filter(|value| !value.starts_with('=')) else {
        challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
        return Some(skip_token68(rest));
    };
    let (value, rest) = parameter_value(value.trim_start_matches([' ', '\t']), ',');
    if let Some(challenge) = challenges.last_mut() {
        challenge.parameters.push((word.to_ascii_lowercase(), value));
    }
    Some(rest)
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Skips the single word that may follow a scheme instead of parameters, as for Negotiate (RFC 9110, section 11.2).
fn skip_token68(text: &str) -> &str {
    let trimmed = text.trim_start_matches([' ', '\t']);
    let end = trimmed.find([',', ' ', '\t']).unwrap_or(trimmed.len());
    let (word, rest) = trimmed.split_at(end);
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let is_last = matches!(rest.trim_start_matches([' ', '\t']).chars().next(), None | Some(','));
    let is_word = is_last && !word.is_empty() && word.trim_end_matches('=').chars().all(is_known);
    if is_word { rest } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Random;

    fn schemes(headers: &[&str]) -> Vec<String> {
        let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        parse(&headers).into_iter().map(|challenge| challenge.scheme).collect()
    }

    #[test]
    fn commas_in_quotes_are_not_between_challenges() {
        let header = r#"Bearer realm="https://a.example/token?a=b,c",service="r",scope="repository:x:pull,push""#;
        let challenges = parse(&[header.to_owned()]);
        assert_eq!(challenges.len(), 1);
        assert_eq!(challenges[0].parameter("realm"), Some("https://a.example/token?a=b,c"));
        assert_eq!(challenges[0].parameter("scope"), Some("repository:x:pull,push"));
        assert_eq!(challenges[0].parameter("error"), None);
    }

    #[test]
    fn several_challenges_in_one_header_and_in_several() {
        let one = r#"Negotiate, Basic realm="a \"quoted\", realm" , BEARER realm=plain,service="s""#;
        assert_eq!(schemes(&[one]), ["negotiate", "basic", "bearer"]);
        let challenges = parse(&[one.to_owned()]);
        assert_eq!(challenges[1].parameter("realm"), Some("a \"quoted\", realm"));
        assert_eq!(challenges[2].parameter("realm"), Some("plain"));
        assert_eq!(
            schemes(&["Negotiate YWJj/ZGVm==, Basic realm=x", "Bearer realm=y"]),
            ["negotiate", "basic", "bearer"]
        );
    }

    #[test]
    fn nonsense_ends() {
        for text in ["", ",,,", "=", "\"", "Bearer realm=\"open", "\u{7f}, Basic realm=x", "Basic =", "a=b"] {
            parse(&[text.to_owned()]);
        }
        assert_eq!(schemes(&["\u{7f}, Basic realm=x"]), ["basic"]);
    }

    /// Writes a challenge, and returns what is to be read of it.
    fn challenge(random: &mut Random) -> (String, Challenge) {
        let scheme = random.pick(&["Bearer", "basic", "NEGOTIATE", "x-1"]);
        let mut challenge = Challenge { scheme: scheme.to_ascii_lowercase(), parameters: Vec::new() };
        let mut text = scheme.to_owned();
        if random.below(4) == 0 {
            text += &format!(" {}{}", random.text("aZ09+/._~-", 8), random.pick(&["x", "x=", "x=="]));
            return (text, challenge);
        }
        for at in 0..random.below(4) {
            let name = random.pick(&["realm", "scope", "Service", "error"]);
            let value = random.text("https://a.b/c?d=e,f \"\\;pull=", 12);
            let is_token = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
            let written = match is_token && random.below(2) == 0 {
                true => value.clone(),
                false => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
            };
            text += &if at == 0 { " ".to_owned() } else { format!("{},{}", random.space(), random.space()) };
            text += &format!("{name}{}={}{written}", random.space(), random.space());
            challenge.parameters.push((name.to_ascii_lowercase(), value));
        }
        (text, challenge)
    }

    #[test]
    fn challenges_of_the_grammar_are_read_and_broken_ones_end() {
        for mut random in Random::seeded(9110, 20_000) {
            let all: Vec<_> = (0..=random.below(3)).map(|_| challenge(&mut random)).collect();
            let separator = format!("{},{}", random.space(), random.space());
            let text = all.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(&separator);
            let expected: Vec<_> = all.into_iter().map(|(_, challenge)| challenge).collect();
            assert_eq!(parse(std::slice::from_ref(&text)), expected, "{text}");
            let broken = [random.broken(&text)];
            parse(&broken);
            cause(&broken);
        }
    }
}
