#![doc = include_str!("../README.md")]

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
