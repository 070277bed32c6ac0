//! `--attest`: statements about the images of an export.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;

use longshore_core::attestation::{
    ATTESTATION_LIMIT, Attestation, AttestationKind, Dependency, Predicate, Provenance, SLSA_V1, package_url,
};
use longshore_core::oci::Platform;
use longshore_core::options::{Attrs, Options, Value, Visitor, choice_syntax, parse_choice, parse_for};
use longshore_core::{Context, Error, Image, ImageContent, Result};
use serde_json::{Map, json};

use crate::args::ExportArgs;

const FLAG: &str = "--attest";

/// A request by `--attest`.
#[derive(Debug, Default)]
pub(super) struct Attest {
    kind: Option<Kind>,
    file: Option<String>,
    platform: Option<Platform>,
    inline_only: Option<bool>,
    mode: Option<Mode>,
    builder_id: Option<String>,
}

/// The type of an attestation, as an option.
#[derive(Debug)]
struct Kind(AttestationKind);

impl Value for Kind {
    fn syntax() -> Cow<'static, str> {
        "sbom|provenance|URI".into()
    }

    fn parse(text: &str) -> Result<Self> {
        AttestationKind::parse(text).map(Self)
    }
}

/// The level of detail of provenance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
enum Mode {
    /// What the image was made from.
    #[default]
    Min,
    /// Also the options, except the values of variables.
    Max,
}

impl Value for Mode {
    fn syntax() -> Cow<'static, str> {
        choice_syntax::<Self>()
    }

    fn parse(text: &str) -> Result<Self> {
        parse_choice(text)
    }
}

impl Options for Attest {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("type", "Type of the statement", "none", &mut self.kind)?;
        visitor.option("file", "Statement or predicate in JSON", "none", &mut self.file)?;
        visitor.option("platform", "Platform of the image that it is about", "all", &mut self.platform)?;
        visitor.option(
            "inline-only",
            "Leave it out of outputs that do not look at attestations",
            "false",
            &mut self.inline_only,
        )?;
        visitor.option("mode", "How much provenance tells", "min", &mut self.mode)?;
        visitor.option("builder-id", "Who made the image, a URI", "none", &mut self.builder_id)
    }

    fn validate(&self) -> Result<()> {
        let Some(Kind(kind)) = &self.kind else {
            return Err(Error::option(format!("{FLAG} without a type"))
                .with_hint("write --attest type=sbom,file=FILE, or type=provenance"));
        };
        match (&self.file, kind) {
            (None, AttestationKind::Provenance) => Ok(()),
            (None, _) => Err(Error::option(format!("{FLAG} without a file"))
                .with_hint("add file=FILE: of all attestations, only provenance is made here")),
            (Some(_), _) if self.mode.is_some() || self.builder_id.is_some() => {
                Err(Error::option(format!("{FLAG}: mode and builder-id are for provenance that is made here"))
                    .with_hint("leave out file, or leave out both"))
            }
            (Some(_), _) => Ok(()),
        }
    }
}

/// Reads the flags. Files are opened when they are [attached](attach).
///
/// # Errors
/// Flags that cannot be read; provenance that would be made twice for one platform.
pub(super) fn parse(texts: &[String]) -> Result<Vec<Attest>> {
    let asked = texts.iter().map(|text| parse_for(FLAG, &Attrs::parse(FLAG, text)?));
    let asked = asked.collect::<Result<Vec<Attest>>>()?;
    let made: Vec<&Attest> = asked.iter().filter(|attest| attest.file.is_none()).collect();
    let is_twice = |at: usize| made[..at].iter().any(|before| before.overlaps(made[at]));
    if (1..made.len()).any(is_twice) {
        return Err(Error::option(format!("{FLAG} type=provenance is given twice for one platform"))
            .with_hint("leave out one of them"));
    }
    Ok(asked)
}

/// Returns what `images`, as the sources returned them, contribute to provenance.
pub(super) fn dependencies(images: &[Image]) -> Vec<Dependency> {
    let existing = images.iter().filter_map(|image| match &image.content {
        ImageContent::Existing(existing) => Some((image.names.first(), &existing.root.digest)),
        ImageContent::Built(_) => None,
    });
    existing
        .map(|(name, digest)| {
            let uri = name.map(|name| package_url(name, None)).unwrap_or_default();
            Dependency::new(uri, digest).with_name("source")
        })
        .collect()
}

