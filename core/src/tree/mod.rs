//! Root file systems: how one on disk is walked, and how layers merge into one.

pub mod merged;
mod patterns;
mod walk;

pub use patterns::{Matched, Patterns};
pub use walk::{FileType, Node, NodeFile, walk};
