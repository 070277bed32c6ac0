//! Snapshots as one file system: overlayfs, or a single directory.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use longshore_content::{Mount, MountKind};
use longshore_oci::{Context, Error, ErrorKind, Result};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_remount, move_mount, open_tree,
};

/// Maximum number of lower directories in overlayfs (`OVL_MAX_STACK`).
const LAYERS: usize = 500;
/// Maximum size of mount(2) options in bytes, with their NUL.
const PAGE: usize = 4096;

/// Returns the options of `mount -t overlay` for snapshots: what is mounted is read-only. Add `upperdir` and
/// `workdir` to write to it.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) for a path that cannot be written in an option;
/// [`Unsupported`](ErrorKind::Unsupported) for a mount that is no overlay.
pub fn mount_options(mount: &Mount) -> Result<String> {
    if mount.kind != MountKind::Overlay {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the image is a single directory, which overlayfs cannot mount",
        )
        .with_hint("use a bind mount"));
    }
    let mut lower = Vec::new();
    for path in &mount.layers {
        let text = path.to_str().filter(|text| !text.contains([':', ',', '\\']));
        let text = text.ok_or_else(|| Error::input(format!("{} cannot be a mount option", path.display())))?;
        lower.push(text);
    }
    let options = [format!("lowerdir={}", lower.join(":"))];
    Ok(options.iter().chain(&mount.options).map(String::as_str).collect::<Vec<_>>().join(","))
}

/// Mounts like `mount -t overlay`, with options of at most one page.
fn mount_by_options(mount: &Mount, to: &Path) -> Result<()> {
    let options = mount_options(mount)?;
    if options.len() >= PAGE {
        let length = options.len();
        return Err(Error::new(ErrorKind::Unsupported, format!("the options of the mount have {length} bytes"))
            .with_hint("choose a shorter path for the store, or unpack to a directory"));
    }
    let options = std::ffi::CString::new(options).map_err(|_| Error::input("a path contains a NUL byte"))?;
    Ok(rustix::mount::mount("longshore", to, "overlay", MountFlags::RDONLY, options.as_c_str())?)
}

/// Mounts snapshots on the directory `to`, read-only.
///
/// # Errors
/// [`Denied`](ErrorKind::Denied) without the right to mount; what the kernel refuses.
pub fn mount(mount: &Mount, to: &Path) -> Result<()> {
    let layers = mount.layers.len();
    if mount.kind == MountKind::Overlay && layers > LAYERS {
        return Err(Error::new(ErrorKind::Unsupported, format!("overlayfs takes {LAYERS} layers, not {layers}"))
            .with_hint("unpack to a directory"));
    }
    // The kernel does not mount on a symbolic link.
    let mounted = to.canonicalize().map_err(Error::from).and_then(|to| match mount.kind {
        MountKind::Bind => mount_bind(mount, &to),
        MountKind::Overlay => mount_overlay(mount, &to),
    });
    mounted.attempt(|| format!("cannot mount on {}", to.display()))
}

fn mount_bind(mount: &Mount, to: &Path) -> Result<()> {
    let directory = mount.layers.first().ok_or_else(|| Error::input("a bind mount of no directory"))?;
    let tree = open_tree(CWD, directory, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    move_mount(&tree, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    // The kernel ignores the flag while binding.
    Ok(mount_remount(to, MountFlags::BIND | MountFlags::RDONLY, "")?)
}

fn mount_overlay(mount: &Mount, to: &Path) -> Result<()> {
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&overlay, "source", "longshore")?;
    for path in &mount.layers {
        // One call per directory: the limit of a page does not apply, and no character is special.
        match fsconfig_set_string(&overlay, "lowerdir+", path.as_os_str().as_bytes()) {
            // Linux before 6.7, or a path of more than 255 bytes.
            Err(Errno::INVAL) => return mount_by_options(mount, to),
            set => set.attempt(|| format!("cannot add {}", path.display()))?,
        }
    }
    for option in &mount.options {
        let set = match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(&overlay, key, value),
            None => fsconfig_set_flag(&overlay, option.as_str()),
        };
        set.attempt(|| format!("cannot set {option}"))?;
    }
    fsconfig_create(&overlay)?;
    let mount = fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    Ok(move_mount(&mount, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}