/// Adds the requested attestations to every image.
///
/// # Errors
/// Files that cannot be read or are not of the stated type.
pub(super) fn attach(
    asked: &[Attest],
    images: &mut [Image],
    dependencies: &[Dependency],
    args: &ExportArgs,
) -> Result<()> {
    for attest in asked {
        let attestation = attest
            .read(dependencies, args)?
            .with_platform(attest.platform.clone())
            .with_inline_only(attest.inline_only.unwrap_or(false));
        images.iter_mut().for_each(|image| image.attestations.push(attestation.clone()));
    }
    Ok(())
}

impl Attest {
    /// Returns whether both are about the same image.
    fn overlaps(&self, other: &Self) -> bool {
        match (&self.platform, &other.platform) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    fn read(&self, dependencies: &[Dependency], args: &ExportArgs) -> Result<Attestation> {
        let (Some(path), Some(Kind(kind))) = (&self.file, &self.kind) else {
            return Ok(self.provenance(dependencies, args));
        };
        let read = || -> Result<Attestation> {
            if !fs::metadata(path)?.is_file() {
                return Err(Error::input("not a regular file"));
            }
            let mut bytes = Vec::new();
            File::open(path)?.take(ATTESTATION_LIMIT + 1).read_to_end(&mut bytes)?;
            Attestation::parse(kind, &bytes)
        };
        let read = read();
        read.attempt(|| format!("cannot use attestation {path}"))
    }

    /// Returns the provenance of this run.
    fn provenance(&self, dependencies: &[Dependency], args: &ExportArgs) -> Attestation {
        let mut parameters = Map::new();
        if self.mode == Some(Mode::Max) {
            parameters = flags(args);
        }
        let builder = self.builder_id.clone().unwrap_or_default();
        let provenance = Provenance::new(parameters, dependencies.to_vec()).with_builder(builder);
        Attestation::new(SLSA_V1, Predicate::Provenance(provenance))
    }
}

/// Returns the flags that determine an image, without paths, which reveal details of the machine, and values of
/// variables, which may be secret.
fn flags(args: &ExportArgs) -> Map<String, serde_json::Value> {
    let scheme = |source: &String| {
        let source = longshore_core::Source::parse(source).ok()?;
        Some(source.scheme)
    };
    let config = &args.config;
    let names = |pairs: &[String]| -> Vec<String> {
        pairs.iter().map(|pair| pair.split('=').next().unwrap_or_default().to_owned()).collect()
    };
    let platforms: Vec<String> = args.platforms.iter().map(ToString::to_string).collect();
    let all = json!({
        "sources": args.sources.iter().filter_map(scheme).collect::<Vec<_>>(),
        "layers": args.layers.len(),
        "platforms": platforms,
        "owner": args.owner,
        "exclude": args.excludes,
        "env": names(&config.env),
        "labels": names(&config.labels),
        "entrypoint": config.entrypoint,
        "cmd": config.cmd,
        "workdir": config.workdir,
        "user": config.user,
        "expose": config.expose,
        "volumes": config.volumes,
        "stopSignal": config.stop_signal,
    });
    let is_given = |value: &serde_json::Value| {
        !value.is_null() && *value != json!(0) && value.as_array().is_none_or(|list| !list.is_empty())
    };
    match all {
        serde_json::Value::Object(all) => all.into_iter().filter(|(_, value)| is_given(value)).collect(),
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_checked() {
        for (text, expected) in [
            ("file=a", "--attest without a type"),
            ("type=sbom", "--attest without a file"),
            ("type=vex,file=a", "`vex` is not a type of attestations"),
            ("type=provenance,mode=most", "expected min|max"),
            ("type=provenance,file=a,mode=max", "mode and builder-id are for provenance that is made here"),
            ("type=sbom,fil=a", "has no option `fil`"),
            ("type=sbom,file=a,file=b", "`file` is given twice"),
        ] {
            let error = parse(&[text.to_owned()]).unwrap_err();
            assert!(error.message().contains(expected), "{text}: {}", error.message());
        }
        assert!(parse(&["type=provenance,mode=max,builder-id=https://ci.example.com".to_owned()]).is_ok());
        assert!(parse(&["type=https://example.com/review/v1,file=review.json".to_owned()]).is_ok());
    }
}
