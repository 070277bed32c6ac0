//! Verification of an image: every digest, size, diffID and reference.

use std::collections::HashMap;
use std::io;

use longshore_content::{Hashing, Provider, Task, Verified, Work, copy};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, Hasher, ImageConfig, Manifest, MediaType, Result};

use super::{Graph, GraphBlobs, is_absent};
use crate::archive::Reader;
use crate::compression::{Algorithm, decoder};
use crate::result::Existing;

/// The result of [`verify`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Verification {
    /// All problems, one line each.
    pub problems: Vec<String>,
    /// Missing manifests listed by an index. This is not a problem by itself: tools that copy one platform of
    /// several skip the others.
    pub missing: Vec<Descriptor>,
    /// Layers that may not be distributed and that are missing: they stay where their URLs say.
    pub left_out: Vec<Descriptor>,
}

/// Reads an image and its referrers completely; returns all problems.
///
/// Each blob is read once. Checked are digest and size of every blob. Of images also: the platform of an index against
/// the configurations; layers whose media type says tar, against that media type, and each diffID and their number
/// against the configuration. Other layers are blobs: attestations, signatures, encrypted layers. A digest that is
/// listed with two sizes, or as a manifest or an index and as something else, is a problem.
///
/// # Errors
/// Only a cancelled run: any other failure is reported as a problem of the image.
pub fn verify(existing: &Existing, work: &Work) -> Result<Verification> {
    let graph = Graph::of(existing, work);
    let provider = existing.provider.as_ref();
    let mut verifier =
        Verifier { graph: &graph, provider, work, tars: HashMap::new(), left_out: Vec::new(), problems: Vec::new() };
    let GraphBlobs { blobs, missing } = graph.walk_noting(&mut |error| verifier.add(error))?;
    for blob in blobs.iter().filter(|blob| blob.descriptor.media_type.is_manifest()) {
        verifier.manifest(&blob.descriptor)?;
    }
    for blob in &blobs {
        verifier.blob(&blob.descriptor)?;
    }
    Ok(Verification { problems: verifier.problems, missing, left_out: verifier.left_out })
}

struct Verifier<'a> {
    graph: &'a Graph<'a>,
    provider: &'a dyn Provider,
    work: &'a Work,
    /// Layers that are tar archives.
    tars: HashMap<Digest, Tar>,
    left_out: Vec<Descriptor>,
    problems: Vec<String>,
}

/// What images state about a layer that is a tar archive.
#[derive(Debug, Default)]
struct Tar {
    media_types: Vec<MediaType>,
    diff_ids: Vec<Digest>,
}

fn is_tar(media_type: &MediaType) -> bool {
    media_type.layer_compression().is_some()
}

impl Verifier<'_> {
    fn manifest(&mut self, descriptor: &Descriptor) -> Result<()> {
        let manifest = self.graph.manifest(descriptor)?;
        let read = self.graph.config(&manifest);
        let config = self.note(read)?.flatten();
        if config.is_none() && !manifest.config.media_type.is_config() {
            return Ok(());
        }
        let diff_ids = match config {
            Some(config) => self.config(descriptor, &manifest, &config)?,
            None => Vec::new(),
        };
        for (at, layer) in manifest.layers.iter().enumerate().filter(|(_, layer)| is_tar(&layer.media_type)) {
            let Tar { media_types, diff_ids: known } = self.tars.entry(layer.digest.clone()).or_default();
            known.extend(diff_ids.get(at).filter(|diff_id| !known.contains(diff_id)).cloned());
            if !media_types.contains(&layer.media_type) {
                media_types.push(layer.media_type.clone());
            }
        }
        Ok(())
    }

    /// Checks a configuration against the descriptor that lists it; returns its diffIDs.
    fn config(&mut self, descriptor: &Descriptor, manifest: &Manifest, config: &ImageConfig) -> Result<Vec<Digest>> {
        let is_whole_image = manifest.layers.iter().all(|layer| is_tar(&layer.media_type));
        let digest = &manifest.config.digest;
        let (own, diff_ids) = match is_whole_image {
            true => (self.note(config.platform())?, self.note(config.diff_ids())?.unwrap_or_default()),
            // The configuration of anything but an image for a platform has no platform.
            false => (config.platform().ok(), config.diff_ids().unwrap_or_default()),
        };
        if let (Some(own), Some(listed)) = (own, &descriptor.platform)
            && !own.agrees_with(listed)
        {
            self.problems.push(format!("config {digest} is for {own}, its index says {listed}"));
        }
        let (layers, listed) = (manifest.layers.len(), diff_ids.len());
        if is_whole_image && listed != layers {
            self.problems
                .push(format!("config {digest} lists {listed} layers, manifest {} {layers}", descriptor.digest));
        }
        Ok(diff_ids)
    }

    fn blob(&mut self, descriptor: &Descriptor) -> Result<()> {
        if self.graph.was_tried(descriptor) {
            return Ok(());
        }
        if is_absent(descriptor, self.provider).unwrap_or_default() {
            self.left_out.push(descriptor.clone());
            return Ok(());
        }
        let checked = match self.tars.get(&descriptor.digest) {
            Some(tar) => self.layer(descriptor, tar),
            None => copy(self.provider, descriptor, &mut io::sink(), &self.work.cancel, None),
        };
        self.note(checked).map(drop)
    }

    fn layer(&self, layer: &Descriptor, said: &Tar) -> Result<()> {
        let digest = &layer.digest;
        let task = self.work.progress.task(format!("verify {digest}"), None);
        let (algorithm, found) = self.read_layer(layer, &task).attempt(|| format!("cannot read layer {digest}"))?;
        if let Some(expected) = said.diff_ids.iter().find(|expected| **expected != found) {
            return Err(Error::corrupt(format!("layer {digest} has the diffID {found}, its config says {expected}")));
        }
        let is_other = |media_type: &&MediaType| media_type.layer_compression() != Some(algorithm);
        if let Some(media_type) = said.media_types.iter().find(is_other) {
            return Err(Error::corrupt(format!("layer {digest} is {algorithm}, but a `{media_type}`")));
        }
        task.done("");
        Ok(())
    }

    /// Returns the compression of a layer, and its diffID.
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

    /// Returns the value, or records why there is none.
    fn note<T>(&mut self, checked: Result<T>) -> Result<Option<T>> {
        match checked {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.add(error).map(|()| None),
        }
    }

    fn add(&mut self, error: Error) -> Result<()> {
        if error.kind() == ErrorKind::Cancelled {
            return Err(error);
        }
        self.problems.push(error.with_causes());
        Ok(())
    }
}
