//! Whether an image is what it says: every digest, size, diffID and reference.

use std::collections::HashSet;
use std::io;

use longshore_content::{Hashing, Provider, Task, Verified, Work, copy, read};
use longshore_oci::{
    CONFIG_LIMIT, Context, Descriptor, Digest, Error, ErrorKind, Hasher, ImageConfig, MANIFEST_LIMIT, Manifest,
    MediaType, Result, parse_index, parse_manifest,
};

use super::GraphLimits;
use crate::archive::Reader;
use crate::compression::{Algorithm, decoder};
use crate::result::Existing;

/// What [`verify`] found.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// All that is wrong, one line a problem.
    pub problems: Vec<String>,
    /// Manifests that an index lists and that are not there. That is no problem by itself: tools that
    /// copy one platform of several leave the others out.
    pub missing: Vec<Descriptor>,
}

/// Reads all of an image and what refers to it; answers all that is wrong.
///
/// Each blob is read once. Digest and size of everything; media types against documents and against
/// the bytes of layers; the number of layers, and each diffID, against the configuration; the platform
/// of an index against the configurations; that layers are tar archives.
///
/// # Errors
/// Only that someone asked to stop: whatever else fails is a problem of the image.
pub fn verify(existing: &Existing, work: &Work) -> Result<Verification> {
    let provider = existing.provider.as_ref();
    let mut verifier = Verifier { provider, work, seen: HashSet::new(), found: Verification::default() };
    for root in [&existing.root].into_iter().chain(&existing.referrers) {
        verifier.descriptor(root, 0)?;
    }
    Ok(verifier.found)
}

struct Verifier<'a> {
    provider: &'a dyn Provider,
    work: &'a Work,
    seen: HashSet<Digest>,
    found: Verification,
}

impl Verifier<'_> {
    fn descriptor(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
        self.work.check()?;
        if !self.seen.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        let limit = GraphLimits::default().depth;
        if depth > limit {
            self.found.problems.push(format!("indexes within indexes, deeper than the limit of {limit}"));
            return Ok(());
        }
        if descriptor.media_type.is_index() {
            let index =
                read(self.provider, descriptor, MANIFEST_LIMIT).and_then(|bytes| parse_index(descriptor, &bytes));
            if let Some(index) = self.note(index)? {
                self.children(descriptor, &index.manifests, depth)?;
            }
        } else if descriptor.media_type.is_manifest() {
            let manifest =
                read(self.provider, descriptor, MANIFEST_LIMIT).and_then(|bytes| parse_manifest(descriptor, &bytes));
            if let Some(manifest) = self.note(manifest)? {
                self.manifest(descriptor, &manifest)?;
            }
        } else {
            self.blob(descriptor)?;
        }
        Ok(())
    }

    fn children(&mut self, index: &Descriptor, children: &[Descriptor], depth: usize) -> Result<()> {
        let is_missing = |child: &&Descriptor| {
            let read = read(self.provider, child, MANIFEST_LIMIT);
            read.is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        let missing: Vec<Descriptor> = children.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() && missing.len() == children.len() {
            self.found.problems.push(format!(
                "none of the {} manifests of index {} is there",
                missing.len(),
                index.digest
            ));
            return Ok(());
        }
        let absent: HashSet<&Digest> = missing.iter().map(|child| &child.digest).collect();
        for child in children.iter().filter(|child| !absent.contains(&child.digest)) {
            self.descriptor(child, depth + 1)?;
        }
        self.found.missing.extend(missing);
        Ok(())
    }

    fn manifest(&mut self, descriptor: &Descriptor, manifest: &Manifest) -> Result<()> {
        if !manifest.config.media_type.is_config() {
            return [&manifest.config].into_iter().chain(&manifest.layers).try_for_each(|blob| self.blob(blob));
        }
        let config = read(self.provider, &manifest.config, CONFIG_LIMIT).and_then(|bytes| ImageConfig::parse(&bytes));
        let diff_ids = match self.note(config)? {
            Some(config) => self.config(descriptor, manifest, &config)?,
            None => Vec::new(),
        };
        for (at, layer) in manifest.layers.iter().enumerate() {
            if self.seen.insert(layer.digest.clone()) {
                let checked = self.layer(layer, diff_ids.get(at));
                self.note(checked)?;
            }
        }
        Ok(())
    }

    fn config(&mut self, descriptor: &Descriptor, manifest: &Manifest, config: &ImageConfig) -> Result<Vec<Digest>> {
        let digest = &manifest.config.digest;
        let own = self.note(config.platform())?;
        if let (Some(own), Some(listed)) = (own, &descriptor.platform)
            && !own.matches(listed)
        {
            self.found.problems.push(format!("config {digest} is for {own}, its index says {listed}"));
        }
        let diff_ids = self.note(config.diff_ids())?.unwrap_or_default();
        let layers = manifest.layers.len();
        if diff_ids.len() != layers {
            let listed = diff_ids.len();
            self.found
                .problems
                .push(format!("config {digest} lists {listed} layers, manifest {} {layers}", descriptor.digest));
        }
        Ok(diff_ids)
    }

    fn blob(&mut self, descriptor: &Descriptor) -> Result<()> {
        let copied = copy(self.provider, descriptor, &mut io::sink(), &self.work.cancel, None);
        self.note(copied).map(drop)
    }

    fn layer(&self, layer: &Descriptor, expected: Option<&Digest>) -> Result<()> {
        let digest = &layer.digest;
        let task = self.work.progress.task(format!("verify {digest}"), None);
        let (algorithm, found) = self.read_layer(layer, &task).attempt(|| format!("cannot read layer {digest}"))?;
        if let Some(expected) = expected.filter(|expected| **expected != found) {
            return Err(Error::corrupt(format!("layer {digest} has the diffID {found}, its config says {expected}")));
        }
        if layer.media_type.to_oci() != MediaType::layer(algorithm) && layer.media_type.layer_compression().is_some() {
            return Err(Error::corrupt(format!("layer {digest} is {algorithm}, but a `{}`", layer.media_type)));
        }
        task.done("");
        Ok(())
    }

    /// How a layer is compressed, and its diffID.
    fn read_layer(&self, layer: &Descriptor, task: &Task) -> Result<(Algorithm, Digest)> {
        let blob = Verified::new(self.provider.open(&layer.digest, 0)?, layer);
        let (algorithm, tar) = decoder(blob)?;
        let mut hashing = Hashing { inner: tar, hasher: Hasher::sha256(), cancel: &self.work.cancel };
        let mut reader = Reader::new(&mut hashing);
        while let Some(entry) = reader.next_entry()? {
            task.advance(entry.size);
        }
        reader.drain()?;
        Ok((algorithm, hashing.hasher.finish()))
    }

    /// The value, or a note of why there is none.
    fn note<T>(&mut self, checked: Result<T>) -> Result<Option<T>> {
        match checked {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                self.found.problems.push(error.with_causes());
                Ok(None)
            }
        }
    }
}
