//! Graphs of descriptors: every blob exists, matches its descriptor, and agrees with the rest.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use longshore_core::content::Provider;
use longshore_core::oci::{
    CONFIG_LIMIT, Descriptor, Digest, Hasher, Index, MANIFEST_LIMIT, Manifest, Platform, parse_index, parse_manifest,
};
use longshore_core::{Error, Result};
use oci_spec::image::{ImageIndex, ImageManifest};

use super::layer::ReadLayer;
use super::{Problems, Validated, ValidatedImage, ValidatedLayer, config, layer};
use crate::causes::full;

/// Deeper than any real nesting of indexes.
const DEEPEST: usize = 8;

pub(super) struct Graph<'a> {
    provider: &'a dyn Provider,
    problems: &'a mut Problems,
    /// Digest and size of each hashed blob; `None` for an unreadable one.
    blobs: HashMap<Digest, Option<(Digest, u64)>>,
    layers: HashMap<Digest, Option<ReadLayer>>,
    validated: Validated,
}

/// The place of a document in a graph.
#[derive(Clone, Copy)]
struct Place<'a> {
    names: &'a [String],
    root: &'a Descriptor,
    depth: usize,
}

impl<'a> Graph<'a> {
    pub(super) fn new(provider: &'a dyn Provider, problems: &'a mut Problems) -> Self {
        let validated = Validated { images: Vec::new(), artifacts: Vec::new() };
        Self { provider, problems, blobs: HashMap::new(), layers: HashMap::new(), validated }
    }

    /// Checks everything below `root`, which has these names.
    pub(super) fn root(&mut self, root: &Descriptor, names: &[String]) {
        self.document(root, Place { names, root, depth: 0 });
    }

    pub(super) fn finish(self) -> Validated {
        self.validated
    }

    /// Returns the digests of all reached blobs.
    pub(super) fn reached(&self) -> HashSet<Digest> {
        self.blobs.keys().cloned().collect()
    }

    fn document(&mut self, descriptor: &Descriptor, place: Place<'_>) {
        if place.depth > DEEPEST {
            self.problems.add(format!("{}: indexes within indexes, deeper than {DEEPEST}", place.root.digest));
        } else if descriptor.media_type.is_index() {
            self.index(descriptor, place);
        } else if descriptor.media_type.is_manifest() {
            self.manifest(descriptor, place);
        } else {
            self.problems.add(format!("{}: `{}` is no manifest or index", descriptor.digest, descriptor.media_type));
            self.blob(descriptor);
        }
    }

    fn index(&mut self, descriptor: &Descriptor, place: Place<'_>) {
        let what = format!("index {}", descriptor.digest);
        let Some(bytes) = self.bytes(descriptor, MANIFEST_LIMIT) else { return };
        match ImageIndex::from_reader(&bytes[..]) {
            Ok(second) => self.compare_index(&what, &parse_index(descriptor, &bytes), &second),
            Err(error) => self.problems.add(format!("{what}: oci-spec cannot read it: {}", full(&error))),
        }
        let Some(index) = self.problems.check(parse_index(descriptor, &bytes), &what) else { return };
        let mut platforms = HashSet::new();
        for child in &index.manifests {
            let is_attestation = child.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
            match &child.platform {
                None => self.problems.add(format!("{what}: {} has no platform", child.digest)),
                Some(platform) if !is_attestation && !platforms.insert(platform.clone()) => {
                    self.problems.add(format!("{what}: there are two images for {platform}"));
                }
                Some(_) => {}
            }
            self.document(child, Place { depth: place.depth + 1, ..place });
        }
    }

    fn compare_index(&mut self, what: &str, own: &Result<Index>, second: &ImageIndex) {
        let Ok(own) = own else { return };
        let own = own.manifests.iter().map(|child| (child.digest.to_string(), child.size));
        let second = second.manifests().iter().map(|child| (child.digest().to_string(), child.size()));
        if !own.eq(second) {
            self.problems.add(format!("{what}: oci-spec reads other manifests"));
        }
    }

    fn manifest(&mut self, descriptor: &Descriptor, place: Place<'_>) {
        let what = format!("manifest {}", descriptor.digest);
        let Some(bytes) = self.bytes(descriptor, MANIFEST_LIMIT) else { return };
        let parsed = parse_manifest(descriptor, &bytes);
        match (ImageManifest::from_reader(&bytes[..]), &parsed) {
            (Ok(second), Ok(own)) => self.compare_manifest(&what, own, &second),
            (Ok(_), Err(_)) => {}
            (Err(error), _) => self.problems.add(format!("{what}: oci-spec cannot read it: {}", full(&error))),
        }
        let Some(manifest) = self.problems.check(parsed, &what) else { return };
        let is_attestation = descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
        let is_image = manifest.config.media_type.is_config() && manifest.artifact_type.is_none() && !is_attestation;
        if is_image {
            self.image(descriptor, &manifest, place);
        } else {
            self.validated.artifacts.push(descriptor.digest.clone());
            [&manifest.config].into_iter().chain(&manifest.layers).for_each(|blob| self.blob(blob));
        }
    }

