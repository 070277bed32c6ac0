//! The images that the readers are given, exported once for all tests.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};
use serde_json::Value;

use super::command::{longshore_export, run};
use super::peers::{is_root, missing};
use super::tree::Tree;

pub(crate) const COMPRESSIONS: [&str; 3] = ["gzip", "zstd", "uncompressed"];
pub(crate) const NAME: &str = "example.com/interop:v1";
pub(crate) const TAG: &str = "v1";

/// `cap_net_raw+ep` as the kernel keeps it: revision 2 and effective, then permitted and inheritable, twice.
const CAP_NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An archive and a directory in each compression, from one run.
#[derive(Debug)]
pub(crate) struct Exported {
    directory: PathBuf,
    base: PathBuf,
    metadata: Value,
    /// Held as long as the process lives: the next run replaces the directory.
    _lock: File,
}

/// The images, or `None` if there is no tree to make them of.
pub(crate) fn exported() -> Option<&'static Exported> {
    static EXPORTED: OnceLock<Option<Exported>> = OnceLock::new();
    let exported = EXPORTED.get_or_init(|| base().map(Exported::new)).as_ref();
    if exported.is_none() {
        missing("there is no tree to export: `sh testdata/test.sh` makes one as root");
    }
    exported
}

/// The Debian tree, if there is one.
fn base() -> Option<PathBuf> {
    let made = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/minbase");
    std::env::var_os("LONGSHORE_TEST_TREE").map_or_else(made, PathBuf::from).canonicalize().ok()
}

impl Exported {
    fn new(base: PathBuf) -> Self {
        let (directory, lock) = fresh("interop");
        write_layer(&directory.join("layer"));
        let mut command = longshore_export(&directory);
        for compression in COMPRESSIONS {
            for dest in [format!("{compression}.tar"), format!("{compression},tar=false")] {
                command.arg("-o").arg(format!("type=oci,name={NAME},compression={compression},dest={dest}"));
            }
        }
        command.arg(format!("rootfs:{}", base.display())).args([
            "--layer",
            "layer",
            "--metadata-file",
            "metadata.json",
        ]);
        run(&mut command);
        let metadata = serde_json::from_slice(&fs::read(directory.join("metadata.json")).unwrap()).unwrap();
        Self { directory, base, metadata, _lock: lock }
    }

    pub(crate) fn layout(&self, compression: &str) -> PathBuf {
        self.directory.join(compression)
    }

    pub(crate) fn archive(&self, compression: &str) -> PathBuf {
        self.directory.join(format!("{compression}.tar"))
    }

    /// What `--metadata-file` says that the digest of the manifest is, in the archive as in the directory.
    pub(crate) fn digest(&self, compression: &str) -> &str {
        let outputs = self.metadata["longshore.outputs"].as_array().unwrap();
        let names = [compression.to_owned(), format!("{compression}.tar")];
        let outputs = outputs.iter().filter(|output| names.iter().any(|name| output["destination"] == name.as_str()));
        let digests: Vec<&str> =
            outputs.map(|output| output["images"][0]["root"]["digest"].as_str().unwrap()).collect();
        assert!(digests.len() == 2 && digests[0] == digests[1], "{digests:?} in {}", self.metadata);
        digests[0]
    }

    pub(crate) fn blob(&self, compression: &str, digest: &str) -> PathBuf {
        self.layout(compression).join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    /// The blobs of the base and of the layer over it.
    pub(crate) fn layers(&self, compression: &str) -> [PathBuf; 2] {
        let manifest = fs::read(self.blob(compression, self.digest(compression))).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let digests = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap());
        let blobs: Vec<PathBuf> = digests.map(|digest| self.blob(compression, digest)).collect();
        blobs.try_into().unwrap()
    }

    /// What the layers were made of.
    pub(crate) fn sources(&self) -> [Tree; 2] {
        [Tree::read(&self.base), Tree::read(&self.directory.join("layer"))]
    }

    /// What an unpacked image must be equal to.
    pub(crate) fn tree(&self) -> Tree {
        let [base, layer] = self.sources();
        base.with(layer)
    }
}

/// An empty directory that stays until the next run, and the lock under which it is this run's.
pub(crate) fn fresh(name: &str) -> (PathBuf, File) {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let lock = File::create(parent.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let directory = parent.join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory).unwrap();
    }
    fs::create_dir(&directory).unwrap();
    (directory, lock)
}

/// What a Debian tree has not, or not surely, and a directory that both have.
pub(crate) fn write_layer(root: &Path) {
    let special = root.join("special");
    let deep = special.join(["directory-with-a-long-name"; 12].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "a path of more than 256 bytes").unwrap();
    fs::create_dir(root.join("etc")).unwrap();
    fs::set_permissions(root.join("etc"), Permissions::from_mode(0o750)).unwrap();
    fs::write(root.join("etc/interop"), "in a directory of the base").unwrap();
    fs::write(special.join("hard-1"), "three names").unwrap();
    fs::hard_link(special.join("hard-1"), special.join("hard-2")).unwrap();
    fs::hard_link(special.join("hard-1"), deep.join("hard-3")).unwrap();
    symlink("hard-1", special.join("symlink")).unwrap();
    symlink("/missing", special.join("dangling")).unwrap();
    mknodat(CWD, special.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    fs::write(special.join("naïve-日本語 "), "not ASCII, with a space at the end").unwrap();
    fs::write(special.join("empty"), "").unwrap();
    fs::create_dir(special.join("sticky")).unwrap();
    fs::set_permissions(special.join("sticky"), Permissions::from_mode(0o1777)).unwrap();
    let setuid = special.join("setuid");
    fs::write(&setuid, "#!").unwrap();
    if is_root() {
        // Above what the octal field of a tar header holds.
        chown(&setuid, Some(3_000_000), Some(4_000_000)).unwrap();
        mknodat(CWD, special.join("null"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 3))
            .unwrap();
        fs::write(special.join("ping"), "#!").unwrap();
        lsetxattr(special.join("ping"), "security.capability", &CAP_NET_RAW, XattrFlags::empty()).unwrap();
    }
    // After the owner: the kernel takes the bit away when that changes.
    fs::set_permissions(&setuid, Permissions::from_mode(0o4755)).unwrap();
}
