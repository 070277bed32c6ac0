//! Readers of other projects are given what the command exports: a Debian tree and a layer of special
//! files, and small images in every form. What tools of other projects wrote comes back as it is.
//!
//! `sh testdata/test.sh` installs the readers and makes the tree. Without them a test says what is
//! missing and passes, unless `LONGSHORE_REQUIRE_PEERS` is set.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod interop {
    pub(crate) mod check;
    mod command;
    mod containerd;
    mod crane;
    pub(crate) mod docker_graph;
    mod docker_images;
    pub(crate) mod docker_save;
    #[allow(dead_code, reason = "some of it is for tests of engines")]
    mod dockerd;
    pub(crate) mod fixture;
    mod image;
    mod loaders;
    pub(crate) mod matrix;
    pub(crate) mod of_today;
    mod oras;
    pub(crate) mod page;
    pub(crate) mod peers;
    #[allow(dead_code, reason = "some of it is for tests of engines")]
    mod podman;
    mod readers;
    pub(crate) mod round_trips;
    mod seeded;
    pub(crate) mod stacks;
    mod tree;
    pub(crate) mod unpack;
}

/// The registry that tests of registries start.
#[allow(dead_code, reason = "not all of it is asked here")]
#[path = "registry/docker_registry.rs"]
mod docker_registry;

/// Peers of today.
#[allow(dead_code, unreachable_pub, reason = "not all of it is asked here")]
mod today;

use interop::{check, docker_graph, docker_save, fixture, matrix, of_today, page, peers, round_trips, unpack};

#[test]
fn skopeo_inspects_layouts() {
    check::SKOPEO_INSPECTS_LAYOUTS.holds();
}

#[test]
fn skopeo_inspects_archives() {
    check::SKOPEO_INSPECTS_ARCHIVES.holds();
}

#[test]
fn skopeo_copies_layouts() {
    check::SKOPEO_COPIES_LAYOUTS.holds();
}

#[test]
fn skopeo_copies_archives() {
    check::SKOPEO_COPIES_ARCHIVES.holds();
}

#[test]
fn umoci_unpacks_the_same_tree() {
    check::UMOCI_UNPACKS_LAYOUTS.holds();
}

#[test]
fn containerd_imports_the_same_tree() {
    check::CONTAINERD_IMPORTS_ARCHIVES.holds();
}

#[test]
fn oci_image_tool_validates_layouts() {
    check::OCI_IMAGE_TOOL_VALIDATES_LAYOUTS.holds();
}

#[test]
fn gzip_tests_layers() {
    check::GZIP_TESTS_LAYERS.holds();
}

#[test]
fn zstd_tests_layers() {
    check::ZSTD_TESTS_LAYERS.holds();
}

#[test]
fn tar_lists_layers() {
    check::TAR_LISTS_LAYERS.holds();
}

#[test]
fn tar_lists_archives() {
    check::TAR_LISTS_ARCHIVES.holds();
}

#[test]
fn skopeo_reads_every_directory() {
    matrix::SKOPEO_DIRECTORY.holds();
}

#[test]
fn skopeo_reads_every_archive() {
    matrix::SKOPEO_ARCHIVE.holds();
}

#[test]
fn skopeo_reads_every_docker_tar() {
    matrix::SKOPEO_DOCKER_TAR.holds();
}

#[test]
fn umoci_and_every_directory() {
    matrix::UMOCI_DIRECTORY.holds();
}

#[test]
fn umoci_and_archives() {
    matrix::UMOCI_ARCHIVE.runs();
}

#[test]
fn umoci_and_docker_tars() {
    matrix::UMOCI_DOCKER_TAR.runs();
}

#[test]
fn containerd_and_directories() {
    matrix::CONTAINERD_DIRECTORY.runs();
}

#[test]
fn containerd_reads_every_archive() {
    matrix::CONTAINERD_ARCHIVE.holds();
}

#[test]
fn containerd_reads_every_docker_tar() {
    matrix::CONTAINERD_DOCKER_TAR.holds();
}

#[test]
fn podman_reads_every_directory() {
    matrix::PODMAN_DIRECTORY.holds();
}

#[test]
fn podman_and_every_archive() {
    matrix::PODMAN_ARCHIVE.holds();
}

#[test]
fn podman_reads_each_tag_of_an_archive() {
    matrix::PODMAN_ARCHIVE_TAG.holds();
}

#[test]
fn podman_reads_every_docker_tar() {
    matrix::PODMAN_DOCKER_TAR.holds();
}

#[test]
fn dockerd_and_directories() {
    matrix::DOCKERD_DIRECTORY.runs();
}

#[test]
fn dockerd_and_archives() {
    matrix::DOCKERD_ARCHIVE.runs();
}

