//! Root file systems: the one place where one is walked.

mod patterns;
mod walk;

pub use patterns::{Matched, Patterns};
pub use walk::{FileType, Node, NodeFile, walk};
