//! The checks of small images: every form, contents and compression, and every reader.

use super::check::{Cell, Check, Row, Verdict};
use super::fixture::COMPRESSIONS;
use super::loaders;
use super::peers::{CONTAINERD, CTR, DOCKER, DOCKERD, OCI_IMAGE_TOOL, PODMAN, SKOPEO, TAR, UMOCI};
use super::seeded::Seeded;

type OfSeeded = Check<Seeded, [Verdict; 3]>;
/// Of what is always uncompressed.
type OfLegacy = Check<Seeded, Verdict>;

/// A verdict on each compression.
impl Cell for [Verdict; 3] {
    fn is_good(&self) -> bool {
        self.iter().any(Cell::is_good)
    }

    fn text(&self) -> String {
        if self.iter().all(|verdict| verdict == &self[0]) {
            return self[0].text();
        }
        let mut groups: Vec<(Verdict, Vec<&str>)> = Vec::new();
        for (verdict, compression) in self.iter().zip(COMPRESSIONS) {
            match groups.iter_mut().find(|(other, _)| other == verdict) {
                Some((_, compressions)) => compressions.push(compression),
                None => groups.push((*verdict, vec![compression])),
            }
        }
        let text = |(verdict, compressions): (Verdict, Vec<&str>)| {
            let compressions = compressions.join(" and ");
            match verdict {
                Verdict::Refuses(words) => format!("refuses {compressions}: `{words}`"),
                Verdict::Adds(key) => format!("reads {compressions}, and adds `{key}`"),
                other => format!("{} {compressions}", other.text()),
            }
        };
        groups.into_iter().map(text).collect::<Vec<_>>().join("; ")
    }
}

pub(crate) static OF_SEEDED: [&dyn Row; 22] = [
    &SKOPEO_DIRECTORY,
    &SKOPEO_ARCHIVE,
    &SKOPEO_DOCKER_TAR,
    &SKOPEO_LEGACY,
    &UMOCI_DIRECTORY,
    &UMOCI_ARCHIVE,
    &UMOCI_DOCKER_TAR,
    &CONTAINERD_DIRECTORY,
    &CONTAINERD_ARCHIVE,
    &CONTAINERD_DOCKER_TAR,
    &PODMAN_DIRECTORY,
    &PODMAN_ARCHIVE,
    &PODMAN_ARCHIVE_TAG,
    &PODMAN_DOCKER_TAR,
    &PODMAN_LEGACY,
    &DOCKERD_DIRECTORY,
    &DOCKERD_ARCHIVE,
    &DOCKERD_DOCKER_TAR,
    &DOCKERD_LEGACY,
    &OCI_IMAGE_TOOL_DIRECTORY,
    &OCI_IMAGE_TOOL_ARCHIVE,
    &OCI_IMAGE_TOOL_DOCKER_TAR,
];

pub(crate) static SKOPEO_DIRECTORY: OfSeeded =
    OfSeeded::new(&[&SKOPEO], "directory", "`skopeo copy --all oci:DIR:TAG`: digest, blobs", loaders::skopeo_directory);

pub(crate) static SKOPEO_ARCHIVE: OfSeeded = OfSeeded::new(
    &[&SKOPEO],
    "archive",
    "`skopeo copy --all oci-archive:FILE:TAG`: digest, blobs",
    loaders::skopeo_archive,
);

pub(crate) static SKOPEO_DOCKER_TAR: OfSeeded = OfSeeded::new(
    &[&SKOPEO],
    "docker tarball",
    "`skopeo copy docker-archive:FILE:NAME`: image ID, layers",
    loaders::skopeo_docker_tar,
);

pub(crate) static UMOCI_DIRECTORY: OfSeeded =
    OfSeeded::new(&[&UMOCI], "directory", "`umoci unpack --image DIR:TAG`: tree", loaders::umoci_directory);

pub(crate) static UMOCI_ARCHIVE: OfSeeded =
    OfSeeded::new(&[&UMOCI], "archive", "`umoci unpack`", loaders::umoci_archive);

