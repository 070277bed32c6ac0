//! `--annotation`: annotations for every output that supports them, with buildx's syntax.

use longshore_core::{Error, ExporterRegistry, OutputSpec, Result};

/// What an annotation can be put on, and the corresponding option.
const TYPES: [(&str, &str); 4] = [
    ("manifest", "annotation"),
    ("index", "annotation-index"),
    ("manifest-descriptor", "annotation-manifest-descriptor"),
    ("index-descriptor", "annotation-index-descriptor"),
];

/// Sets the annotations on each output that supports them, in place of equal ones of the output. The last of several for
/// one key counts.
///
/// # Errors
/// Text that is not `[TYPE[[PLATFORM]],…:]KEY=VALUE`; outputs none of which supports annotations.
pub(super) fn annotate(specs: &mut [OutputSpec], texts: &[String], exporters: &ExporterRegistry) -> Result<()> {
    let options: Vec<Vec<(String, String)>> = texts.iter().map(|text| options(text)).collect::<Result<_>>()?;
    if options.is_empty() {
        return Ok(());
    }
    let mut is_of_use = specs.is_empty();
    for spec in &mut *specs {
        let info = exporters.get(&spec.kind)?.info();
        if !info.options.iter().any(|option| option.key.starts_with(TYPES[0].1)) {
            continue;
        }
        is_of_use = true;
        for (key, value) in options.iter().flatten() {
            // An option is later than those that were set before, also those with another spelling.
            spec.attrs.take(key);
            spec.attrs.insert(key.clone(), value.clone(), None);
        }
    }
    if is_of_use {
        return Ok(());
    }
    let kinds: Vec<String> = specs.iter().map(|spec| format!("type={}", spec.kind)).collect();
    Err(Error::option(format!("--annotation has no effect on {}", kinds.join(" and ")))
        .with_hint("leave it out, or add an output of images, such as type=oci"))
}

/// Returns the options for one annotation.
fn options(text: &str) -> Result<Vec<(String, String)>> {
    let invalid = |reason: &str| {
        Error::option(format!("--annotation: `{}` {reason}", text.escape_debug()))
            .with_hint("write KEY=VALUE, index:KEY=VALUE or manifest[linux/amd64]:KEY=VALUE")
    };
    let (left, value) = text.split_once('=').ok_or_else(|| invalid("is not KEY=VALUE"))?;
    let (types, key) = left.split_once(':').unwrap_or(("manifest", left));
    if key.is_empty() {
        return Err(invalid("has no key"));
    }
    if key.contains(char::is_whitespace) {
        return Err(invalid("has white space in its key"));
    }
    types
        .split(',')
        .map(|word| {
            let (name, platform) = word.split_once('[').map_or((word, ""), |(name, _)| (name, &word[name.len()..]));
            let known = TYPES.iter().find(|(known, _)| *known == name);
            let (_, stem) = known.ok_or_else(|| invalid(&format!("has the unknown type `{}`", name.escape_debug())))?;
            Ok((format!("{stem}{platform}.{key}"), value.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_options() {
        for (text, expected) in [
            ("Foo=bar=1", vec!["annotation.Foo=bar=1"]),
            ("index:a.b=", vec!["annotation-index.a.b="]),
            (
                "manifest[linux/arm/v7],manifest-descriptor:k=v",
                vec!["annotation[linux/arm/v7].k=v", "annotation-manifest-descriptor.k=v"],
            ),
        ] {
            let found: Vec<String> =
                options(text).unwrap().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(found, expected, "{text}");
        }
        for text in ["foo", "=x", "layer:k=v", "index:=v", "a b=c"] {
            assert!(options(text).is_err(), "{text}");
        }
    }
}
