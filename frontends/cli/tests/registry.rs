//! The command and registries: the one of Debian, which the tests start, and the one of the test kit, which
//! fails when told to.
//!
//! `sh testdata/test.sh` installs what is needed. Without it a test says what is missing and passes, unless
//! `LONGSHORE_REQUIRE_PEERS` is set.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;
mod today;

/// What the tests against readers of other projects are made of.
#[path = "interop"]
mod interop {
    pub(crate) mod command;
    pub(crate) mod containerd;
    mod dockerd;
    pub(crate) mod peers;
    mod tree;
}

mod registry {
    mod broken;
    mod copies;
    mod docker_registry;
    mod failing;
    mod interrupted;
    mod login;
    mod machine;
    mod options;
    mod proxied;
    mod read_back;
    mod referrers;
    mod relay;
    mod tls;
    mod tokens;
    mod uncompressed;
    mod warm;
}
