//! The parts of an image, for display and for programs.

use longshore_content::{Verified, Work};
use longshore_oci::{Context, Descriptor, Digest, Error, ImageConfig, MediaType, Platform, Result};
use serde::Serialize;

use super::{Graph, GraphEntry, is_absent};
use crate::archive::{EntryKind, Reader};
use crate::compression::decoder;
use crate::result::Existing;

/// Number of largest files listed per layer.
const BIGGEST: usize = 5;

/// How much of an image [`inspect`] reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// Its manifests and configurations.
    #[default]
    Documents,
    /// Its layers too, if their media types are those of tar archives.
    Files,
}

/// The parts of an image.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Its root.
    pub root: Descriptor,
    /// Its manifests, each once: a single one, or those of its index and nested indexes.
    pub manifests: Vec<InspectedManifest>,
    /// Missing manifests listed by an index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Descriptor>,
}

/// A manifest of an image.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InspectedManifest {
    /// The manifest.
    pub digest: Digest,
    /// What it runs on; `None` for anything that is not an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The configuration.
    pub config: Descriptor,
    /// The parsed configuration, if it is that of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageConfig>,
    /// The layers, the base first.
    pub layers: Vec<InspectedLayer>,
}

/// A layer of an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
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
    /// What it contains; `None` if that was not asked for, for what is no tar archive, and for a layer that
    /// may not be distributed and is missing.
    #[serde(flatten)]
    pub contents: Option<InspectedContents>,
}

/// The files of a layer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InspectedContents {
    /// How many files it has: all that is no directory.
    pub files: u64,
    /// How many directories it has.
    pub directories: u64,
    /// Total size of their contents, in bytes.
    pub content: u64,
    /// The largest of them, the largest first.
    pub biggest: Vec<InspectedFile>,
}

/// A file in a layer.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InspectedFile {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Reads an image and returns its parts. Every byte that is read is verified, except if a layer has an
/// [outline](crate::content::Provider::outline): then no file is read.
///
/// # Errors
/// Blobs that are missing or do not match their descriptors.
pub fn inspect(existing: &Existing, detail: Detail, work: &Work) -> Result<Inspection> {
    let entries = Graph::of(existing, work).entries()?;
    let inspector = Inspector { existing, detail, work };
    let manifests = entries.present.iter().map(|entry| inspector.manifest(entry)).collect::<Result<_>>();
    let manifests = manifests.attempt(|| format!("cannot read image {}", existing.root.digest))?;
    Ok(Inspection { root: existing.root.clone(), manifests, missing: entries.missing })
}

struct Inspector<'a> {
    existing: &'a Existing,
    detail: Detail,
    work: &'a Work,
}

impl Inspector<'_> {
    fn manifest(&self, entry: &GraphEntry) -> Result<InspectedManifest> {
        let image = entry.config.as_deref().filter(|_| entry.is_image());
        let diff_ids = image.map(ImageConfig::diff_ids).transpose()?.unwrap_or_default();
        let layers = entry.manifest.layers.iter().enumerate();
        let layer = |(at, layer)| self.layer(layer, diff_ids.get(at).cloned(), image.is_some());
        Ok(InspectedManifest {
            digest: entry.descriptor.digest.clone(),
            platform: entry.platform(),
            config: entry.manifest.config.clone(),
            image: image.cloned(),
            layers: layers.map(layer).collect::<Result<_>>()?,
        })
    }

    fn layer(&self, layer: &Descriptor, diff_id: Option<Digest>, is_image: bool) -> Result<InspectedLayer> {
        let is_tar = is_image && layer.media_type.layer_compression().is_some();
        let contents = match self.detail {
            Detail::Files if is_tar && !is_absent(layer, self.existing.provider.as_ref())? => {
                let contents = self.contents(layer);
                Some(contents.attempt(|| format!("cannot read layer {}", layer.digest))?)
            }
            _ => None,
        };
        Ok(InspectedLayer {
            digest: layer.digest.clone(),
            media_type: layer.media_type.clone(),
            size: layer.size,
            diff_id,
            contents,
        })
    }

    fn contents(&self, layer: &Descriptor) -> Result<InspectedContents> {
        let provider = &self.existing.provider;
        let mut reader = Reader::new(match provider.outline(&layer.digest)? {
            Some(outline) => outline,
            None => Box::new(decoder(Verified::new(provider.open(&layer.digest, 0)?, layer))?.1),
        });
        let mut contents = InspectedContents::default();
        while let Some(entry) = reader.next_entry()? {
            self.work.check()?;
            match entry.kind {
                EntryKind::Directory => contents.directories += 1,
                _ => contents.files += 1,
            }
            contents.content = added(contents.content, entry.size)?;
            if entry.kind == EntryKind::File {
                contents.biggest.push(InspectedFile { path: entry.display(), size: entry.size });
                contents.biggest.sort_by_key(|file| std::cmp::Reverse(file.size));
                contents.biggest.truncate(BIGGEST);
            }
        }
        reader.drain()?;
        Ok(contents)
    }
}

/// Adds up file sizes, which are untrusted.
fn added(sum: u64, size: u64) -> Result<u64> {
    sum.checked_add(size).ok_or_else(|| Error::input("the sizes of the files exceed 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Release builds wrapped around.
    #[test]
    fn sizes_of_files_that_overflow_are_an_error() {
        assert_eq!(added(u64::MAX - 1, 1).unwrap(), u64::MAX);
        let expected = "the sizes of the files exceed 64 bits";
        assert_eq!(added(u64::MAX, 1).unwrap_err().message(), expected);
    }
}
