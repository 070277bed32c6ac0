//! The test kit, tried on what core has.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod content_store;
mod docker;
mod exporter;
mod frontend;
mod listed;
mod routes;
mod sample;
mod tiny;
mod validate;
