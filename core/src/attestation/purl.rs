//! Package URLs of images (package-url specification, type `docker`), as BuildKit names the subjects of attestations.

use longshore_oci::{ImageName, Platform};

/// Returns the package URL of an image of this name, for `platform` if one is given: `pkg:docker/REPOSITORY@TAG`, as
/// `BuildKit` names the subjects of attestations.
pub fn package_url(name: &ImageName, platform: Option<&Platform>) -> String {
    let repository = match (name.registry(), name.repository()) {
        ("docker.io", repository) => repository.strip_prefix("library/").unwrap_or(repository).to_owned(),
        (registry, repository) => format!("{registry}/{repository}"),
    };
    let path: Vec<String> = repository.split('/').map(escaped).collect();
    let version = name.tag().map(|tag| format!("@{}", escaped(tag))).unwrap_or_default();
    let digest = name.digest().map(|digest| format!("digest={digest}"));
    let platform = platform.map(|platform| format!("platform={}", escaped(&platform.normal().to_string())));
    // Qualifiers are sorted by their keys.
    let qualifiers: Vec<String> = digest.into_iter().chain(platform).collect();
    let qualifiers = if qualifiers.is_empty() { String::new() } else { format!("?{}", qualifiers.join("&")) };
    format!("pkg:docker/{}{version}{qualifiers}", path.join("/"))
}

/// Escapes all but what the specification leaves as it is: letters, digits, `.-_~` and the colon.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_package_urls() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        for (name, platform, expected) in [
            ("app", Some("linux/amd64"), "pkg:docker/app@latest?platform=linux%2Famd64".to_owned()),
            ("team/app:v1_2", Some("linux/arm/v7"), "pkg:docker/team/app@v1_2?platform=linux%2Farm%2Fv7".to_owned()),
            ("r.example.com:5000/team/app:1", None, "pkg:docker/r.example.com:5000/team/app@1".to_owned()),
            (
                &format!("app@{digest}"),
                Some("linux/amd64"),
                format!("pkg:docker/app?digest={digest}&platform=linux%2Famd64"),
            ),
        ] {
            let platform: Option<Platform> = platform.map(|platform| platform.parse().unwrap());
            assert_eq!(package_url(&name.parse().unwrap(), platform.as_ref()), expected, "{name}");
        }
    }
}
