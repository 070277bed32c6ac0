//! Readers of other projects are given what the command exports: a Debian tree and a layer of special
//! files, in every compression, as archives and as directories.
//!
//! `sh testdata/test.sh` installs the readers and makes the tree. Without them a test says what is
//! missing and passes, unless `LONGSHORE_REQUIRE_PEERS` is set.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod interop {
    pub(crate) mod check;
    mod command;
    mod containerd;
    mod fixture;
    pub(crate) mod page;
    mod peers;
    mod readers;
    mod tree;
}

use interop::{check, page};

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
fn the_page_says_what_was_found() {
    page::is_current();
}
