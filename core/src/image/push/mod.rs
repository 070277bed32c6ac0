//! Pushing images to registries: blobs first, then manifests, and tags after everything else.

mod options;
mod outlet;
mod send;
mod tags;

use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::{Origin, PushSession, check_name, for_each};
use longshore_oci::{Algorithm, Context, Descriptor, Digest, Error, ErrorKind, ImageName, Result};

pub use options::PushOptions;
pub use tags::PushedTags;

use super::{ImageOptions, LayerOutlet, NamedImage, assemble_all_to};
use crate::context::{ExportContext, Run};
use crate::result::BuildResult;

/// Number of repositories that are checked concurrently.
const CHECKS: usize = 16;

/// The target repositories of one output, before its images are built.
#[derive(Debug)]
pub struct Push<'a> {
    cx: &'a ExportContext<'a>,
    options: &'a PushOptions,
    repositories: IndexMap<Origin, Repository>,
    /// What the run allows while layers are built.
    run: Run,
    /// Whether uncompressed layers were requested.
    wants_plain: bool,
}

/// A repository and the images pushed to it.
#[derive(Debug)]
struct Repository {
    session: Arc<dyn PushSession>,
    /// Images of the result, by index.
    images: Vec<usize>,
    /// Their names in the repository.
    names: Vec<(usize, ImageName)>,
}

impl<'a> Push<'a> {
    /// Opens the repositories of all names of `result`, and checks that they would accept a push.
    ///
    /// # Errors
    /// Names that cannot be pushed; settings of a registry that cannot be read; a registry that is out of
    /// reach or refuses who asks.
    pub fn open(
        result: &BuildResult,
        image: &ImageOptions,
        options: &'a PushOptions,
        cx: &'a ExportContext<'a>,
    ) -> Result<Self> {
        let mut repositories: IndexMap<Origin, Repository> = IndexMap::new();
        for (at, names) in image.names(result)?.into_iter().enumerate() {
            options.check_names(&names)?;
            for name in names {
                let session = cx.pusher()?.repository(&name, options.registry())?;
                let new = || Repository { session: session.clone(), images: Vec::new(), names: Vec::new() };
                let repository = repositories.entry(session.origin()).or_insert_with(new);
                if !repository.images.contains(&at) {
                    repository.images.push(at);
                }
                repository.names.push((at, name));
            }
        }
        let run = options.run(image, result, cx.run())?;
        let push = Self { cx, options, repositories, run, wants_plain: image.wants_plain() };
        push.check()?;
        Ok(push)
    }

    /// Checks that the registries accept a push, before reading layers.
    fn check(&self) -> Result<()> {
        let repositories: Vec<&Repository> = self.repositories.values().collect();
        for_each(repositories, CHECKS, &self.cx.work().cancel, |repository| {
            repository.attempt(repository.session.check(self.cx.work()))
        })
    }

    /// Builds the images. With `push-streaming`, layers are streamed to the registry if possible; with
    /// `reuse-registry-blobs`, layers that it already has are not built.
    ///
    /// # Errors
    /// As [`assemble_all`](super::assemble_all), and those of the registry.
    pub fn assemble(&self, result: &'a BuildResult, image: &ImageOptions) -> Result<Vec<NamedImage<'a>>> {
        let outlet = outlet::Outlet::new(self);
        let outlet = outlet.as_ref().map(|outlet| outlet as &dyn LayerOutlet);
        assemble_all_to(result, image, self.cx, outlet)
    }

    /// Warns about layers pushed uncompressed without being requested.
    fn warn_of_plain(&self, images: &[NamedImage<'a>]) {
        let blobs = images.iter().flat_map(|named| &named.image.blobs).map(|blob| &blob.descriptor);
        let is_plain = |blob: &&Descriptor| blob.media_type.layer_compression() == Some(Algorithm::Uncompressed);
        let plain: IndexMap<&Digest, u64> =
            blobs.filter(is_plain).filter(|blob| !blob.is_foreign()).map(|blob| (&blob.digest, blob.size)).collect();
        if plain.is_empty() {
            return;
        }
        let bytes = plain.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
        let (what, them) = match plain.len() {
            1 => ("1 layer is".to_owned(), "it"),
            count => (format!("{count} layers are"), "them"),
        };
        self.cx.work().progress.warn_once("push of uncompressed layers", || {
            format!(
                "{what} pushed uncompressed ({bytes} bytes): compression=gzip,force-compression=true compresses {them}"
            )
        });
    }

    /// Pushes everything except the tags.
    ///
    /// # Errors
    /// An incomplete image; a registry that refuses or is unreachable.
    pub fn send(self, images: &[NamedImage<'a>]) -> Result<PushedTags<'a>> {
        for NamedImage { image, names, .. } in images {
            names.iter().try_for_each(|name| check_name(name, &image.root))?;
            if let Some(missing) = image.missing.first() {
                return Err(incomplete(&image.root, missing));
            }
        }
        if !self.wants_plain {
            self.warn_of_plain(images);
        }
        send::send(&self, images)?;
        PushedTags::new(self, images)
    }
}

fn incomplete(root: &Descriptor, missing: &Descriptor) -> Error {
    let platform = missing.platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default();
    let message = format!("image {} is incomplete: manifest {}{platform} is missing", root.digest, missing.digest);
    Error::new(ErrorKind::NotFound, message).with_hint("registries accept only complete images: select one platform")
}

impl Repository {
    /// Names the repository in an error.
    fn attempt<T>(&self, done: Result<T>) -> Result<T> {
        done.attempt(|| format!("cannot push to {}", self.session.origin()))
    }
}
