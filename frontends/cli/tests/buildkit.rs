//! The same build, exported by `BuildKit` and by the command, compared byte for byte.
//!
//! A case is a Dockerfile without RUN, its context, and the options of the output: see `buildkit/cases.rs`. `sh
//! testdata/test.sh` installs a Docker of today as root. Without it each test says so and passes.
//!
//! docs/buildkit.md lists what is left out of the comparison, and why.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod buildkit {
    pub mod builder;
    pub mod case;
    pub mod cases;
    pub mod compare;
    pub mod differences;
    pub mod exported;
    pub mod files;
    pub mod layout;
    pub mod page;
    pub mod readers;
}

mod run;
mod today;

use buildkit::builder::BuildKit;
use buildkit::{cases, page};
use longshore_testkit::registry::Registry;
use run::Workdir;

#[test]
fn uncompressed() {
    cases::UNCOMPRESSED.holds();
}

#[test]
fn uncompressed_with_docker_types() {
    cases::UNCOMPRESSED_DOCKER_TYPES.holds();
}

#[test]
fn gzip() {
    cases::GZIP.holds();
}

#[test]
fn gzip_with_docker_types() {
    cases::GZIP_DOCKER_TYPES.holds();
}

#[test]
fn zstd() {
    cases::ZSTD.holds();
}

#[test]
fn zstd_with_docker_types() {
    cases::ZSTD_DOCKER_TYPES.holds();
}

#[test]
fn two_platforms() {
    cases::TWO_PLATFORMS.holds();
}

#[test]
fn two_platforms_with_docker_types() {
    cases::TWO_PLATFORMS_DOCKER_TYPES.holds();
}

#[test]
fn one_platform_of_another_machine() {
    cases::VARIANT.holds();
}

#[test]
fn two_names() {
    cases::TWO_NAMES.holds();
}

#[test]
fn no_name() {
    cases::NO_NAME.holds();
}

#[test]
fn no_layers() {
    cases::NO_LAYERS.holds();
}

#[test]
fn on_a_base() {
    cases::ON_A_BASE.holds();
}

#[test]
fn on_a_base_in_another_compression() {
    cases::ON_A_BASE_IN_ZSTD.holds();
}

#[test]
fn on_a_base_with_forced_compression() {
    cases::ON_A_BASE_FORCED.holds();
}

#[test]
fn on_a_base_without_new_layers() {
    cases::ON_A_BASE_NO_LAYERS.holds();
}

#[test]
fn tarball_for_docker() {
    cases::DOCKER_TAR.holds();
}

#[test]
fn tarball_for_docker_on_a_base() {
    cases::DOCKER_TAR_ON_A_BASE.holds();
}

#[test]
fn annotations() {
    cases::ANNOTATIONS.holds();
}

#[test]
fn annotations_of_two_platforms() {
    cases::ANNOTATIONS_OF_TWO_PLATFORMS.holds();
}

#[test]
fn provenance_min() {
    cases::PROVENANCE_MIN.holds();
}

#[test]
fn provenance_max() {
    cases::PROVENANCE_MAX.holds();
}

#[test]
fn provenance_as_an_artifact() {
    cases::PROVENANCE_ARTIFACT.holds();
}

#[test]
fn provenance_for_inline_use() {
    cases::PROVENANCE_INLINE.holds();
}

#[test]
fn provenance_for_inline_use_left_out() {
    cases::PROVENANCE_NOT_INLINE.holds();
}

#[test]
fn provenance_of_two_platforms() {
    cases::PROVENANCE_OF_TWO_PLATFORMS.holds();
}

#[test]
fn provenance_without_a_name() {
    cases::PROVENANCE_WITHOUT_NAME.holds();
}

#[test]
fn rewritten_times() {
    cases::REWRITTEN.holds();
}

#[test]
fn rewritten_times_on_a_base() {
    cases::REWRITTEN_ON_A_BASE.holds();
}

#[test]
fn files_in_a_directory() {
    cases::LOCAL.files_hold();
}

#[test]
fn files_of_two_platforms_in_a_directory() {
    cases::LOCAL_OF_TWO_PLATFORMS.files_hold();
}

#[test]
fn files_as_a_tar_stream() {
    cases::TAR.files_hold();
}

#[test]
fn files_of_two_platforms_as_a_tar_stream() {
    cases::TAR_OF_TWO_PLATFORMS.files_hold();
}

#[test]
fn files_on_a_base_as_a_tar_stream() {
    cases::TAR_ON_A_BASE.files_hold();
}

/// What was pushed with attestations is what buildx finds: C `testImageResolveProvenanceAttestation`, X
/// `testBuildRegistryExportAttestations`.
#[test]
fn imagetools_inspect_shows_attestations() {
    let Some(builder) = BuildKit::ready() else { return };
    let (work, registry) = (Workdir::new(), Registry::start());
    work.write("tree/file", "content");
    work.write("sbom.json", r#"{"spdxVersion":"SPDX-2.3","name":"shown"}"#);
    for artifact in ["true", "false"] {
        let name = format!("{}/app:{artifact}", registry.host());
        let output = format!("type=registry,name={name},oci-artifact={artifact}");
        let attests = ["--attest", "type=sbom,file=sbom.json", "--attest", "type=provenance,mode=max"];
        work.ok(&[&["export", "rootfs:tree", "-o", &output][..], &attests].concat());
        let shown = |template: &str| -> serde_json::Value {
            let text = builder.inspect(&name, template);
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        assert_eq!(shown("{{json .SBOM}}")["SPDX"]["name"], "shown", "oci-artifact={artifact}");
        let provenance = shown("{{json .Provenance}}");
        let definition = &provenance["SLSA"]["buildDefinition"];
        assert_eq!(definition["externalParameters"]["sources"][0], "rootfs", "{provenance}");
    }
}

#[test]
fn the_page_has_every_case_and_every_difference() {
    page::is_complete();
}
