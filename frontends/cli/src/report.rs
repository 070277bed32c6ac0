//! Errors, for display.

use std::sync::atomic::{AtomicBool, Ordering};

use longshore_core::Error;
use serde_json::{Value, json};

use crate::stderr::say;

/// Whether errors are printed as JSON.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Prints the errors that follow as JSON, one object per line.
pub(crate) fn as_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// Prints an error, its causes and its hint.
pub(crate) fn print(error: &anyhow::Error) {
    match AS_JSON.load(Ordering::Relaxed) {
        true => say(&format!("{}\n", json(error))),
        false => say(&text(error)),
    }
}

fn json(error: &anyhow::Error) -> Value {
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    let kind = error.downcast_ref::<Error>().map(|error| format!("{:?}", error.kind()));
    json!({"event": "error", "message": error.to_string(), "causes": causes, "hint": hint(error), "kind": kind})
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().filter_map(|error| error.downcast_ref::<Error>()).find_map(Error::hint).map(with_flags)
}

fn text(error: &anyhow::Error) -> String {
    let mut lines = vec![format!("error: {error}")];
    let mut last = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // A library may repeat the message of the cause in its own: print it only once.
        if !last.ends_with(&cause) {
            lines.push(format!("  caused by: {cause}"));
        }
        last = cause;
    }
    lines.extend(hint(error).map(|hint| format!("hint: {hint}")));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Actions in hints of libraries, and the corresponding flags of this command.
const FLAGS: [(&str, &str); 12] = [
    ("exclude it", "--exclude"),
    ("an excluded directory", "--exclude"),
    ("use an image store", "leave out --no-store"),
    ("choose another store", "--store"),
    ("work without one", "--no-store"),
    ("prune the store", "`longshore prune`"),
    ("choose a shorter path for the store", "--store"),
    ("use a bind mount", "--mount"),
    ("unpack to a directory", "--to"),
    ("select one platform", "--platform"),
    ("give it a name", "--name"),
    ("add an archive as a layer", "--layer"),
];

/// Adds the flags of this command to the actions in a hint.
fn with_flags(hint: &str) -> String {
    let mut text = hint.to_owned();
    for (words, flag) in FLAGS.iter().filter(|(words, flag)| hint.contains(words) && !hint.contains(flag)) {
        text = text.replacen(words, &format!("{words} ({flag})"), 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::Context;
    use longshore_core::content::Mount;

    #[test]
    fn causes_and_hint_follow_the_error() {
        let error = Err::<(), _>(Error::input("not a tar archive").with_hint("look at it"));
        let error = error.attempt(|| "cannot read layer a".to_owned()).unwrap_err();
        let expected = "error: cannot read layer a\n  caused by: not a tar archive\nhint: look at it\n";
        assert_eq!(text(&error.into()), expected);
    }

    /// A hint of a library names no flag, as most of its users have no command line.
    #[test]
    fn flags_follow_what_a_hint_says_to_do() {
        let error = longshore_core::unpack::mount_options(&Mount::bind("a")).unwrap_err();
        let expected = "error: the image is a single directory, which overlayfs cannot mount\n\
                        hint: use a bind mount (--mount)\n";
        assert_eq!(text(&error.into()), expected);
        let hint = "choose a shorter path for the store, or unpack to a directory";
        let expected = "choose a shorter path for the store (--store), or unpack to a directory (--to)";
        assert_eq!(with_flags(hint), expected);
        assert_eq!(with_flags("look at it"), "look at it");
    }

    /// Words that no hint has any more would be left without their flag.
    #[test]
    fn each_of_the_words_is_in_a_library() {
        let mut sources = String::new();
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() && !entry.ends_with("target") && !entry.ends_with("frontends/cli") {
                    folders.push(entry);
                } else if entry.extension().is_some_and(|extension| extension == "rs") {
                    sources += &std::fs::read_to_string(entry).unwrap();
                }
            }
        }
        let unused = FLAGS.iter().filter(|(words, _)| !sources.contains(words));
        assert_eq!(unused.collect::<Vec<_>>(), [&("", ""); 0]);
    }
}
