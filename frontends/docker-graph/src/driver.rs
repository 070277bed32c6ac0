//! Where drivers keep the files of layers (moby, `daemon/graphdriver`).

use std::path::{Path, PathBuf};

use longshore_core::layer::Whiteouts;

/// A graph driver that keeps files in directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Driver {
    /// One directory per layer, with overlayfs whiteouts.
    Overlay2,
    /// One directory per layer, with AUFS whiteouts.
    FuseOverlayfs,
    /// One subvolume per layer, with all files of the lower layers.
    Btrfs,
    /// One directory per layer, with AUFS whiteouts.
    Aufs,
    /// One directory per layer, with all files of the lower layers.
    Vfs,
}

impl Driver {
    /// Returns the directory of all layers in the data root.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::FuseOverlayfs => "fuse-overlayfs",
            Self::Btrfs => "btrfs/subvolumes",
            Self::Aufs => "aufs/diff",
            Self::Vfs => "vfs/dir",
        }
    }

    /// Returns the directory of a layer's files in the driver's home.
    pub(crate) fn files(self, cache_id: &str) -> PathBuf {
        match self {
            Self::Overlay2 | Self::FuseOverlayfs => Path::new(cache_id).join("diff"),
            Self::Btrfs | Self::Aufs | Self::Vfs => PathBuf::from(cache_id),
        }
    }

    /// Returns the driver's own files in the directory of a layer.
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
