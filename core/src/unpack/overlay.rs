//! Snapshots as one file system: overlayfs.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use longshore_content::is_root;
use longshore_oci::{Context, Error, ErrorKind, Result};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

/// Lower directories that overlayfs takes (`OVL_MAX_STACK`).
const LAYERS: usize = 500;
/// Bytes of options that mount(2) takes, with their end.
const PAGE: usize = 4096;

/// The options of `mount -t overlay` for snapshots, the base first: what is mounted is read-only. Add
/// `upperdir` and `workdir` to write to it.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) for a path that cannot be written in an option.
pub fn mount_options(snapshots: &[PathBuf]) -> Result<String> {
    check_layers(snapshots)?;
    let mut lower = Vec::new();
    for path in snapshots.iter().rev() {
        let text = path.to_str().filter(|text| !text.contains([':', ',', '\\']));
        let text = text.ok_or_else(|| Error::input(format!("{} cannot be a mount option", path.display())))?;
        lower.push(text);
    }
    let options = format!("lowerdir={}", lower.join(":"));
    Ok(if is_root() { options } else { format!("{options},userxattr") })
}

/// As `mount -t overlay` does it, with options of a page at most.
fn mount_by_options(snapshots: &[PathBuf], to: &Path) -> Result<()> {
    let options = mount_options(snapshots)?;
    if options.len() >= PAGE {
        let length = options.len();
        return Err(Error::new(ErrorKind::Unsupported, format!("the options of the mount have {length} bytes"))
            .with_hint("choose a shorter path with --store, or unpack with --to"));
    }
    let options = std::ffi::CString::new(options).map_err(|_| Error::input("a path has a zero byte"))?;
    Ok(rustix::mount::mount("longshore", to, "overlay", MountFlags::RDONLY, options.as_c_str())?)
}

fn check_layers(snapshots: &[PathBuf]) -> Result<()> {
    if snapshots.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, "an image without layers cannot be mounted"));
    }
    Ok(())
}

/// Mounts snapshots, the base first, on the directory `to`, read-only.
///
/// # Errors
/// [`Denied`](ErrorKind::Denied) without the right to mount; what the kernel refuses.
pub fn mount(snapshots: &[PathBuf], to: &Path) -> Result<()> {
    check_layers(snapshots)?;
    if snapshots.len() > LAYERS {
        let layers = snapshots.len();
        return Err(Error::new(ErrorKind::Unsupported, format!("overlayfs takes {LAYERS} layers, not {layers}"))
            .with_hint("unpack with --to"));
    }
    let mounted = || -> Result<()> {
        // The kernel mounts on no symbolic link.
        let to = to.canonicalize()?;
        let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&overlay, "source", "longshore")?;
        for path in snapshots.iter().rev() {
            // A directory a call: no limit of a page for all of them, and no character is special.
            match fsconfig_set_string(&overlay, "lowerdir+", path.as_os_str().as_bytes()) {
                // Before Linux 6.7, and for paths of more than 255 bytes.
                Err(Errno::INVAL) => return mount_by_options(snapshots, &to),
                set => set.attempt(|| format!("cannot add {}", path.display()))?,
            }
        }
        if !is_root() {
            fsconfig_set_flag(&overlay, "userxattr")?;
        }
        fsconfig_create(&overlay)?;
        let mount = fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
        move_mount(&mount, "", CWD, &to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(())
    };
    mounted().attempt(|| format!("cannot mount on {}", to.display()))
}
