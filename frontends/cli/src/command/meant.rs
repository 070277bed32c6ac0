//! What an output without a type was probably meant to be.

use longshore_core::ExporterRegistry;

/// How other tools write destinations, and how they are written here.
const SCHEMES: [(&str, &str); 6] = [
    ("docker://", "type=registry,name="),
    ("oci-archive:", "type=oci,dest="),
    ("oci:", "type=oci,tar=false,dest="),
    ("docker-archive:", "type=docker,dest="),
    ("image:", "type=image,name="),
    ("dir:", "type=oci,tar=false,dest="),
];

/// Returns the nearest output with a type.
pub(super) fn output(text: &str, exporters: &ExporterRegistry) -> String {
    if exporters.get(text).is_ok() {
        return format!("type={text}");
    }
    if let Some((scheme, start)) = SCHEMES.iter().find(|(scheme, _)| text.starts_with(scheme)) {
        return format!("{start}{}", &text[scheme.len()..]);
    }
    let is_file = [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|ending| text.ends_with(ending));
    match text.split_once('=') {
        Some(("dest", _)) => format!("type=oci,{text}"),
        Some(("name", _)) => format!("type=image,{text}"),
        _ if text == "-" || is_file => format!("type=oci,dest={text}"),
        _ => format!("type=oci,tar=false,dest={text}"),
    }
}
