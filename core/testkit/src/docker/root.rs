//! A data root of dockerd, as its graph drivers write it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use longshore_core::oci::{Digest, json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::archive::{self, Archive, Kind};
use super::config::{BuiltImage, config};
use super::driver::GraphDriver;
use super::extract::{Whiteouts, copy, extract};
use super::tar_split::split;

/// How many places in registries dockerd remembers for one layer.
const PLACES: usize = 50;

/// A layer that was added to a [`DockerRoot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedLayer {
    /// The digest of its archive.
    pub diff_id: Digest,
    /// The digest by which it is known on top of its parents.
    pub chain_id: Digest,
    /// The name of the directory of its files.
    pub cache_id: String,
    /// Bytes of content of its files, and of the targets of symbolic links where the driver counts them.
    pub size: u64,
}

/// A data root (`/var/lib/docker`) in a directory, with what readers of images need.
///
/// It is written as an ordinary user, so files have no owners, devices and pipes are missing, and
/// whiteouts are left out of overlay2's directories.
///
/// What cannot be written panics.
#[derive(Debug)]
pub struct DockerRoot {
    path: PathBuf,
    driver: GraphDriver,
}

impl DockerRoot {
    /// Creates a root in `directory`, which may have one already.
    pub fn new(directory: &Path, driver: GraphDriver) -> Self {
        let root = Self { path: directory.to_owned(), driver };
        let directories =
            ["imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb/sha256", "layerdb/tmp", "distribution"];
        for directory in directories {
            create(&root.metadata().join(directory));
        }
        create(&root.path.join(driver.name()));
        if !root.repositories_path().exists() {
            write(&root.repositories_path(), br#"{"Repositories":{}}"#);
        }
        root
    }

    /// Adds the layer of an uncompressed archive on top of the one with the chain ID `parent`. A layer
    /// that already exists stays as it is.
    ///
    /// # Panics
    /// If there is no such parent, or `tar` is nothing that dockerd could extract.
    pub fn layer(&self, parent: Option<&Digest>, tar: &[u8]) -> AddedLayer {
        let diff_id = Digest::of(tar);
        let chain = |parent: &Digest| Digest::of(format!("{parent} {diff_id}").as_bytes());
        let chain_id = parent.map_or_else(|| diff_id.clone(), chain);
        let cache_id = Digest::of(format!("cache-id of {chain_id}").as_bytes()).hex().to_owned();
        let archive = archive::read(tar);
        let size = self.size(&archive);
        let directory = self.layer_dir(&chain_id);
        if !directory.exists() {
            let below = parent.map(|parent| self.cache_id(parent));
            self.payload(&cache_id, below.as_deref(), &archive);
            create(&directory);
            write(&directory.join("diff"), diff_id.to_string().as_bytes());
            write(&directory.join("size"), format!("{size}").as_bytes());
            write(&directory.join("cache-id"), cache_id.as_bytes());
            if let Some(parent) = parent {
                write(&directory.join("parent"), parent.to_string().as_bytes());
            }
            write(&directory.join("tar-split.json.gz"), &split(tar).gzip());
        }
        AddedLayer { diff_id, chain_id, cache_id, size }
    }

    /// Adds an image with exactly these bytes as its configuration; returns its ID.
    pub fn image(&self, config: &[u8]) -> Digest {
        let id = Digest::of(config);
        write(&self.config_path(&id), config);
        id
    }

    /// Adds an image of the layers of these archives, the base first. It has no name.
    pub fn build(&self, layers: &[Vec<u8>]) -> BuiltImage {
        let mut added: Vec<AddedLayer> = Vec::new();
        for tar in layers {
            added.push(self.layer(added.last().map(|layer| &layer.chain_id), tar));
        }
        let config = config(&added);
        BuiltImage { id: self.image(&config), config, layers: added }
    }

    /// Gives an image a name as `docker images` shows it: `app:1`, `registry.example/app@sha256:…`.
    ///
    /// # Panics
    /// If the name has neither tag nor digest.
    pub fn tag(&self, reference: &str, id: &Digest) {
        let repository = match reference.split_once('@') {
            Some((repository, _)) => repository,
            None => {
                let colon = reference.rfind(':').filter(|colon| !reference[*colon..].contains('/'));
                &reference[..colon.unwrap_or_else(|| panic!("`{reference}` has neither tag nor digest"))]
            }
        };
        // By repository, and then by full name.
        let mut document: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>> =
            read(&self.repositories_path());
        let repositories = document.entry("Repositories".to_owned()).or_default();
        repositories.entry(repository.to_owned()).or_default().insert(reference.to_owned(), id.to_string());
        write_json(&self.repositories_path(), &document);
    }

    /// Says that `child` was built on top of `parent`.
    pub fn set_parent(&self, child: &Digest, parent: &Digest) {
        let directory = self.metadata().join("imagedb/metadata/sha256").join(child.hex());
        create(&directory);
        write(&directory.join("parent"), parent.to_string().as_bytes());
    }

    /// Says that a registry has a layer as the blob `digest` in `repository`, a full name such as
    /// `docker.io/library/app`. What was said last is the last that is remembered.
    pub fn set_registry_digest(&self, diff_id: &Digest, digest: &Digest, repository: &str) {
        let distribution = self.metadata().join("distribution");
        let [path, by_digest] =
            [("v2metadata-by-diffid", diff_id), ("diffid-by-digest", digest)].map(|(name, digest)| {
                let directory = distribution.join(name).join("sha256");
                create(&directory);
                directory.join(digest.hex())
            });
        let mut places: Vec<Value> = if path.exists() { read(&path) } else { Vec::new() };
        let place = json!({ "Digest": digest, "SourceRepository": repository, "HMAC": "" });
        places.retain(|known| *known != place);
        places.push(place);
        places.drain(..places.len().saturating_sub(PLACES));
        write_json(&path, &places);
        write(&by_digest, diff_id.to_string().as_bytes());
    }

    /// Returns the directory that it is in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file of names.
    pub fn repositories_path(&self) -> PathBuf {
        self.metadata().join("repositories.json")
    }

    /// Returns the file of the configuration of an image.
    pub fn config_path(&self, id: &Digest) -> PathBuf {
        self.metadata().join("imagedb/content/sha256").join(id.hex())
    }

    /// Returns the directory of what is known about a layer.
    pub fn layer_dir(&self, chain_id: &Digest) -> PathBuf {
        self.metadata().join("layerdb/sha256").join(chain_id.hex())
    }

    /// Returns the directory of the files of a layer.
    pub fn payload_dir(&self, cache_id: &str) -> PathBuf {
        self.path.join(self.driver.payload_path(cache_id))
    }

    fn metadata(&self) -> PathBuf {
        self.path.join("image").join(self.driver.name())
    }

    fn cache_id(&self, chain_id: &Digest) -> String {
        let path = self.layer_dir(chain_id).join("cache-id");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("there is no layer {chain_id} to be a parent: {error}"))
    }

