//! The test kit, tried on what core has.

mod content_store;
mod exporter;
mod sample;
mod tiny;
mod validate;
