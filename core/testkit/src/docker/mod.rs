//! Data roots as dockerd's graph drivers write them, to test readers without Docker.
//!
//! - [`DockerRoot`] writes one: images, their names, layers and the files of layers.
//! - [`split()`] takes an archive apart like tar-split; [`odd_tars`] are some that are hard to reassemble.
//!
//! Nothing is shared with readers: the module parses archives itself.

mod archive;
mod config;
mod crc64;
mod driver;
mod extract;
mod odd;
mod root;
mod tar_split;

pub use config::BuiltImage;
pub use driver::GraphDriver;
pub use odd::odd_tars;
pub use root::{AddedLayer, DockerRoot};
pub use tar_split::{Split, SplitEntry, SplitFile, gzip, split};
