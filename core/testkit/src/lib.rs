//! Building blocks for tests of Longshore, for its own crates and for third-party exporters and stores.
//!
//! - [`sample`] makes trees, layers, images and results from a seed.
//! - [`stack`] makes stacks of layers that replace and hide each other, and a model of what they become.
//! - [`conformance`] checks the contracts of stores ([`ContentStore`](longshore_core::content::ContentStore) and
//!   related traits), of [`Pusher`](longshore_core::Pusher) and of [`Exporter`](longshore_core::Exporter) for any
//!   implementation.
//! - [`validate`] checks the output of an exporter, with independent readers.
//! - [`containerd`] starts daemons.
//! - [`docker`] writes data roots of dockerd.
//! - [`seeds`] says how long tests of random inputs go on.
//! - [`write_executable`] writes programs, and [`are_installed`] says whether those of others are there.
//! - [`Warnings`] keeps the warnings of a run.
//! - [`faults`] are inputs and outputs that fail on request.
//!
//! It is test support: any failure to set something up panics with its reason.

mod causes;
pub mod conformance;
pub mod containerd;
pub mod docker;
mod executable;
pub mod faults;
pub mod registry;
pub mod sample;
mod seeds;
pub mod stack;
pub mod validate;
mod warnings;

pub use executable::{are_installed, write_executable};
pub use seeds::seeds;
pub use warnings::Warnings;
