//! The checks of today's peers. The loaders are those of Debian 12's.

use super::check::{Check, Row, Verdict};
use super::fixture::Exported;
use super::peers::{
    CONTAINERD_TODAY, CRANE_TODAY, DOCKER_REGISTRY, DOCKERD_CONTAINERD_TODAY, DOCKERD_TODAY, ORAS_TODAY, PODMAN_TODAY,
    Peer, SKOPEO_TODAY, TAR, UMOCI_TODAY,
};
use super::seeded::Seeded;
use super::{crane, loaders, oras, readers, round_trips};

type OfDebian = Check<Exported, Verdict>;
type OfSeeded = Check<Seeded, [Verdict; 3]>;
type OfLegacy = Check<Seeded, Verdict>;

const DIRECTORY: &str = "directory";
const ARCHIVE: &str = "archive";
const DOCKER_TAR: &str = "docker tarball";
const LEGACY: &str = "docker tarball, `format=legacy`";

static DEBIAN: [OfDebian; 6] = [
    OfDebian::new(&[&SKOPEO_TODAY], DIRECTORY, "`skopeo inspect oci:`: digest", readers::skopeo_inspects_layouts),
    OfDebian::new(
        &[&SKOPEO_TODAY],
        ARCHIVE,
        "`skopeo inspect oci-archive:`: digest",
        readers::skopeo_inspects_archives,
    ),
    OfDebian::new(&[&SKOPEO_TODAY], DIRECTORY, "`skopeo copy oci: dir:`: blobs", readers::skopeo_copies_layouts),
    OfDebian::new(&[&SKOPEO_TODAY], ARCHIVE, "`skopeo copy oci-archive: dir:`: blobs", readers::skopeo_copies_archives),
    OfDebian::new(&[&UMOCI_TODAY], DIRECTORY, "`umoci unpack`: tree", readers::umoci_unpacks_layouts),
    OfDebian::new(
        &[&CONTAINERD_TODAY],
        ARCHIVE,
        "`ctr images import`: digest, tree",
        readers::containerd_imports_archives,
    ),
];

static SEEDED: [OfSeeded; 21] = [
    OfSeeded::new(&[&SKOPEO_TODAY], DIRECTORY, "`skopeo copy --all oci:`: digest, blobs", loaders::skopeo_directory),
    OfSeeded::new(
        &[&SKOPEO_TODAY],
        ARCHIVE,
        "`skopeo copy --all oci-archive:`: digest, blobs",
        loaders::skopeo_archive,
    ),
    OfSeeded::new(
        &[&SKOPEO_TODAY],
        DOCKER_TAR,
        "`skopeo copy docker-archive:`: image ID, layers",
        loaders::skopeo_docker_tar,
    ),
    OfSeeded::new(&[&UMOCI_TODAY], DIRECTORY, "`umoci unpack`: tree", loaders::umoci_directory),
    OfSeeded::new(&[&UMOCI_TODAY], ARCHIVE, "`umoci unpack`", loaders::umoci_archive),
    OfSeeded::new(&[&CRANE_TODAY, &DOCKER_REGISTRY], DIRECTORY, "`crane push`: digest", crane::crane_directory),
    OfSeeded::new(&[&CRANE_TODAY], ARCHIVE, "`crane validate --tarball`", crane::crane_archive),
    OfSeeded::new(&[&CRANE_TODAY], DOCKER_TAR, "`crane validate --tarball`", crane::crane_docker_tar),
    OfSeeded::new(&[&ORAS_TODAY], DIRECTORY, "`oras copy --from-oci-layout`: blobs", oras::oras_directory),
    OfSeeded::new(&[&ORAS_TODAY], ARCHIVE, "`oras copy --from-oci-layout`: blobs", oras::oras_archive),
    OfSeeded::new(&[&ORAS_TODAY], DOCKER_TAR, "`oras copy --from-oci-layout`: blobs", oras::oras_docker_tar),
    OfSeeded::new(
        &[&CONTAINERD_TODAY],
        ARCHIVE,
        "`ctr images import`: names, digests, trees",
        loaders::containerd_archive,
    ),
    OfSeeded::new(
        &[&CONTAINERD_TODAY],
        DOCKER_TAR,
        "`ctr images import`: names, digests, trees",
        loaders::containerd_docker_tar,
    ),
    OfSeeded::new(
        &[&PODMAN_TODAY],
        DIRECTORY,
        "`podman pull oci:DIR:TAG`: image ID, digest, tree",
        loaders::podman_directory,
    ),
    OfSeeded::new(
        &[&PODMAN_TODAY],
        ARCHIVE,
        "`podman load`: names, image IDs, digests, trees",
        loaders::podman_archive,
    ),
    OfSeeded::new(
        &[&PODMAN_TODAY],
        ARCHIVE,
        "`podman pull oci-archive:FILE:TAG`: name, image ID, digest, tree",
        loaders::podman_archive_tag,
    ),
    OfSeeded::new(&[&PODMAN_TODAY], DOCKER_TAR, "`podman load`: names, image IDs, trees", loaders::podman_docker_tar),
    OfSeeded::new(&[&DOCKERD_TODAY, &TAR], ARCHIVE, DOCKER_LOAD, loaders::dockerd_archive),
    OfSeeded::new(&[&DOCKERD_TODAY, &TAR], DOCKER_TAR, DOCKER_LOAD, loaders::dockerd_docker_tar),
    OfSeeded::new(&[&DOCKERD_CONTAINERD_TODAY, &TAR], ARCHIVE, DOCKER_LOAD_DIGESTS, loaders::dockerd_archive),
    OfSeeded::new(&[&DOCKERD_CONTAINERD_TODAY, &TAR], DOCKER_TAR, DOCKER_LOAD_DIGESTS, loaders::dockerd_docker_tar),
];

static OLD_TARS: [OfLegacy; 5] = [
    OfLegacy::new(&[&SKOPEO_TODAY], LEGACY, "`skopeo copy docker-archive:`: image ID, layers", loaders::skopeo_legacy),
    OfLegacy::new(&[&CRANE_TODAY], LEGACY, "`crane validate --tarball`", crane::crane_legacy),
    OfLegacy::new(&[&PODMAN_TODAY], LEGACY, "`podman load`: names, image IDs, trees", loaders::podman_legacy),
    OfLegacy::new(&[&DOCKERD_TODAY, &TAR], LEGACY, DOCKER_LOAD, loaders::dockerd_legacy),
    OfLegacy::new(&[&DOCKERD_CONTAINERD_TODAY, &TAR], LEGACY, "`docker load`: names, trees", loaders::dockerd_legacy),
];

const DOCKER_LOAD: &str = "`docker load`: names, image IDs, trees";
const DOCKER_LOAD_DIGESTS: &str = "`docker load`: names, digests, trees";

pub(crate) fn of_debian() -> Vec<&'static dyn Row> {
    DEBIAN.iter().map(|check| check as &dyn Row).collect()
}

pub(crate) fn of_seeded() -> Vec<&'static dyn Row> {
    let seeded = SEEDED.iter().map(|check| check as &dyn Row);
    seeded.chain(OLD_TARS.iter().map(|check| check as &dyn Row)).collect()
}

/// Asks a peer all that it is asked; what it must make of it, the page says.
pub(crate) fn asks(peer: &Peer) {
    let rows = of_debian().into_iter().chain(of_seeded()).chain(round_trips::of_today());
    for row in rows.filter(|row| row.is_of(peer)) {
        row.row();
    }
}
