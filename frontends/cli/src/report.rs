//! Errors, for display.

use longshore_core::Error;

use crate::stderr::say;

/// Prints an error, its causes and what to do about it.
pub(crate) fn print(error: &anyhow::Error) {
    say(&text(error));
}

fn text(error: &anyhow::Error) -> String {
    let mut lines = vec![format!("error: {error}")];
    let mut last = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // A library that puts the message of its cause in its own says it once here.
        if !last.ends_with(&cause) {
            lines.push(format!("  caused by: {cause}"));
        }
        last = cause;
    }
    let hint = error.chain().filter_map(|error| error.downcast_ref::<Error>()).find_map(Error::hint);
    lines.extend(hint.map(|hint| format!("hint: {hint}")));
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::Context;

    #[test]
    fn causes_and_hint_follow_the_error() {
        let error = Err::<(), _>(Error::input("not a tar archive").with_hint("look at it"));
        let error = error.attempt(|| "cannot read layer a".to_owned()).unwrap_err();
        let expected = "error: cannot read layer a\n  caused by: not a tar archive\nhint: look at it\n";
        assert_eq!(text(&error.into()), expected);
    }
}