pub(crate) static UMOCI_DOCKER_TAR: OfSeeded =
    OfSeeded::new(&[&UMOCI], "docker tarball", "`umoci unpack`", loaders::umoci_docker_tar);

pub(crate) static CONTAINERD_DIRECTORY: OfSeeded =
    OfSeeded::new(&[&CONTAINERD, &CTR], "directory", "`ctr images import`", loaders::containerd_directory);

pub(crate) static CONTAINERD_ARCHIVE: OfSeeded = OfSeeded::new(
    &[&CONTAINERD, &CTR],
    "archive",
    "`ctr images import`: names, digests, trees",
    loaders::containerd_archive,
);

pub(crate) static CONTAINERD_DOCKER_TAR: OfSeeded = OfSeeded::new(
    &[&CONTAINERD, &CTR],
    "docker tarball",
    "`ctr images import`: names, digests, trees",
    loaders::containerd_docker_tar,
);

pub(crate) static PODMAN_DIRECTORY: OfSeeded = OfSeeded::new(
    &[&PODMAN],
    "directory",
    "`podman pull oci:DIR:TAG`: image ID, digest, tree",
    loaders::podman_directory,
);

pub(crate) static PODMAN_ARCHIVE: OfSeeded =
    OfSeeded::new(&[&PODMAN], "archive", "`podman load`: names, image IDs, digests, trees", loaders::podman_archive);

pub(crate) static PODMAN_ARCHIVE_TAG: OfSeeded = OfSeeded::new(
    &[&PODMAN],
    "archive",
    "`podman pull oci-archive:FILE:TAG`: name, image ID, digest, tree",
    loaders::podman_archive_tag,
);

pub(crate) static PODMAN_DOCKER_TAR: OfSeeded =
    OfSeeded::new(&[&PODMAN], "docker tarball", "`podman load`: names, image IDs, trees", loaders::podman_docker_tar);

pub(crate) static DOCKERD_DIRECTORY: OfSeeded =
    OfSeeded::new(&[&DOCKERD, &DOCKER], "directory", "`docker load`", loaders::dockerd_directory);

pub(crate) static DOCKERD_ARCHIVE: OfSeeded =
    OfSeeded::new(&[&DOCKERD, &DOCKER], "archive", "`docker load`", loaders::dockerd_archive);

pub(crate) static DOCKERD_DOCKER_TAR: OfSeeded = OfSeeded::new(
    &[&DOCKERD, &DOCKER, &TAR],
    "docker tarball",
    "`docker load`: names, image IDs, trees",
    loaders::dockerd_docker_tar,
);

pub(crate) static OCI_IMAGE_TOOL_DIRECTORY: OfSeeded = OfSeeded::new(
    &[&OCI_IMAGE_TOOL],
    "directory",
    "`oci-image-tool validate --ref name=TAG`",
    loaders::oci_image_tool_directory,
);

pub(crate) static OCI_IMAGE_TOOL_ARCHIVE: OfSeeded =
    OfSeeded::new(&[&OCI_IMAGE_TOOL], "archive", "`oci-image-tool validate`", loaders::oci_image_tool_archive);

pub(crate) static OCI_IMAGE_TOOL_DOCKER_TAR: OfSeeded = OfSeeded::new(
    &[&OCI_IMAGE_TOOL],
    "docker tarball",
    "`oci-image-tool validate`",
    loaders::oci_image_tool_docker_tar,
);

const LEGACY: &str = "docker tarball, `format=legacy`";

pub(crate) static SKOPEO_LEGACY: OfLegacy = OfLegacy::new(
    &[&SKOPEO],
    LEGACY,
    "`skopeo copy docker-archive:FILE:NAME`: image ID, layers",
    loaders::skopeo_legacy,
);

pub(crate) static PODMAN_LEGACY: OfLegacy =
    OfLegacy::new(&[&PODMAN], LEGACY, "`podman load`: names, image IDs, trees", loaders::podman_legacy);

pub(crate) static DOCKERD_LEGACY: OfLegacy = OfLegacy::new(
    &[&DOCKERD, &DOCKER, &TAR],
    LEGACY,
    "`docker load`: names, image IDs, trees",
    loaders::dockerd_legacy,
);
