//! Images into running engines, and out of them: Docker with its image stores, and Podman's service, of Debian 12 and of
//! today, each started by the test.
//!
//! `LONGSHORE_ENGINE_ROUNDS` is how often an engine loses layers while it is loaded.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod engines {
    pub(crate) mod broken;
    pub(crate) mod loads;
    pub(crate) mod lost;
    pub(crate) mod machine;
    mod proxy;
    pub(crate) mod reads;
    pub(crate) mod secure;
}

#[allow(dead_code, reason = "not all of it is asked here")]
mod interop {
    pub(crate) mod command;
    mod containerd;
    pub(crate) mod dockerd;
    pub(crate) mod peers;
    pub(crate) mod podman;
    pub(crate) mod tree;
}

/// Peers of today.
#[allow(dead_code, unreachable_pub, reason = "not all of it is asked here")]
mod today;

use engines::machine::{Kind, Machine};
use engines::{broken, loads, lost, reads, secure};

/// Runs a test with an engine, where it can be started.
fn with(kind: Kind, test: impl FnOnce(&Machine)) {
    if let Some(machine) = Machine::start(kind) {
        test(&machine);
    }
}

/// All that is asked of an engine that keeps running.
fn all(kind: Kind) {
    with(kind, |machine| {
        loads::only_what_is_missing_is_sent(machine);
        loads::several_images_are_loaded_together(machine);
        loads::a_failed_run_leaves_no_image(machine);
        lost::what_is_lost_meanwhile_is_sent_again(machine);
        reads::images_come_back(machine);
        reads::what_is_missing_is_said(machine);
    });
}

#[test]
fn docker_of_debian_12() {
    all(Kind::Docker20);
}

#[test]
fn docker_of_today() {
    all(Kind::Overlay2);
}

#[test]
fn docker_of_today_with_the_store_of_containerd() {
    all(Kind::Containerd);
    with(Kind::Containerd, |machine| {
        loads::an_index_is_kept_whole(machine);
        reads::platforms_come_back(machine);
    });
}

#[test]
fn podman_of_debian_12() {
    all(Kind::Podman4);
}

#[test]
fn podman_of_today() {
    all(Kind::Podman5);
}

#[test]
fn layers_removed_by_another_process_break_no_image() {
    with(Kind::Overlay2, lost::removals_break_no_image);
}

#[test]
fn blobs_removed_by_another_process_break_no_image() {
    with(Kind::Containerd, lost::removals_break_no_image);
}

#[test]
fn an_engine_that_cannot_be_reached_fails_before_the_build() {
    broken::fails_before_the_build();
}

#[test]
fn a_plan_asks_no_engine() {
    broken::a_plan_asks_no_engine();
}

#[test]
fn a_socket_without_permission_is_denied() {
    broken::a_socket_without_permission_is_denied();
}

#[test]
fn an_engine_over_tls_wants_its_certificates() {
    secure::wants_its_certificates();
}
