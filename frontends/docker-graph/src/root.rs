//! A data root of dockerd, for one graph driver. Nothing in it is ever written.

use std::path::Path;
use std::str::FromStr;

use longshore_core::oci::{CONFIG_LIMIT, Digest};
use longshore_core::{Context, Error, ErrorKind, Result};
use strum::VariantNames;

use crate::directory::Directory;
use crate::driver::Driver;
use crate::place::is_users;
use crate::repositories::Repositories;

/// Enough for the names of very many images.
const REPOSITORIES_LIMIT: u64 = 64 << 20;

/// A data root.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) driver: Driver,
    /// dockerd's metadata of images and layers.
    pub(crate) image: Directory,
    /// The directory of the driver, with the files of layers.
    pub(crate) home: Directory,
    /// Whether its files belong to users of a user namespace (`userns-remap`: the directory `UID.GID`).
    pub(crate) is_remapped: bool,
}

impl Root {
    /// Opens the data root at `path`, for the named driver, or else for the one with images.
    pub(crate) fn open(path: &Path, driver: Option<&str>) -> Result<Self> {
        let opened = Directory::open(path).and_then(|data| {
            let driver = match driver {
                Some(driver) => parse(driver)?,
                None => choose(path, &data.names("image")?)?,
            };
            let image = Directory::open(&path.join("image").join(driver.to_string()))?;
            // An administrator may have moved it to another disk and left a link.
            let home = Directory::open(&path.join(driver.home()))?;
            let is_remapped = path.file_name().and_then(|name| name.to_str()).is_some_and(is_users);
            Ok(Self { driver, image, home, is_remapped })
        });
        let opened = opened.map_err(|error| match (error.kind(), error.hint()) {
            (ErrorKind::NotFound, None) => error.with_hint("name another root: docker-graph:/DIRECTORY:NAME"),
            (ErrorKind::Denied, None) => error.with_hint("only root may read Docker's storage"),
            _ => error,
        });
        opened.attempt(|| format!("cannot read Docker's storage in {}", path.display()))
    }

    /// Returns the names of images.
    pub(crate) fn repositories(&self) -> Result<Repositories> {
        let read = self.image.read("repositories.json", REPOSITORIES_LIMIT)?;
        let parsed = read.map_or_else(|| Ok(Repositories::default()), |bytes| Repositories::parse(&bytes));
        parsed.attempt(|| format!("cannot read {}", self.image.path().join("repositories.json").display()))
    }

    /// Returns the IDs of all images.
    pub(crate) fn ids(&self) -> Result<Vec<Digest>> {
        let names = self.image.names("imagedb/content/sha256")?;
        Ok(names.into_iter().filter_map(|name| format!("sha256:{name}").parse().ok()).collect())
    }

    /// Returns the configuration of an image, whose digest is the ID.
    pub(crate) fn config(&self, id: &Digest) -> Result<Vec<u8>> {
        let read = self.image.read(Path::new("imagedb/content/sha256").join(id.hex()), CONFIG_LIMIT)?;
        let config = read.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("image {id} not found")))?;
        let found = Digest::of(&config);
        if found != *id {
            return Err(Error::corrupt(format!("the config of image {id} has the digest {found}"))
                .with_hint("Docker's storage was changed by something other than Docker"));
        }
        Ok(config)
    }

    /// Returns the image that an image was built on, which Docker records for images built or loaded here.
    pub(crate) fn parent(&self, id: &Digest) -> Result<Option<Digest>> {
        let path = Path::new("imagedb/metadata/sha256").join(id.hex()).join("parent");
        let read = self
            .image
            .read_line(&path)
            .and_then(|parent| parent.filter(|parent| !parent.is_empty()).map(|parent| parent.parse()).transpose());
        read.attempt(|| format!("cannot read {}", self.image.path().join(path).display()))
    }
}

fn parse(driver: &str) -> Result<Driver> {
    Driver::from_str(driver).map_err(|_| {
        let message = format!("Docker's storage driver `{}` is not supported", driver.escape_debug());
        Error::new(ErrorKind::Unsupported, message)
            .with_hint(format!("supported drivers: {}", Driver::VARIANTS.join(", ")))
    })
}

/// Returns whether the containerd of this Docker has blobs of images.
fn has_blobs(root: &Path) -> bool {
    let blobs = root.join("containerd/daemon/io.containerd.content.v1.content/blobs/sha256");
    blobs.read_dir().is_ok_and(|mut blobs| blobs.next().is_some())
}

fn in_containerd() -> Error {
    Error::new(ErrorKind::Unsupported, "this Docker keeps its images in containerd")
        .with_hint("start it, and write docker-daemon:NAME")
}

/// Returns the only driver with images.
fn choose(root: &Path, present: &[String]) -> Result<Driver> {
    let has_images = |name: &&String| {
        let image = Directory::open(&root.join("image").join(name));
        image.and_then(|image| image.names("imagedb/content/sha256")).is_ok_and(|ids| !ids.is_empty())
    };
    let used: Vec<&String> = present.iter().filter(has_images).collect();
    match (&used[..], present) {
        ([driver], _) => parse(driver),
        ([], []) if root.join("containerd").is_dir() => Err(in_containerd()),
        // It had a graph driver before.
        ([], _) if has_blobs(root) => Err(in_containerd()),
        ([], []) => Err(Error::new(ErrorKind::NotFound, "it has no images of any storage driver")
            .with_hint("name the directory that `docker info` shows as Docker Root Dir")),
        // There are no images: any requested one is missing.
        ([], [driver, ..]) => parse(driver),
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(Error::option(format!("it has images of several storage drivers: {}", names.join(", ")))
                .with_hint(format!("choose one with driver={}", names.join(" or driver="))))
        }
    }
}
