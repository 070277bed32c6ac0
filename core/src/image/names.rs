//! The image names of an output.

use std::borrow::Cow;

use longshore_oci::{Error, ImageName, Result};

use crate::options::Value;
use crate::result::Image;

/// The names of an image: a list separated by commas, `*` or `*?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// `*`: the image's own names.
    Own,
    /// `*?`: the image's own names, if any.
    OwnIfAny,
    /// These names, in this order.
    Given(Vec<ImageName>),
}

impl Value for Names {
    fn syntax() -> Cow<'static, str> {
        "NAME[,NAME…]|*|*?".into()
    }

    fn parse(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::Own);
        }
        if text == "*?" {
            return Ok(Self::OwnIfAny);
        }
        let mut names: Vec<ImageName> = Vec::new();
        for name in text.split(',') {
            let name = name.trim().parse()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self::Given(names))
    }
}

/// Returns the error for `name=*` and a nameless image at this place of the result, whose tags do not count.
pub(super) fn nameless(place: usize, image: &Image) -> Error {
    let number = place + 1;
    match &image.tags[..] {
        [] => Error::option(format!("name=*, but image {number} has no name of its own")),
        [first, others @ ..] => {
            let tags: Vec<String> = image.tags.iter().map(|tag| format!("`{}`", tag.escape_debug())).collect();
            let what = if others.is_empty() { "tag" } else { "tags" };
            let message = format!("name=*, but image {number} has only the {what} {}, no name", tags.join(", "));
            Error::option(message).with_hint(format!("write name=NAME:{}", first.escape_debug()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_list_without_repetition() {
        let Names::Given(names) = Names::parse("a,b:1, a:latest").unwrap() else { panic!("a list") };
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["docker.io/library/a:latest", "docker.io/library/b:1"]);
        assert_eq!(Names::parse("*").unwrap(), Names::Own);
        assert_eq!(Names::parse("*?").unwrap(), Names::OwnIfAny);
        assert!(Names::parse("").is_err());
        assert!(Names::parse("a,,b").is_err());
    }
}