    /// Returns the size of a layer as dockerd computes it. If it scans the directory, links have a size too.
    fn size(&self, archive: &Archive<'_>) -> u64 {
        let counts_links = !self.driver.keeps_whole_trees();
        let sizes = archive.members.iter().map(|member| match member.kind {
            Kind::Symlink if counts_links => member.link.len(),
            _ => member.content.len(),
        });
        sizes.sum::<usize>() as u64
    }

    /// Writes the files of a layer on top of the layer `below`.
    fn payload(&self, cache_id: &str, below: Option<&str>, archive: &Archive<'_>) {
        let payload = self.payload_dir(cache_id);
        let directory = payload.parent().unwrap_or(&payload);
        create(directory);
        let made = match below.filter(|_| self.driver.keeps_whole_trees()) {
            Some(below) => copy(&self.payload_dir(below), &payload),
            None => fs::create_dir(&payload),
        };
        let whiteouts = match self.driver {
            GraphDriver::Overlay2 => Whiteouts::Skip,
            GraphDriver::FuseOverlayfs | GraphDriver::Aufs => Whiteouts::Keep,
            GraphDriver::Vfs | GraphDriver::Btrfs => Whiteouts::Apply,
        };
        let extracted = made.and_then(|()| extract(archive, &payload, whiteouts));
        extracted.unwrap_or_else(|error| panic!("cannot extract a layer to {}: {error}", payload.display()));
        if self.driver == GraphDriver::Overlay2 {
            self.overlay(cache_id, below);
        }
    }

    /// Writes the files that overlay2 needs to mount a layer: short names, and those of the lower layers.
    fn overlay(&self, cache_id: &str, below: Option<&str>) {
        let home = self.path.join("overlay2");
        let directory = home.join(cache_id);
        let link = link(cache_id);
        write(&directory.join("link"), link.as_bytes());
        create(&home.join("l"));
        let to = home.join("l").join(&link);
        symlink(format!("../{cache_id}/diff"), &to)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", to.display()));
        let Some(below) = below.map(|below| home.join(below)) else { return };
        create(&directory.join("work"));
        let read = |name: &str| fs::read_to_string(below.join(name)).unwrap_or_default();
        let lower = [format!("l/{}", read("link")), read("lower")];
        let lower: Vec<_> = lower.into_iter().filter(|lower| !lower.is_empty()).collect();
        write(&directory.join("lower"), lower.join(":").as_bytes());
        write(&below.join("committed"), b"");
    }
}

/// Returns the short name of a layer: 26 base-32 characters, so that many fit into mount options.
fn link(cache_id: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digits = Digest::of(cache_id.as_bytes()).hex().to_owned();
    let pairs = digits.as_bytes().chunks(2).take(26);
    let number = |pair: &[u8]| pair.iter().fold(0, |number, digit| number * 16 + usize::from(*digit));
    pairs.map(|pair| char::from(ALPHABET[number(pair) % 32])).collect()
}

fn create(directory: &Path) {
    fs::create_dir_all(directory).unwrap_or_else(|error| panic!("cannot create {}: {error}", directory.display()));
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

fn write_json(path: &Path, document: &impl Serialize) {
    write(path, &json::compact(document).expect("a document is JSON"));
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
