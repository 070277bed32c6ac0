//! Images into registries: blobs first, then manifests, and tags when everything else is done.

mod options;
mod outlet;
mod send;
mod tags;

use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::{Origin, PushSession, check_name, for_each};
use longshore_oci::{Context, Descriptor, Error, ErrorKind, ImageName, Result};

pub use options::PushOptions;
pub use tags::PushedTags;

use super::{ImageOptions, LayerOutlet, NamedImage, assemble_all_to};
use crate::context::{ExportContext, Run};
use crate::result::BuildResult;

/// Repositories that are asked at the same time.
const CHECKS: usize = 16;

/// What is pushed where: the repositories of one output, before its images are made.
#[derive(Debug)]
pub struct Push<'a> {
    cx: &'a ExportContext<'a>,
    options: &'a PushOptions,
    repositories: IndexMap<Origin, Repository>,
    /// What can be done with layers on their way.
    run: Run,
}

/// A repository and what goes into it.
#[derive(Debug)]
struct Repository {
    session: Arc<dyn PushSession>,
    /// Images of the result, by their number.
    images: Vec<usize>,
    /// What they are called there.
    names: Vec<(usize, ImageName)>,
}

impl<'a> Push<'a> {
    /// Opens the repositories of all names of `result`, and asks whether they would take a push.
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
        let push = Self { cx, options, repositories, run };
        push.check()?;
        Ok(push)
    }

    /// Whether anybody is there to be pushed to, before layers are read for it.
    fn check(&self) -> Result<()> {
        let repositories: Vec<&Repository> = self.repositories.values().collect();
        for_each(repositories, CHECKS, &self.cx.work().cancel, |repository| {
            repository.attempt(repository.session.check(self.cx.work()))
        })
    }

    /// Makes the images. With `push-streaming`, layers go straight to the registry where that is possible; with
    /// `reuse-registry-blobs`, those that it has are not made.
    ///
    /// # Errors
    /// As [`assemble_all`](super::assemble_all), and those of the registry.
    pub fn assemble(&self, result: &'a BuildResult, image: &ImageOptions) -> Result<Vec<NamedImage<'a>>> {
        let outlet = outlet::Outlet::new(self);
        let outlet = outlet.as_ref().map(|outlet| outlet as &dyn LayerOutlet);
        assemble_all_to(result, image, self.cx, outlet)
    }

    /// Sends everything but the tags.
    ///
    /// # Errors
    /// An image that is not whole; a registry that refuses or is out of reach.
    pub fn send(self, images: &[NamedImage<'a>]) -> Result<PushedTags<'a>> {
        for NamedImage { image, names } in images {
            names.iter().try_for_each(|name| check_name(name, &image.root))?;
            if let Some(missing) = image.missing.first() {
                return Err(incomplete(&image.root, missing));
            }
        }
        send::send(&self, images)?;
        PushedTags::new(self, images)
    }
}

fn incomplete(root: &Descriptor, missing: &Descriptor) -> Error {
    let platform = missing.platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default();
    let message = format!("image {} is not whole: manifest {}{platform} is not there", root.digest, missing.digest);
    Error::new(ErrorKind::NotFound, message).with_hint("registries take whole images: select one platform")
}

impl Repository {
    /// Says where something failed.
    fn attempt<T>(&self, done: Result<T>) -> Result<T> {
        done.attempt(|| format!("cannot push to {}", self.session.origin()))
    }
}
