//! What an output without a type, or a source without a scheme, was probably meant to be.

use std::path::Path;

use longshore_core::ExporterRegistry;
use longshore_core::oci::{Algorithm, ImageName};
use longshore_core::options::nearest;
use longshore_core::{Error, split_reference};

/// How other tools write destinations, and how they are written here.
const SCHEMES: [(&str, &str); 7] = [
    ("docker://", "type=registry,name="),
    ("oci-archive:", "type=oci,dest="),
    ("oci:", "type=oci,tar=false,dest="),
    ("docker-archive:", "type=docker,dest="),
    ("docker-daemon:", "type=docker,name="),
    ("image:", "type=image,name="),
    ("dir:", "type=oci,tar=false,dest="),
];

/// Returns the output with a type that `text`, which has none, was probably meant to be; `None` for what is a directory
/// or standard output, as in buildx.
pub(super) fn output(text: &str, exporters: &ExporterRegistry) -> Option<String> {
    if exporters.get(text).is_ok() && !Path::new(text).is_dir() {
        return Some(format!("type={text}"));
    }
    if let Some((scheme, start)) = SCHEMES.iter().find(|(scheme, _)| text.starts_with(scheme)) {
        let rest = &text[scheme.len()..];
        return Some(match rest.split_once(':').filter(|_| start.ends_with("dest=")) {
            Some((path, name)) => format!("{start}{path},name={name}"),
            None => format!("{start}{rest}"),
        });
    }
    let archive = Algorithm::of_file_name(text).filter(|_| !Path::new(text).is_dir());
    match text.split_once('=') {
        Some(("dest", _)) => Some(format!("type=oci,{text}")),
        Some(("name", _)) => Some(format!("type=image,{text}")),
        Some((key, value)) if nearest(key, ["type"]).is_some() => Some(format!("type={value}")),
        _ => match archive {
            Some(Algorithm::Uncompressed) => {
                Some(format!("type=oci,dest={text} for an image, or type=tar,dest={text} for its files"))
            }
            Some(compression) => Some(format!(
                "type=tar,dest={text},compression={compression} for files, or type=oci,dest=FILE.tar for an image"
            )),
            None => is_name(text).then(|| format!("type=registry,name={text}, or ./{text} for a directory")),
        },
    }
}

/// Returns whether a text is the name of an image with a tag, and no path of something that is there.
fn is_name(text: &str) -> bool {
    let is_tagged = text.parse::<ImageName>().is_ok_and(|name| name.is_tagged());
    is_tagged && !Path::new(text).exists()
}

/// Adds to the error of a source with an unknown scheme how to write what was probably meant.
pub(super) fn source(text: &str, error: Error) -> Error {
    if error.hint().is_some_and(|hint| hint.starts_with("did you mean")) {
        return error;
    }
    let path = split_reference(text).0;
    let is_archive = Algorithm::of_file_name(path).is_some();
    let is_path = text.starts_with(['.', '/', '~']) || is_archive;
    if Path::new(path).is_file() {
        return error.with_hint(format!(
            "{path} is no image; `longshore export scratch --layer {path} -o OUTPUT` makes one of an archive of files"
        ));
    }
    if is_path {
        return error.with_hint(format!("there is no {path}; write rootfs:DIR for a directory, oci:DIR for a layout, docker-archive:FILE for an archive"));
    }
    match text.parse::<ImageName>() {
        Ok(_) if text.contains(['/', ':']) => error.with_hint(format!(
            "the image store has no {text}; write docker://{text} for a registry, or `longshore pull {text}` first"
        )),
        _ => error,
    }
}
