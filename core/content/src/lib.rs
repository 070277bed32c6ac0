#![doc = include_str!("../README.md")]

mod ahead;
mod budget;
mod cancel;
mod capacity;
mod collect;
mod descend;
mod directory;
mod entry;
mod files;
mod images;
mod live;
mod memory;
mod mistyped;
mod nearest;
mod parallel;
mod pipe;
mod progress;
mod provider;
mod push;
mod scratch;
mod snapshots;
mod spool;
mod store;
mod stores;
mod verify;
mod work;

pub use ahead::read_ahead;
pub use budget::Budget;
pub use cancel::{Cancel, CancelOnDrop, Guard};
pub use capacity::{Capacity, Permit};
pub use collect::{Collector, PruneOptions, Pruned, Usage};
pub use descend::{remove_tree, remove_tree_at, size_below};
pub use directory::DirectoryStore;
pub use entry::{directory_of, existing_ancestor, is_still, lock_file, sync_directory};
pub use files::{Amount, BlobFiles, Durability, IngestFile};
pub use images::{ImageStore, StoredImage, check_name};
pub use live::LiveFile;
pub use memory::MemoryStore;
pub use mistyped::{check_expanded, check_parent};
pub use nearest::nearest;
pub use parallel::for_each;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use progress::{Event, Outcome, Progress, ProgressSink, Task};
pub use provider::{Origin, Provider, not_found};
pub use push::{Delivery, MakeBlob, PushBlob, PushSession, Pusher, RegistryOptions};
pub use scratch::{
    MadeDirectories, RECORD_PREFIX, SCRATCH_PREFIX, ScratchDirectory, ScratchFile, discard_scratch, is_record,
    is_scratch, remove_leftovers,
};
pub use snapshots::{Mount, MountKind, SnapshotWriter, Snapshots, chain_ids, is_root};
pub use spool::Spool;
pub use store::{BlobInfo, BlobMeta, BlobWriter, ContentStore, Made};
pub use stores::{StoreInfo, StoreKind, StoreRegistry};
pub use verify::{Hashing, Verified, copy, copy_to_writer, read};
pub use work::Work;
