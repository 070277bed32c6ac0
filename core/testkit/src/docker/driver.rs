//! Where the graph drivers of dockerd keep the files of layers.

use std::path::PathBuf;

/// A graph driver of dockerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GraphDriver {
    /// One directory per layer, merged by overlayfs.
    Overlay2,
    /// One directory per layer, with all files of the lower layers.
    Vfs,
    /// Like overlay2, for rootless daemons.
    FuseOverlayfs,
    /// One subvolume per layer, with all files of the lower layers.
    Btrfs,
    /// One directory per layer, merged by aufs; removed in Docker 24.
    Aufs,
}

impl GraphDriver {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Overlay2, Self::Vfs, Self::FuseOverlayfs, Self::Btrfs, Self::Aufs];

    /// Returns its name, which is that of directories too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::Vfs => "vfs",
            Self::FuseOverlayfs => "fuse-overlayfs",
            Self::Btrfs => "btrfs",
            Self::Aufs => "aufs",
        }
    }

    /// Returns the path of a layer's files, relative to the data root.
    pub fn payload_path(self, cache_id: &str) -> PathBuf {
        PathBuf::from(match self {
            Self::Overlay2 | Self::FuseOverlayfs => format!("{}/{cache_id}/diff", self.name()),
            Self::Vfs => format!("vfs/dir/{cache_id}"),
            Self::Btrfs => format!("btrfs/subvolumes/{cache_id}"),
            Self::Aufs => format!("aufs/diff/{cache_id}"),
        })
    }

    /// Returns whether the directory of a layer has the files of the layers below too.
    pub fn keeps_whole_trees(self) -> bool {
        matches!(self, Self::Vfs | Self::Btrfs)
    }
}
