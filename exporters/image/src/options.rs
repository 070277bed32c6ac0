//! The options of `type=image`.

use longshore_core::image::ImageOptions;
use longshore_core::oci::{Digest, ImageName};
use longshore_core::options::{Options, Visitor};
use longshore_core::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Default)]
pub(crate) struct StoreOptions {
    pub(crate) image: ImageOptions,
    store: Option<bool>,
    name_canonical: Option<bool>,
    dangling_name_prefix: Option<String>,
    dangling_name_empty_only: Option<bool>,
    /// The key that BuildKit reads, which lacks a letter.
    danging_name_empty_only: Option<bool>,
    unpack: Option<bool>,
    push: Option<bool>,
    push_by_digest: Option<bool>,
    registry_insecure: Option<bool>,
    rewrite_timestamp: Option<bool>,
    attestation_inline: Option<bool>,
    oci_artifact: Option<bool>,
    prefer_nondist_layers: Option<bool>,
}

impl Options for StoreOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.image.visit(visitor)?;
        visitor.option("store", "Keep the image in the image store", "true", &mut self.store)?;
        visitor.option(
            "name-canonical",
            "Also name the image NAME@DIGEST, for each name without a digest",
            "false",
            &mut self.name_canonical,
        )?;
        visitor.option(
            "dangling-name-prefix",
            "Also name the image PREFIX@DIGEST",
            "none",
            &mut self.dangling_name_prefix,
        )?;
        let only = "Do that only for an image without other names";
        visitor.option("dangling-name-empty-only", only, "false", &mut self.dangling_name_empty_only)?;
        let as_buildkit = "The same, as BuildKit spells it";
        visitor.option("danging-name-empty-only", as_buildkit, "false", &mut self.danging_name_empty_only)?;
        visitor.option("unpack", "Unpack the layers for this machine, too", "false", &mut self.unpack)?;
        visitor.option("push", "Refused: nothing is pushed yet", "false", &mut self.push)?;
        let by_digest = "Refused: nothing is pushed yet";
        visitor.option("push-by-digest", by_digest, "false", &mut self.push_by_digest)?;
        let insecure = "Refused: nothing is pushed yet";
        visitor.option("registry.insecure", insecure, "false", &mut self.registry_insecure)?;
        let rewrite = "Refused: times of files are not rewritten yet";
        visitor.option("rewrite-timestamp", rewrite, "false", &mut self.rewrite_timestamp)?;
        let inline = "Refused: there are no attestations yet";
        visitor.option("attestation-inline", inline, "false", &mut self.attestation_inline)?;
        let artifact = "Refused: there are no attestations yet";
        visitor.option("oci-artifact", artifact, "false", &mut self.oci_artifact)?;
        let foreign = "Refused: such layers are not kept apart yet";
        visitor.option("prefer-nondist-layers", foreign, "false", &mut self.prefer_nondist_layers)
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()?;
        self.refuse_what_is_not_there()?;
        if let Some(prefix) = &self.dangling_name_prefix {
            dangling_name(prefix, &Digest::of(b"")).map_err(|_| {
                Error::option(format!("dangling-name-prefix: `{}` cannot be a name", prefix.escape_debug()))
            })?;
        }
        if let (Some(one), Some(other)) = (self.dangling_name_empty_only, self.danging_name_empty_only)
            && one != other
        {
            return Err(Error::option("dangling-name-empty-only and danging-name-empty-only say different things")
                .with_hint("write one of them"));
        }
        if self.is_dangling_only_when_empty() && self.dangling_name_prefix.is_none() {
            return Err(Error::option("dangling-name-empty-only without a prefix does nothing")
                .with_hint("add dangling-name-prefix=PREFIX"));
        }
        if !self.is_stored() && self.is_unpacked() {
            return Err(Error::option("unpack=true needs the image store").with_hint("leave out store=false"));
        }
        if self.is_unpacked() && !self.image.has_names() && self.dangling_name_prefix.is_none() {
            return Err(Error::option("unpack=true without a name would keep nothing").with_hint("add name=NAME"));
        }
        if !self.is_stored() {
            return Err(
                Error::option("store=false without push=true exports nothing").with_hint("leave out store=false")
            );
        }
        Ok(())
    }
}

impl StoreOptions {
    /// Whether the image goes into the image store.
    pub(crate) fn is_stored(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// Whether the layers are unpacked.
    pub(crate) fn is_unpacked(&self) -> bool {
        self.unpack.unwrap_or(false)
    }

    /// All names of an image with `digest` that is to be called `names`.
    ///
    /// # Errors
    /// A name that is none once the digest is added.
    pub(crate) fn all_names(&self, names: &[ImageName], digest: &Digest) -> Result<Vec<ImageName>> {
        let mut all = names.to_vec();
        if let Some(prefix) = &self.dangling_name_prefix
            && (names.is_empty() || !self.is_dangling_only_when_empty())
        {
            all.push(dangling_name(prefix, digest)?);
        }
        if self.name_canonical == Some(true) {
            let canonical = names.iter().filter(|name| name.digest().is_none());
            let canonical: Vec<ImageName> =
                canonical.map(|name| format!("{name}@{digest}").parse()).collect::<Result<_>>()?;
            all.extend(canonical);
        }
        Ok(all)
    }

    fn is_dangling_only_when_empty(&self) -> bool {
        self.dangling_name_empty_only.or(self.danging_name_empty_only) == Some(true)
    }

    /// Options of BuildKit whose part is not built: set, they must not be passed over in silence.
    fn refuse_what_is_not_there(&self) -> Result<()> {
        let options = [
            ("push", self.push, "pushing"),
            ("push-by-digest", self.push_by_digest, "pushing"),
            ("registry.insecure", self.registry_insecure, "pushing"),
            ("rewrite-timestamp", self.rewrite_timestamp, "rewriting times of files"),
            ("attestation-inline", self.attestation_inline, "attaching attestations"),
            ("oci-artifact", self.oci_artifact, "attaching attestations"),
            ("prefer-nondist-layers", self.prefer_nondist_layers, "keeping layers that may not be distributed"),
        ];
        match options.into_iter().find(|(_, value, _)| *value == Some(true)) {
            Some((key, _, what)) => {
                let message = format!("{key}=true of type=image: {what} is not supported yet");
                Err(Error::new(ErrorKind::Unsupported, message).with_hint(format!("leave out {key}")))
            }
            None => Ok(()),
        }
    }
}

fn dangling_name(prefix: &str, digest: &Digest) -> Result<ImageName> {
    format!("{prefix}@{digest}").parse()
}
