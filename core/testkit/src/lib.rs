//! What tests of Longshore are made of, for its own crates and for exporters and stores of others.
//!
//! - [`sample`] makes trees, layers, images and results from a seed.
//! - [`conformance`] proves the contracts of stores ([`ContentStore`](longshore_core::content::ContentStore) and what
//!   belongs to it), of [`Pusher`](longshore_core::Pusher) and of [`Exporter`](longshore_core::Exporter) over any
//!   implementation.
//! - [`validate`] checks what an exporter wrote, with readers of its own.
//! - [`docker`] writes data roots of dockerd.
//! - [`Warnings`] keeps the warnings of a run.
//! - [`faults`] are inputs and outputs that fail when told to.
//!
//! It is test support: whatever cannot be set up panics and says what it was.

mod causes;
pub mod conformance;
pub mod docker;
pub mod faults;
pub mod registry;
pub mod sample;
pub mod validate;
mod warnings;

pub use warnings::Warnings;
