//! The files of an image, as exporters of files write them: the layers of each platform merged, and the platforms side
//! by side or over each other.
//!
//! [`FilesOptions`] are the options that such exporters share; [`FilesOptions::entries`] visits what they write, in an
//! order that depends on nothing but the files.

mod attestations;
mod chmod;
mod entries;
mod merged;
mod options;
mod platforms;
mod selection;

pub use crate::unpack::{FileEntries, FilesDirectory, StagedFiles};
pub use options::FilesOptions;