#[test]
fn dockerd_and_every_docker_tar() {
    matrix::DOCKERD_DOCKER_TAR.holds();
}

#[test]
fn skopeo_reads_every_legacy_tar() {
    matrix::SKOPEO_LEGACY.holds();
}

#[test]
fn podman_reads_every_legacy_tar() {
    matrix::PODMAN_LEGACY.holds();
}

#[test]
fn dockerd_reads_every_legacy_tar() {
    matrix::DOCKERD_LEGACY.holds();
}

#[test]
fn oci_image_tool_and_every_directory() {
    matrix::OCI_IMAGE_TOOL_DIRECTORY.holds();
}

#[test]
fn oci_image_tool_and_archives() {
    matrix::OCI_IMAGE_TOOL_ARCHIVE.runs();
}

#[test]
fn oci_image_tool_and_docker_tars() {
    matrix::OCI_IMAGE_TOOL_DOCKER_TAR.runs();
}

#[test]
fn skopeo_of_today() {
    of_today::asks(&peers::SKOPEO_TODAY);
}

#[test]
fn umoci_of_today() {
    of_today::asks(&peers::UMOCI_TODAY);
}

#[test]
fn crane_of_today() {
    of_today::asks(&peers::CRANE_TODAY);
}

#[test]
fn oras_of_today() {
    of_today::asks(&peers::ORAS_TODAY);
}

#[test]
fn containerd_of_today() {
    of_today::asks(&peers::CONTAINERD_TODAY);
}

#[test]
fn podman_of_today() {
    of_today::asks(&peers::PODMAN_TODAY);
}

#[test]
fn dockerd_of_today() {
    of_today::asks(&peers::DOCKERD_TODAY);
}

#[test]
fn dockerd_of_today_with_the_store_of_containerd() {
    of_today::asks(&peers::DOCKERD_CONTAINERD_TODAY);
}

#[test]
fn directories_of_skopeo_come_back() {
    round_trips::SKOPEO_WRITES_DIRECTORIES.holds();
}

#[test]
fn docker_tars_of_skopeo_come_back() {
    round_trips::SKOPEO_WRITES_DOCKER_TARS.holds();
}

#[test]
fn archives_of_podman_come_back() {
    round_trips::PODMAN_SAVES_ARCHIVES.holds();
}

#[test]
fn docker_tars_of_podman_come_back() {
    round_trips::PODMAN_SAVES_DOCKER_TARS.holds();
}

#[test]
fn docker_tars_of_dockerd_come_back() {
    round_trips::DOCKERD_SAVES.holds();
}

#[test]
fn archives_of_containerd_come_back() {
    round_trips::CONTAINERD_EXPORTS.holds();
}

#[test]
fn archives_of_one_platform_of_containerd_come_back() {
    round_trips::CONTAINERD_EXPORTS_ONE_PLATFORM.holds();
}

#[test]
fn directories_of_umoci_come_back() {
    round_trips::UMOCI_REPACKS.holds();
}

#[test]
fn archives_compressed_with_gzip_come_back() {
    round_trips::GZIP_COMPRESSES_ARCHIVES.holds();
}

#[test]
fn archives_compressed_with_zstd_come_back() {
    round_trips::ZSTD_COMPRESSES_ARCHIVES.holds();
}

#[test]
fn unpack_gives_the_debian_tree() {
    if let Some(exported) = fixture::exported().filter(|_| peers::UMOCI.is_ready()) {
        unpack::the_debian_tree_comes_out(exported);
    }
}

#[test]
fn unpack_gives_what_umoci_and_tar_give() {
    if let Some(exported) = fixture::exported().filter(|_| peers::UMOCI.is_ready() && peers::TAR.is_ready()) {
        unpack::many_layers_are_what_umoci_and_tar_give(exported);
    }
}

#[test]
fn docker_save_is_reproduced_and_read() {
    docker_save::is_reproduced_and_read();
}

#[test]
fn an_archive_is_refused_to_a_terminal() {
    docker_save::is_refused_to_a_terminal();
}

#[test]
fn images_of_a_data_root_are_what_docker_says() {
    docker_graph::images_are_what_docker_says();
}

#[test]
fn images_that_vanish_are_errors() {
    docker_graph::images_that_vanish_are_errors();
}

#[test]
fn a_data_root_that_was_changed_is_an_error_or_made_anew() {
    docker_graph::what_was_changed_is_an_error_or_made_anew();
}

#[test]
fn the_page_says_what_was_found() {
    page::is_current();
}

#[test]
fn files_of_random_stacks_are_what_others_give() {
    if peers::UMOCI.is_ready() && peers::TAR.is_ready() {
        interop::stacks::local_tar_and_others_give_the_same_files();
    }
}
