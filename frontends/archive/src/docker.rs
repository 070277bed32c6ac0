//! Tarballs of `docker save` that have no OCI layout: `manifest.json`, a configuration for each image,
//! and layers, which links may share.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use longshore_core::archive::TarFile;
use longshore_core::compression::{Algorithm, detect};
use longshore_core::content::Provider;
use longshore_core::oci::{
    CONFIG_LIMIT, Descriptor, Digest, Hasher, ImageConfig, ImageName, MANIFEST_LIMIT, Manifest, MediaType, json,
};
use longshore_core::{Context, Error, ErrorKind, Existing, Image, ImageContent, Result};
use serde::Deserialize;

/// A tarball whose images are described by `manifest.json`.
#[derive(Debug)]
pub(crate) struct DockerArchive {
    tar: TarFile,
    items: Vec<Item>,
}

/// An image in `manifest.json`. What else Docker writes there says nothing new.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Item {
    pub(crate) config: String,
    pub(crate) repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Reads `manifest.json`.
pub(crate) fn items(manifest: &[u8]) -> Result<Vec<Item>> {
    let items: Option<Vec<Item>> = serde_json::from_slice(manifest)
        .map_err(|error| Error::input("`manifest.json` is malformed").with_source(error))?;
    items.ok_or_else(|| Error::input("`manifest.json` is `null`"))
}

/// A manifest that was made for an image, as Docker's format has none.
pub(crate) struct MadeManifest {
    pub(crate) root: Descriptor,
    pub(crate) bytes: Vec<u8>,
    pub(crate) config: Digest,
    /// Its configuration and its layers.
    pub(crate) references: Vec<Digest>,
}

/// Who has the blobs of an image: the tarball, and for the manifest that was made this value.
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
    pub(crate) fn open(tar: TarFile) -> Result<Self> {
        let manifest = tar.document("manifest.json", MANIFEST_LIMIT).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Error::input("neither a Docker tarball nor an OCI layout: it has no `manifest.json`")
            }
            _ => error,
        })?;
        let items = items(&manifest)?;
        Ok(Self { tar, items })
    }

    /// The images, or the one that `reference` names: a name or an image ID.
    pub(crate) fn images(self, reference: Option<&str>) -> Result<Vec<Image>> {
        let tar = Arc::new(self.tar);
        let mut images = Vec::new();
        for item in self.items {
            let names = item.names()?;
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
            _ => Ok(images),
        }
    }
}

impl Item {
    /// Makes the manifest of an image with this configuration; `layer` finds the layer at a path, which
    /// must turn out to have a diffID.
    pub(crate) fn manifest(
        &self,
        config: &[u8],
        mut layer: impl FnMut(&str, &Digest) -> Result<Descriptor>,
    ) -> Result<MadeManifest> {
        let parsed = ImageConfig::parse(config).attempt(|| format!("cannot read config `{}`", self.config))?;
        let diff_ids = parsed.diff_ids()?;
        if diff_ids.len() != self.layers.len() {
            let (layers, listed) = (self.layers.len(), diff_ids.len());
            let message = format!("config `{}` lists {listed} layers, `manifest.json` {layers}", self.config);
            return Err(Error::input(message));
        }
        let layers = self.layers.iter().zip(&diff_ids);
        let layers =
            layers.map(|(path, diff_id)| layer(path, diff_id).attempt(|| format!("cannot read layer `{path}`")));
        let layers: Vec<Descriptor> = layers.collect::<Result<_>>()?;
        let config = Descriptor::of(MediaType::CONFIG, config);
        check_name(&self.config, &config.digest)?;
        let references = [&config].into_iter().chain(&layers).map(|blob| blob.digest.clone()).collect();
        let bytes = json::indented(&Manifest::new(config.clone(), layers))?;
        Ok(MadeManifest { root: Descriptor::of(MediaType::MANIFEST, &bytes), bytes, config: config.digest, references })
    }

    fn names(&self) -> Result<Vec<ImageName>> {
        let parse = |name: &String| name.parse::<ImageName>();
        self.repo_tags.iter().flatten().map(parse).collect::<Result<_>>().attempt(|| "`manifest.json`".to_owned())
    }
}

/// An image of the tarball, with a manifest that is made for it.
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

/// A layer of the tarball. One that is not compressed is its own tar stream, so its digest is known
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

/// A configuration whose name is a digest must have that digest: its name is the image ID.
fn check_name(path: &str, digest: &Digest) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".json");
    let claims = format!("sha256:{name}").parse::<Digest>();
    match claims {
        Ok(claimed) if claimed != *digest => Err(Error::corrupt(format!("config `{path}` has the digest {digest}"))),
        _ => Ok(()),
    }
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
