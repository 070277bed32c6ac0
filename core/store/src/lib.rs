#![doc = include_str!("../README.md")]

mod content;
mod database;
mod embedded;
mod failure;
mod frozen;
mod images;
mod kind;
mod lease;
mod mounts;
mod owner;
mod place;
mod prune;
mod room;
mod schema;
mod snapshots;
mod usage;

pub use embedded::EmbeddedStore;
pub use kind::EmbeddedStores;
pub use place::is_store;
