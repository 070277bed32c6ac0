//! Tarballs of `docker save` without an OCI layout: `manifest.json`, a configuration for each image,
//! and layers, which images may share through links.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use longshore_core::archive::TarFile;
use longshore_core::compression::{Algorithm, detect};
use longshore_core::content::{Progress, Provider};
use longshore_core::oci::{CONFIG_LIMIT, Descriptor, Digest, Hasher, ImageName, MANIFEST_LIMIT, MediaType};
use longshore_core::{Context, Error, ErrorKind, Existing, Image, ImageContent, Result};

use crate::described::{Item, items};

/// A tarball with images described by `manifest.json`.
#[derive(Debug)]
pub(crate) struct DockerArchive {
    tar: Arc<TarFile>,
    items: Vec<Item>,
}

/// Provides the blobs of an image: the tarball, and this value for the manifest made for it.
#[derive(Debug)]
struct Blobs {
    tar: Arc<TarFile>,
    found: HashMap<Digest, Found>,
}

#[derive(Debug)]
enum Found {
    At(String),
    Made(Vec<u8>),
}

impl DockerArchive {
    pub(crate) fn open(tar: Arc<TarFile>) -> Result<Self> {
        let manifest = tar.document("manifest.json", MANIFEST_LIMIT).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Error::input("neither a Docker tarball nor an OCI layout: it has no `manifest.json`")
            }
            _ => error,
        })?;
        let items = items(&manifest)?;
        Ok(Self { tar, items })
    }

    /// Returns all images, or the one that `reference`, a name or an image ID, selects.
    pub(crate) fn images(self, reference: Option<&str>, progress: &Progress) -> Result<Vec<Image>> {
        let tar = self.tar;
        let mut images = Vec::new();
        for item in self.items {
            let names = item.names(progress);
            let config = tar.document(&item.config, CONFIG_LIMIT).attempt(|| "cannot read a config".to_owned())?;
            let is_wanted = |reference: &str| {
                let name = reference.parse::<ImageName>().ok();
                name.is_some_and(|name| names.contains(&name)) || Digest::of(&config).to_string() == reference
            };
            if reference.is_none_or(is_wanted) {
                images.push(image(&tar, &item, config)?.with_names(names));
            }
        }
        match reference {
            Some(reference) if images.is_empty() => {
                Err(Error::new(ErrorKind::NotFound, format!("`{}` is not in the tarball", reference.escape_debug())))
            }
            None if images.is_empty() => Err(Error::input("there is no image in it")),
            _ => Ok(images),
        }
    }
}

/// Returns an image of the tarball, with a manifest made for it.
fn image(tar: &Arc<TarFile>, item: &Item, config: Vec<u8>) -> Result<Image> {
    let mut found = HashMap::new();
    let made = item.manifest(&config, |path, diff_id| {
        let layer = layer(tar, path, diff_id.clone())?;
        found.insert(layer.digest.clone(), Found::At(path.to_owned()));
        Ok(layer)
    })?;
    found.insert(made.config, Found::Made(config));
    found.insert(made.root.digest.clone(), Found::Made(made.bytes));
    let provider = Arc::new(Blobs { tar: tar.clone(), found });
    Ok(Image::new(ImageContent::Existing(Existing::new(made.root, provider))))
}

/// Returns the descriptor of a layer. An uncompressed layer is its own tar stream, so its digest is known
/// without reading it, and is checked when it is copied.
fn layer(tar: &TarFile, path: &str, diff_id: Digest) -> Result<Descriptor> {
    let mut start = Vec::new();
    tar.read(path, 0)?.take(6).read_to_end(&mut start)?;
    let algorithm = detect(&start)?;
    let digest = if algorithm == Algorithm::Uncompressed { diff_id } else { hash(tar.read(path, 0)?)? };
    Ok(Descriptor::new(MediaType::layer(algorithm), digest, tar.size(path)?))
}

fn hash(mut input: impl Read) -> Result<Digest> {
    let mut hasher = Hasher::sha256();
    io::copy(&mut input, &mut hasher)?;
    Ok(hasher.finish())
}

impl Provider for Blobs {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        match self.found.get(digest) {
            Some(Found::At(path)) => Ok(Box::new(self.tar.read(path, from)?)),
            Some(Found::Made(bytes)) => {
                let mut reader = Cursor::new(bytes);
                reader.set_position(from);
                Ok(Box::new(reader))
            }
            None => Err(Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the tarball"))),
        }
    }
}
