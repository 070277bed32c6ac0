//! What an image consists of, for people and programs.

use longshore_content::{Verified, Work, read};
use longshore_oci::{
    CONFIG_LIMIT, Context, Descriptor, Digest, Error, ErrorKind, ImageConfig, MANIFEST_LIMIT, MediaType, Platform,
    Result, parse_index, parse_manifest,
};
use serde::Serialize;

use super::GraphLimits;
use crate::archive::{EntryKind, Reader};
use crate::compression::decoder;
use crate::result::Existing;

/// How many of its biggest files are told of a layer.
const BIGGEST: usize = 5;

/// What an image consists of.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Its root.
    pub root: Descriptor,
    /// Its manifests: one, or those of its index.
    pub manifests: Vec<InspectedManifest>,
    /// What its index lists and is not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Descriptor>,
}

/// A manifest of an image.
#[derive(Debug, Clone, Serialize)]
pub struct InspectedManifest {
    /// The manifest.
    pub digest: Digest,
    /// What it runs on; `None` for what is no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The configuration.
    pub config: Descriptor,
    /// Its content, where it is an image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageConfig>,
    /// The layers, the base first.
    pub layers: Vec<InspectedLayer>,
}

/// A layer of an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedLayer {
    /// The blob.
    pub digest: Digest,
    /// What it is.
    pub media_type: MediaType,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its uncompressed tar stream, as the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<Digest>,
    /// How many files it has.
    pub files: u64,
    /// The bytes of their content.
    pub content: u64,
    /// The biggest of them, the biggest first.
    pub biggest: Vec<InspectedFile>,
}

/// A file in a layer.
#[derive(Debug, Clone, Serialize)]
pub struct InspectedFile {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Reads an image and says what it consists of. Every byte is verified on the way, but where a layer has an
/// [outline](crate::content::Provider::outline): then no file is read.
///
/// # Errors
/// Blobs that are missing or not what their descriptors say.
pub fn inspect(existing: &Existing, work: &Work) -> Result<Inspection> {
    let inspector = Inspector { existing, work };
    let mut manifests = Vec::new();
    let mut missing = Vec::new();
    let inspected = inspector.visit(&existing.root, 0, &mut manifests, &mut missing);
    inspected.attempt(|| format!("cannot read image {}", existing.root.digest))?;
    Ok(Inspection { root: existing.root.clone(), manifests, missing })
}

struct Inspector<'a> {
    existing: &'a Existing,
    work: &'a Work,
}

impl Inspector<'_> {
    fn document(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        read(self.existing.provider.as_ref(), descriptor, limit)
    }

    fn visit(
        &self,
        descriptor: &Descriptor,
        depth: usize,
        found: &mut Vec<InspectedManifest>,
        missing: &mut Vec<Descriptor>,
    ) -> Result<()> {
        let GraphLimits { depth: deepest, blobs } = GraphLimits::default();
        if depth > deepest || found.len() > blobs {
            return Err(Error::input(format!("more than {blobs} manifests, or indexes deeper than {deepest}")));
        }
        if descriptor.media_type.is_index() {
            let index = parse_index(descriptor, &self.document(descriptor, MANIFEST_LIMIT)?)?;
            for child in &index.manifests {
                match self.document(child, MANIFEST_LIMIT) {
                    Err(error) if error.kind() == ErrorKind::NotFound => missing.push(child.clone()),
                    _ => self.visit(child, depth + 1, found, missing)?,
                }
            }
            return Ok(());
        }
        if found.iter().any(|manifest| manifest.digest == descriptor.digest) {
            return Ok(());
        }
        let manifest = parse_manifest(descriptor, &self.document(descriptor, MANIFEST_LIMIT)?)?;
        let is_image = manifest.config.media_type.is_config();
        let image =
            if is_image { Some(ImageConfig::parse(&self.document(&manifest.config, CONFIG_LIMIT)?)?) } else { None };
        let diff_ids = image.as_ref().map(ImageConfig::diff_ids).transpose()?.unwrap_or_default();
        let layer = |(at, layer): (usize, &Descriptor)| self.layer(layer, diff_ids.get(at).cloned(), is_image);
        let layers = manifest.layers.iter().enumerate().map(layer).collect::<Result<_>>()?;
        let platform = image.as_ref().map(ImageConfig::platform).transpose()?;
        found.push(InspectedManifest {
            digest: descriptor.digest.clone(),
            platform,
            config: manifest.config,
            image,
            layers,
        });
        Ok(())
    }

    fn layer(&self, layer: &Descriptor, diff_id: Option<Digest>, is_image: bool) -> Result<InspectedLayer> {
        let mut inspected = InspectedLayer {
            digest: layer.digest.clone(),
            media_type: layer.media_type.clone(),
            size: layer.size,
            diff_id,
            files: 0,
            content: 0,
            biggest: Vec::new(),
        };
        if is_image {
            self.files(layer, &mut inspected).attempt(|| format!("cannot read layer {}", layer.digest))?;
        }
        Ok(inspected)
    }

    fn files(&self, layer: &Descriptor, inspected: &mut InspectedLayer) -> Result<()> {
        let provider = &self.existing.provider;
        let mut reader = Reader::new(match provider.outline(&layer.digest)? {
            Some(outline) => outline,
            None => Box::new(decoder(Verified::new(provider.open(&layer.digest, 0)?, layer))?.1),
        });
        while let Some(entry) = reader.next_entry()? {
            self.work.check()?;
            inspected.files += 1;
            inspected.content += entry.size;
            if entry.kind == EntryKind::File {
                inspected.biggest.push(InspectedFile { path: entry.display(), size: entry.size });
                inspected.biggest.sort_by_key(|file| std::cmp::Reverse(file.size));
                inspected.biggest.truncate(BIGGEST);
            }
        }
        reader.drain()
    }
}
