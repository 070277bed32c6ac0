//! The grammar of `org.opencontainers.image.ref.name`.

/// Returns whether `text` is a reference (image-spec, annotations.md): components of letters and digits,
/// with single separators between them.
pub(super) fn is_ref_name(text: &str) -> bool {
    text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let mut rest = text;
    loop {
        let word = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        if rest.is_empty() {
            return true;
        }
        let separator = rest.strip_prefix("--").or_else(|| rest.strip_prefix(['-', '.', '_', ':', '@', '+']));
        let Some(after) = separator else { return false };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_grammar() {
        for text in ["latest", "v1.0", "a--b", "a-b_c+d", "registry:5000/a/b:c", "a/b@sha256:00"] {
            assert!(is_ref_name(text), "{text}");
        }
        for text in ["", "a/", "/a", "a---b", "a__b", "-a", "a.", "a b", "é", "a..b"] {
            assert!(!is_ref_name(text), "{text}");
        }
    }
}
