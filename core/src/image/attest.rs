//! Attestation manifests: statements about an image, listed in its index as by BuildKit.

use longshore_oci::{Descriptor, Digest, Error, ImageName, Manifest, MediaType, Platform, Result};

use super::assembly::Assembly;
use super::graph::{REFERENCE_DIGEST, REFERENCE_TYPE};
use super::{Graph, verbatim};
use crate::attestation::{Attestation, Facts, statement};
use crate::result::{Artifact, Existing, Image};

/// The media type of a statement.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The type of attestation manifests that are artifacts.
const ARTIFACT: &str = "application/vnd.docker.attestation.manifest.v1+json";
/// Annotation of a statement in its manifest: its predicate type.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The configuration of an artifact: an empty object, also in base64 (image-spec, manifest.md, "Guidance for an Empty
/// Descriptor").
const EMPTY: (&str, &[u8], &str) = ("application/vnd.oci.empty.v1+json", b"{}", "e30=");

/// The attestation manifests of an image, in the order of its platforms.
pub(super) struct Attesting<'i> {
    /// SBOMs first, as in BuildKit.
    attestations: Vec<&'i Attestation>,
    names: &'i [ImageName],
    pub(super) manifests: Vec<Descriptor>,
}

impl<'i> Attesting<'i> {
    pub(super) fn new(image: &'i Image, names: &'i [ImageName]) -> Self {
        let mut attestations: Vec<&Attestation> = image.attestations.iter().collect();
        attestations.sort_by_key(|attestation| !attestation.is_sbom());
        Self { attestations, names, manifests: Vec::new() }
    }

    /// Builds the manifest of the statements about `subject`, if any. `layers` are its diffIDs, if it was built
    /// in this run.
    pub(super) fn attest(
        &mut self,
        assembly: &mut Assembly<'_, '_>,
        subject: &Descriptor,
        platform: &Platform,
        layers: &[Digest],
    ) -> Result<()> {
        let options = &assembly.options.as_parameters();
        let facts = Facts { manifest: &subject.digest, platform, names: self.names, layers, options };
        let statements = self.attestations.iter().filter(|attestation| attestation.is_about(platform));
        let blobs = statements.map(|attestation| {
            let bytes = statement(attestation, &facts)?;
            let blob = assembly.put_as(STATEMENT.to_owned().into(), &bytes, Vec::new())?;
            Ok(blob.annotated(PREDICATE_TYPE, attestation.predicate_type.as_str()))
        });
        let blobs: Vec<Descriptor> = blobs.collect::<Result<_>>()?;
        if blobs.is_empty() {
            return Ok(());
        }
        let unknown = Platform::new("unknown", "unknown", None);
        let manifest = match assembly.options.has_artifacts() {
            true => {
                let (media_type, bytes, data) = EMPTY;
                let config = assembly.put_as(media_type.to_owned().into(), bytes, Vec::new())?;
                let config = Descriptor { data: Some(data.to_owned()), ..config };
                let subject = Descriptor::new(subject.media_type.clone(), subject.digest.clone(), subject.size);
                let mut manifest = Manifest::new(config, blobs);
                (manifest.artifact_type, manifest.subject) = (Some(ARTIFACT.to_owned()), Some(subject));
                manifest
            }
            false => {
                let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest.clone()).collect();
                let config = format!(
                    r#"{{"architecture":"unknown","os":"unknown","config":{{}},"rootfs":{{"type":"layers","diff_ids":{}}}}}"#,
                    serde_json::to_string(&digests).map_err(|error| Error::input("digests").with_source(error))?
                );
                Manifest::new(assembly.put(MediaType::CONFIG, config.as_bytes(), Vec::new())?, blobs)
            }
        };
        let descriptor = Descriptor { platform: Some(unknown), ..assembly.put_manifest(manifest)? }
            .annotated(REFERENCE_DIGEST, subject.digest.to_string())
            .annotated(REFERENCE_TYPE, "attestation-manifest");
        self.manifests.push(descriptor);
        Ok(())
    }
}

impl Assembly<'_, '_> {
    /// Returns the attestations that were listed beside the manifest from which `artifact` was taken, if it has the digest
    /// `made` again. Warns of those that are left out.
    pub(super) fn attested_before(&mut self, artifact: &Artifact, made: &Digest) -> Result<Vec<Descriptor>> {
        let Some(Existing { root, referrers, provider, .. }) = &artifact.taken_from else { return Ok(Vec::new()) };
        let work = self.cx.work();
        let reason = match root.digest == *made {
            false => Some("the digest of its subject changes"),
            true => self.options.is_docker().then_some("Docker's types have none"),
        };
        if let Some(reason) = reason {
            for Descriptor { digest, .. } in referrers {
                work.progress.warn(format!("{}: skipped attestation {digest}: {reason}", root.digest));
            }
            return Ok(Vec::new());
        }
        for attestation in referrers {
            let about = Existing::new(attestation.clone(), provider.clone());
            let subject = Graph::of(&about, work).manifest(attestation)?.subject.clone();
            for mut blob in verbatim(&about, work)?.blobs {
                if blob.descriptor.digest == attestation.digest {
                    blob.references.extend(subject.iter().map(|subject| subject.digest.clone()));
                }
                self.add(blob);
            }
        }
        Ok(referrers.clone())
    }
}
