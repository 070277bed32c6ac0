//! Root file systems: walking one on disk, and merging layers into one.

pub mod merged;
mod node;
mod patterns;
mod sparse;
mod walk;

pub use node::{FileType, Node, NodeFile};
pub(crate) use node::{directory_xattr, directory_xattr_names};
pub use patterns::{Matched, Patterns};
pub use walk::walk;
