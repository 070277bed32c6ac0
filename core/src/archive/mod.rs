//! Tar archives: the one writer and the one reader.
//!
//! The writer follows the conventions of Go's `archive/tar`, so that layers have the same digests as
//! BuildKit's. The reader is strict where two readers could disagree about an archive.

mod entry;
mod extensions;
mod file;
mod header;
mod pax;
mod place;
mod read;
mod write;

pub use entry::{Entry, EntryKind};
pub use file::{TarFile, entry_path, link_target};
pub use read::Reader;
pub use write::Writer;
pub(crate) use write::copy;

/// Size of a tar block in bytes.
pub(crate) const BLOCK: usize = 512;

/// Prefix of PAX records that hold an extended attribute.
const PAX_XATTR: &str = "SCHILY.xattr.";

/// Returns the number of bytes that pad `size` bytes of data to a full block.
fn padding(size: u64) -> usize {
    let used = (size % BLOCK as u64) as usize;
    if used == 0 { 0 } else { BLOCK - used }
}
