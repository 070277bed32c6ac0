#![doc = include_str!("../README.md")]

mod address;
mod connection;
mod content;
mod failure;
mod images;
mod kind;
mod labels;
mod lease;
mod snapshots;
mod store;
mod wire;
mod writer;

pub use address::Address;
pub use kind::ContainerdStores;
pub use store::ContainerdStore;
