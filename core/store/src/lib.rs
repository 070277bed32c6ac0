#![doc = include_str!("../README.md")]

mod content;
mod database;
mod embedded;
mod failure;
mod images;
mod lease;
mod prune;
mod schema;
mod snapshots;
mod usage;

pub use embedded::EmbeddedStore;
pub use prune::{PruneOptions, Pruned};
pub use usage::Usage;
