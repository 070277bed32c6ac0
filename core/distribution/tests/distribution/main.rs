//! The client against registries that fail in all the ways that registries do.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod auth;
mod cancel;
mod chunks;
mod digests;
mod endings;
mod failures;
mod jobs;
mod kit;
mod limits;
mod manifests;
mod mirrors;
mod mounts;
mod nowhere;
mod pull;
mod reach;
mod redirects;
mod referrers;
mod restream;
mod resume;
mod secrets;
mod stalls;
mod stream;
mod suite;
mod tokens;
mod waits;
mod words;
