//! Where drivers keep the files of layers (moby, `daemon/graphdriver`).

use std::path::{Path, PathBuf};

use longshore_core::layer::Whiteouts;

/// A graph driver that keeps files in directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Driver {
    /// A directory a layer, with whiteouts of overlayfs.
    Overlay2,
    /// A directory a layer, with whiteouts of AUFS.
    FuseOverlayfs,
    /// A subvolume a layer, with all files of those below.
    Btrfs,
    /// A directory a layer, with whiteouts of AUFS.
    Aufs,
    /// A directory a layer, with all files of those below.
    Vfs,
}

impl Driver {
    /// Returns the directory, in the data root, of all layers.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::FuseOverlayfs => "fuse-overlayfs",
            Self::Btrfs => "btrfs/subvolumes",
            Self::Aufs => "aufs/diff",
            Self::Vfs => "vfs/dir",
        }
    }

    /// Returns the directory, in its home, of the files of a layer.
    pub(crate) fn files(self, cache_id: &str) -> PathBuf {
        match self {
            Self::Overlay2 | Self::FuseOverlayfs => Path::new(cache_id).join("diff"),
            Self::Btrfs | Self::Aufs | Self::Vfs => PathBuf::from(cache_id),
        }
    }

    /// Files in the directory of a layer that are the driver's own.
    pub(crate) fn own_files(self) -> &'static [&'static str] {
        match self {
            Self::Aufs => &[".wh..wh.aufs", ".wh..wh.orph", ".wh..wh.plnk"],
            Self::Overlay2 | Self::FuseOverlayfs | Self::Btrfs | Self::Vfs => &[],
        }
    }

    /// Returns the whiteout format of layer directories; `None` if they contain the lower layers, too.
    pub(crate) fn whiteouts(self) -> Option<Whiteouts> {
        match self {
            Self::Overlay2 => Some(Whiteouts::Overlay),
            Self::FuseOverlayfs | Self::Aufs => Some(Whiteouts::Aufs),
            Self::Btrfs | Self::Vfs => None,
        }
    }
}
