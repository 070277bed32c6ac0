//! Annotations of an output: on manifests, on indexes, and on the descriptors that list them.

use std::collections::BTreeMap;

use longshore_oci::{Error, Platform, Result};

use crate::options::{Family, Options, Visitor};

/// The annotations that the options of an output set, which override those of the build result. An option for one
/// platform overrides one for all; of two equal ones the later counts.
#[derive(Debug, Clone, Default)]
pub(super) struct AnnotationOptions {
    /// In both spellings: BuildKit takes either of two for one key, at random.
    manifest: Family<Platform, String>,
    manifest_descriptor: Family<Platform, String>,
    index: Family<Platform, String>,
    index_descriptor: Family<Platform, String>,
}

impl Options for AnnotationOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.family(
            "annotation[PLATFORM].KEY",
            "Annotate the manifest of each image",
            "none",
            &mut self.manifest,
        )?;
        visitor.family(
            "annotation-manifest[PLATFORM].KEY",
            "Same as annotation[PLATFORM].KEY",
            "none",
            &mut self.manifest,
        )?;
        visitor.family(
            "annotation-manifest-descriptor[PLATFORM].KEY",
            "Annotate the entry of each manifest in the index",
            "none",
            &mut self.manifest_descriptor,
        )?;
        visitor.family("annotation-index.KEY", "Annotate the index of the image", "none", &mut self.index)?;
        visitor.family(
            "annotation-index-descriptor.KEY",
            "Annotate the entry of the image's index, in the index.json of a layout or in the image store",
            "none",
            &mut self.index_descriptor,
        )
    }
}

impl AnnotationOptions {
    /// Returns whether the bytes of manifests change.
    pub(super) fn change_manifests(&self) -> bool {
        !self.manifest.members().is_empty()
    }

    /// Returns whether the descriptors of manifests change.
    pub(super) fn change_manifest_descriptors(&self) -> bool {
        !self.manifest_descriptor.members().is_empty()
    }

    /// Returns whether the index or its descriptor changes.
    pub(super) fn change_index(&self) -> bool {
        !self.index.members().is_empty() || !self.index_descriptor.members().is_empty()
    }

    /// Returns whether something is annotated that has no annotations in Docker's media types.
    pub(super) fn need_oci_types(&self) -> bool {
        self.change_index() || self.change_manifest_descriptors()
    }

    /// Checks that each named platform is one of `platforms`, and that annotations of an index have one.
    ///
    /// # Errors
    /// A platform that the image lacks; annotations of a missing index.
    pub(super) fn check(&self, platforms: &[Platform], has_index: bool) -> Result<()> {
        if !has_index && self.change_index() {
            return Err(Error::option("index annotations not supported for single platform export").with_hint(
                "annotation.KEY annotates the manifest, annotation-manifest-descriptor.KEY its descriptor",
            ));
        }
        let families = [&self.manifest, &self.manifest_descriptor];
        let named = families.into_iter().flat_map(Family::members).filter_map(|member| member.qualifier.as_ref());
        for platform in named {
            if !platforms.iter().any(|own| own.normal() == platform.normal()) {
                let own: Vec<String> = platforms.iter().map(ToString::to_string).collect();
                return Err(Error::option(format!("invalid annotation: no platform {platform} found in source"))
                    .with_hint(format!("the image is for {}", own.join(", "))));
            }
        }
        Ok(())
    }

    /// Sets the annotations of the manifest for `platform`.
    pub(super) fn annotate_manifest(&self, platform: &Platform, annotations: &mut BTreeMap<String, String>) {
        annotate(&self.manifest, Some(platform), annotations);
    }

    /// Sets the annotations of the descriptor of the manifest for `platform`.
    pub(super) fn annotate_manifest_descriptor(&self, platform: &Platform, annotations: &mut BTreeMap<String, String>) {
        annotate(&self.manifest_descriptor, Some(platform), annotations);
    }

    /// Sets the annotations of the index.
    pub(super) fn annotate_index(&self, annotations: &mut BTreeMap<String, String>) {
        annotate(&self.index, None, annotations);
    }

    /// Sets the annotations of the descriptor of the index.
    pub(super) fn annotate_index_descriptor(&self, annotations: &mut BTreeMap<String, String>) {
        annotate(&self.index_descriptor, None, annotations);
    }
}

fn annotate(
    family: &Family<Platform, String>,
    platform: Option<&Platform>,
    annotations: &mut BTreeMap<String, String>,
) {
    let members = || family.members().iter();
    let for_all = members().filter(|member| member.qualifier.is_none());
    let is_own = |own: &Platform| platform.is_some_and(|platform| own.normal() == platform.normal());
    let for_one = members().filter(|member| member.qualifier.as_ref().is_some_and(is_own));
    annotations.extend(for_all.chain(for_one).map(|member| (member.name.clone(), member.value.clone())));
}
