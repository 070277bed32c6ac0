//! Tags, pushed after everything they refer to.

use longshore_content::{Work, for_each};
use longshore_oci::{Descriptor, Error, ImageName, MANIFEST_LIMIT, Result};
use parking_lot::Mutex;

use super::send::{LateManifest, late};
use super::{Push, Repository};
use crate::context::ExportContext;
use crate::image::NamedImage;

/// Number of tags pushed concurrently.
const JOBS: usize = 8;

/// Images that are pushed, but not tagged yet.
#[derive(Debug)]
pub struct PushedTags<'a> {
    cx: &'a ExportContext<'a>,
    repositories: Vec<Repository>,
    /// The root of each image, and its bytes.
    roots: Vec<(Descriptor, Vec<u8>)>,
    /// With `push-by-digest`, the manifests that take the place of tags.
    late: Vec<Vec<LateManifest>>,
    is_by_digest: bool,
}

impl<'a> PushedTags<'a> {
    pub(super) fn new(push: Push<'a>, images: &[NamedImage<'a>]) -> Result<Self> {
        let mut roots = Vec::new();
        for NamedImage { image, .. } in images {
            roots.push((image.root.clone(), image.read(&image.root.digest, MANIFEST_LIMIT)?));
        }
        for repository in push.repositories.values().filter(|_| !push.options.is_by_digest()) {
            for (at, name) in &repository.names {
                if let Some((tag, (root, _))) = name.tag().zip(roots.get(*at)) {
                    repository.session.reserve(tag, root)?;
                }
            }
        }
        let late = late(&push, images)?;
        let is_by_digest = push.options.is_by_digest();
        Ok(Self { cx: push.cx, repositories: push.repositories.into_values().collect(), roots, late, is_by_digest })
    }

    /// Pushes the tags, several at a time. If one fails, running pushes are completed, and no others are
    /// started.
    ///
    /// # Errors
    /// The first failure. Tags pushed before stay, as registries have no transactions: the error lists them.
    pub fn publish(self) -> Result<()> {
        let put: Mutex<Vec<String>> = Mutex::default();
        let published = self.publish_late().and_then(|()| self.publish_tags(&put)).and_then(|()| {
            self.for_each(self.repositories.iter().collect(), |repository: &Repository, work| {
                repository.attempt(repository.session.list_referrers(work))
            })
        });
        let mut put = put.into_inner();
        put.sort();
        published.map_err(|error| if put.is_empty() { error } else { partly(error, &put) })
    }

    fn publish_late(&self) -> Result<()> {
        for level in &self.late {
            self.for_each(level.iter().collect(), |late: &LateManifest, work| {
                let Some(repository) = self.repositories.get(late.repository) else { return Ok(()) };
                let put = repository.session.manifest(&late.descriptor, &late.bytes, work);
                repository.attempt(put).map(drop)
            })?;
        }
        Ok(())
    }

    fn publish_tags(&self, put: &Mutex<Vec<String>>) -> Result<()> {
        if self.is_by_digest {
            return Ok(());
        }
        let names =
            self.repositories.iter().flat_map(|repository| repository.names.iter().map(move |n| (repository, n)));
        self.for_each(names.collect(), |(repository, (at, name)): (&Repository, &(usize, ImageName)), work| {
            let Some((root, bytes)) = self.roots.get(*at) else { return Ok(()) };
            let delivered = match name.tag() {
                Some(tag) => repository.session.tag(tag, root, bytes, work),
                None => repository.session.manifest(root, bytes, work),
            };
            repository.attempt(delivered)?;
            put.lock().push(name.to_string());
            Ok(())
        })
    }

    /// Does `work` for each of `items`. After a failure no others are started, but running ones continue.
    fn for_each<T: Send>(&self, items: Vec<T>, work: impl Fn(T, &Work) -> Result<()> + Sync) -> Result<()> {
        let own = self.cx.work();
        for_each(items, JOBS, &own.cancel.child(), |item| work(item, own))
    }
}

/// Adds the tags already pushed to an error.
fn partly(error: Error, put: &[String]) -> Error {
    let partly = Error::new(error.kind(), format!("tagged only {}", put.join(", ")));
    match (error.is_retryable(), error.hint().map(str::to_owned)) {
        (true, _) => partly.with_hint("run it again: what was pushed is not sent again"),
        (false, Some(hint)) => partly.with_hint(hint),
        (false, None) => partly,
    }
    .with_source(error)
}
