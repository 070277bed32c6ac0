//! The options shared by all exporters that push.

use indexmap::IndexMap;
use longshore_content::{Origin, RegistryOptions};
use longshore_oci::{Digest, Error, ImageName, Result};

use crate::context::Run;
use crate::image::ImageOptions;
use crate::options::{Options, Visitor};
use crate::result::BuildResult;

/// The push options.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    by_digest: Option<bool>,
    insecure: Option<bool>,
    streaming: Option<bool>,
    reuse_blobs: Option<bool>,
}

impl Options for PushOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option(
            "push-by-digest",
            "Push by digest only; the names must have no tag",
            "false",
            &mut self.by_digest,
        )?;
        let insecure = "Skip certificate checks for these registries, and use plain HTTP if they do not speak TLS";
        visitor.option("registry.insecure", insecure, "false", &mut self.insecure)?;
        let streaming = "Upload layers while they are built, without storing them";
        visitor.option("push-streaming", streaming, "false", &mut self.streaming)?;
        let reuse = "Reuse layers that the source recorded as already in the registry, if compressed alike; their content is not checked, and the image digest depends on the registry";
        visitor.option("reuse-registry-blobs", reuse, "false", &mut self.reuse_blobs)
    }
}

impl PushOptions {
    /// Returns the key of an option that is `true` and therefore requires a push; streaming before others.
    pub fn first_set(&self) -> Option<&'static str> {
        let options = [
            ("push-streaming", self.streaming),
            ("reuse-registry-blobs", self.reuse_blobs),
            ("push-by-digest", self.by_digest),
            ("registry.insecure", self.insecure),
        ];
        options.into_iter().find(|(_, value)| *value == Some(true)).map(|(key, _)| key)
    }

    /// Checks what is pushed before anything is known about the result.
    ///
    /// # Errors
    /// No name; a tag with `push-by-digest`.
    pub fn check(&self, image: &ImageOptions) -> Result<()> {
        if !image.has_names() {
            return Err(Error::option("a push needs a name")
                .with_hint("add name=REGISTRY/REPOSITORY:TAG, or name=* for the images' own names"));
        }
        if self.reuses_blobs() && image.recompresses() {
            return Err(Error::option("force-compression and reuse-registry-blobs cannot be combined"));
        }
        self.check_names(image.given_names())
    }

    /// Checks what is pushed once the images are known.
    ///
    /// # Errors
    /// Missing or unsuitable names; a tag with `push-by-digest`.
    pub fn check_result(&self, image: &ImageOptions, result: &BuildResult) -> Result<()> {
        image.names(result)?.iter().try_for_each(|names| self.check_names(names))
    }

    /// Returns the names of a pushed image with `digest` and `names`: without a tag, it is named by digest.
    ///
    /// # Errors
    /// A name that becomes invalid with the digest.
    pub fn pushed_names(&self, names: &[ImageName], digest: &Digest) -> Result<Vec<ImageName>> {
        if !self.is_by_digest() {
            return Ok(names.to_vec());
        }
        names.iter().map(|name| format!("{}/{}@{digest}", name.registry(), name.repository()).parse()).collect()
    }

    /// Describes the push, one line per name, for `--dry-run`.
    ///
    /// # Errors
    /// As [`ImageOptions::names`].
    pub fn plan(&self, image: &ImageOptions, result: &BuildResult) -> Result<Vec<String>> {
        let line = |name: &ImageName| match self.is_by_digest() {
            true => format!("push to {}/{}, without a tag", name.registry(), name.repository()),
            false => format!("push {name}"),
        };
        Ok(image.names(result)?.iter().flatten().map(line).collect())
    }

    /// Returns `run` with the abilities of the outlet of this push. Layers go to the first repository while they
    /// are built, or are found there, where that serves all: the repositories are of one registry and for the same
    /// images.
    ///
    /// # Errors
    /// As [`ImageOptions::names`].
    pub fn run(&self, image: &ImageOptions, result: &BuildResult, run: Run) -> Result<Run> {
        let mut repositories: IndexMap<Origin, Vec<usize>> = IndexMap::new();
        for (at, names) in image.names(result)?.iter().enumerate() {
            for name in names {
                let images = repositories.entry(Origin::of(name)).or_default();
                if !images.contains(&at) {
                    images.push(at);
                }
            }
        }
        let first = repositories.first();
        let serves_all = first.is_some_and(|(origin, images)| {
            repositories.iter().all(|(other, own)| other.registry == origin.registry && own == images)
        });
        let (streams, reuses) = (self.is_streaming() && run.is_alone, self.reuses_blobs());
        Ok(run.with_streams(serves_all && streams).with_reuse(serves_all && reuses))
    }

    /// Checks the names of an image.
    ///
    /// # Errors
    /// A tag with `push-by-digest`.
    pub(super) fn check_names(&self, names: &[ImageName]) -> Result<()> {
        // `localhost:5000` alone is a tag of an image on Docker Hub, which is never intended.
        if let Some(name) = names.iter().find(|name| name.repository() == "library/localhost") {
            return Err(Error::option(format!("{name} would be pushed to Docker Hub"))
                .with_hint("include the repository: localhost:PORT/REPOSITORY:TAG"));
        }
        match names.iter().find(|name| self.is_by_digest() && name.is_tagged()) {
            Some(name) => Err(Error::option(format!("can't push tagged ref {name} by digest"))
                .with_hint("leave out the tag, or push-by-digest")),
            None => Ok(()),
        }
    }

    pub(super) fn is_by_digest(&self) -> bool {
        self.by_digest.unwrap_or(false)
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.streaming.unwrap_or(false)
    }

    pub(super) fn reuses_blobs(&self) -> bool {
        self.reuse_blobs.unwrap_or(false)
    }

    pub(super) fn registry(&self) -> RegistryOptions {
        RegistryOptions::default().with_insecure(self.insecure.unwrap_or(false))
    }
}