    fn compare_manifest(&mut self, what: &str, own: &Manifest, second: &ImageManifest) {
        let of_own = [&own.config].into_iter().chain(&own.layers);
        let of_own = of_own.map(|blob| (blob.media_type.to_string(), blob.digest.to_string(), blob.size));
        let of_second = [second.config()].into_iter().chain(second.layers());
        let of_second = of_second.map(|blob| (blob.media_type().to_string(), blob.digest().to_string(), blob.size()));
        if !of_own.eq(of_second) {
            self.problems.add(format!("{what}: oci-spec reads other blobs"));
        }
    }

    fn image(&mut self, descriptor: &Descriptor, manifest: &Manifest, place: Place<'_>) {
        let layers: Vec<_> = manifest.layers.iter().map(|layer| self.layer(layer)).collect();
        let Some(bytes) = self.bytes(&manifest.config, CONFIG_LIMIT) else { return };
        let Some(said) = config::read(&bytes, &manifest.config.digest, layers.len(), self.problems) else { return };
        if let Some(listed) = descriptor.platform.as_ref().filter(|listed| !agree(listed, &said.platform)) {
            let config = &manifest.config.digest;
            self.problems.add(format!("config {config}: it is for {}, but listed for {listed}", said.platform));
        }
        let mut validated = Vec::new();
        for (at, (layer, claimed)) in layers.into_iter().zip(said.diff_ids).enumerate() {
            let Some(layer) = layer else { continue };
            if layer.diff_id != claimed {
                let config = &manifest.config.digest;
                let found = &layer.diff_id;
                self.problems.add(format!("config {config}: diff_id {at} is {claimed}, but the layer has {found}"));
            }
            validated.push(layer);
        }
        self.validated.images.push(ValidatedImage {
            names: place.names.to_vec(),
            root: place.root.digest.clone(),
            manifest: descriptor.digest.clone(),
            config: manifest.config.digest.clone(),
            platform: said.platform,
            layers: validated,
        });
    }

    fn layer(&mut self, descriptor: &Descriptor) -> Option<ValidatedLayer> {
        let Descriptor { digest, media_type, .. } = descriptor;
        self.blob(descriptor);
        if !self.layers.contains_key(digest) {
            let read = layer::read(self.provider, descriptor, self.problems);
            self.layers.insert(digest.clone(), read);
        }
        let read = self.layers.get(digest).cloned().flatten()?;
        match media_type.layer_compression() {
            None => self.problems.add(format!("layer {digest}: `{media_type}` is no type of a layer")),
            Some(claimed) if claimed != read.algorithm => {
                let found = read.algorithm;
                self.problems.add(format!("layer {digest}: it is `{media_type}`, but its bytes are {found}"));
            }
            Some(_) => {}
        }
        let ReadLayer { diff_id, entries, .. } = read;
        Some(ValidatedLayer { media_type: media_type.clone(), digest: digest.clone(), diff_id, entries })
    }

    /// Hashes a blob, once, and compares it with this reference.
    fn blob(&mut self, descriptor: &Descriptor) {
        let Descriptor { digest, size, .. } = descriptor;
        if !self.blobs.contains_key(digest) {
            let hashed = hash(self.provider, digest);
            let hashed = self.problems.check(hashed, &format!("blob {digest}"));
            self.blobs.insert(digest.clone(), hashed);
        }
        let Some(Some((found, length))) = self.blobs.get(digest) else { return };
        if length != size {
            self.problems.add(format!("blob {digest}: it has {length} bytes, but its descriptor says {size}"));
        }
        if found != digest {
            self.problems.add(format!("blob {digest}: it has the digest {found}"));
        }
    }

    /// Returns a whole document, even if it does not match its descriptor.
    fn bytes(&mut self, descriptor: &Descriptor, limit: u64) -> Option<Vec<u8>> {
        self.blob(descriptor);
        let Descriptor { digest, media_type, .. } = descriptor;
        let read = || -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            self.provider.open(digest, 0)?.take(limit + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > limit {
                return Err(Error::input(format!("`{media_type}` has more than {limit} bytes")));
            }
            Ok(bytes)
        };
        let read = read();
        self.problems.check(read, &format!("blob {digest}"))
    }
}

/// Returns the actual digest and size of a blob.
pub(super) fn hash(provider: &dyn Provider, digest: &Digest) -> Result<(Digest, u64)> {
    let mut input = provider.open(digest, 0)?;
    let mut hasher = Hasher::new(digest.algorithm());
    let mut buffer = vec![0; 128 << 10];
    let mut length = 0;
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok((hasher.finish(), length)),
            count => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}

/// Returns whether a configuration is for the platform that an index lists it for.
fn agree(listed: &Platform, own: &Platform) -> bool {
    // Older tools write the variant of an ARM processor only into the index.
    let is_open = own.variant.is_none() && (&own.os, &own.architecture) == (&listed.os, &listed.architecture);
    (is_open || own.matches(listed)) && listed.os_version == own.os_version
}
