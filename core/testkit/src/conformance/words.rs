//! Naming and description of types, schemes and options.

use longshore_core::options::OptionInfo;

/// Fails unless `word` is lower case and begins with a letter.
pub(super) fn assert_word(what: &str, word: &str) {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'[');
    let is_word = word.starts_with(|first: char| first.is_ascii_lowercase()) && word.bytes().all(rest);
    assert!(is_word, "{what} `{word}`: not lower case");
}

/// Fails unless `text` is one line without a full stop.
pub(super) fn assert_line(what: &str, text: &str) {
    let is_line = !text.trim().is_empty() && text.trim() == text && !text.contains('\n');
    assert!(is_line && !text.ends_with('.'), "{what} `{text}`");
}

/// Fails unless each option has a unique key, a help text, a syntax and a default.
pub(super) fn assert_options(options: &[OptionInfo]) {
    let mut keys = Vec::new();
    for option in options {
        let key = &option.key;
        assert_word("option", stem(key));
        assert!(!["type", "dest"].contains(&key.as_ref()), "option `{key}`: belongs to the host");
        assert!(!keys.contains(&key), "option `{key}`: declared twice");
        assert_line(&format!("option `{key}`: help"), &option.help);
        assert_line(&format!("option `{key}`: syntax"), &option.syntax);
        assert_line(&format!("option `{key}`: default"), &option.default);
        keys.push(key);
    }
}

/// Returns a typo in the key of an option, or in the stem of a family.
pub(super) fn typo(key: &str) -> String {
    format!("{}x{}", stem(key), &key[stem(key).len()..])
}

/// Returns everything before the part of a key that the user chooses.
fn stem(key: &str) -> &str {
    &key[..key.find(['[', '.']).unwrap_or(key.len())]
}
