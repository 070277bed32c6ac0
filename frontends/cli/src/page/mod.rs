//! An image, or the difference of two, as a page: one file that needs no network, and shows what is in it as text only.

use std::path::Path;
use std::process::{Command, Stdio};

use longshore_core::content::check_parent;
use longshore_core::{Context, Error, FileSink, Result};
use serde_json::Value;

use crate::stderr::say;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Fails if a page cannot be written to a path, before anything is read for it.
pub(crate) fn check(path: &Path) -> Result<()> {
    let error = |error: Error| Err(error).attempt(|| format!("cannot write {}", path.display()));
    match path.is_dir() {
        true => error(Error::option("it is a directory").with_hint("name a file, such as image.html")),
        false => check_parent(path).or_else(error),
    }
}

/// Writes a page of `data` to a file, which is replaced as a whole, or to standard output.
pub(crate) fn put(path: &Path, title: &str, data: &Value) -> Result<()> {
    let page = page(title, data);
    if path.as_os_str() == "-" {
        return crate::stdout::print(page);
    }
    let filled = FileSink::path(path)?.fill(|out| Ok(out.write_all(page.as_bytes())?));
    filled.and_then(|filled| filled.publish()).attempt(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn page(title: &str, data: &Value) -> String {
    // No text of an image may end the element that it is in.
    let data = data.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let parts = [("@TITLE@", title.as_str()), ("@STYLE@", STYLE), ("@SCRIPT@", SCRIPT), ("@DATA@", &data)];
    let mut page = String::new();
    let mut rest = TEMPLATE;
    // One pass: what is put in is not looked at again.
    while let Some((at, (name, text))) =
        parts.iter().filter_map(|part| Some((rest.find(part.0)?, part))).min_by_key(|(at, _)| *at)
    {
        page += &rest[..at];
        page += text;
        rest = &rest[at + name.len()..];
    }
    page + rest
}

/// Opens a page in the browser of this desktop. That there is none is said, and no failure.
pub(crate) fn open(path: &Path) {
    let mut command = Command::new("xdg-open");
    let opened = command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !opened.is_ok_and(|status| status.success()) {
        say(&format!("no browser was found: open {}\n", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_an_image_stays_text() {
        let hostile = "</script><script>alert(1)</script>@DATA@";
        let page = page(hostile, &json!({"title": hostile}));
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(!page.contains("</script><script>alert"));
        assert_eq!(page.matches("alert(1)").count(), 2, "as the title and as data");
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
    }
}
