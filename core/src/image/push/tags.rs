//! Tags, when everything that they stand for is there.

use std::sync::{Mutex, PoisonError};

use super::{Push, Repository};
use crate::error::{Error, Result};
use crate::exporter::ExportContext;
use crate::image::NamedImage;
use crate::oci::{Descriptor, ImageName, MANIFEST_LIMIT};
use crate::parallel::for_each;
use crate::push::Transfer;

/// Images that are in their registries, and have no tag there yet.
#[derive(Debug)]
pub struct PushedTags<'a> {
    cx: &'a ExportContext<'a>,
    is_by_digest: bool,
    repositories: Vec<Repository>,
    /// The root of each image, and its bytes.
    roots: Vec<(Descriptor, Vec<u8>)>,
}

impl<'a> PushedTags<'a> {
    pub(super) fn new(push: Push<'a>, images: &[NamedImage<'a>]) -> Result<Self> {
        let mut roots = Vec::new();
        for NamedImage { image, .. } in images {
            roots.push((image.root.clone(), image.read(&image.root.digest, MANIFEST_LIMIT)?));
        }
        let is_by_digest = push.options.is_by_digest();
        Ok(Self { cx: push.cx, is_by_digest, repositories: push.repositories.into_values().collect(), roots })
    }

    /// Puts the tags, of all repositories at the same time.
    ///
    /// # Errors
    /// The first one. Tags that were put before it stay, as registries cannot take them together: they
    /// are named.
    pub fn publish(self) -> Result<()> {
        let put: Mutex<Vec<String>> = Mutex::default();
        // A child: that one repository fails stops the others, but nothing else of the run.
        let cancel = self.cx.cancel().child();
        let transfer = Transfer { progress: self.cx.progress(), cancel: &cancel };
        let published = for_each(self.repositories.iter().collect(), usize::MAX, &cancel, |repository: &Repository| {
            for (at, name) in &repository.names {
                let Some((root, bytes)) = self.roots.get(*at) else { continue };
                repository.attempt(self.put(repository, name, root, bytes, &transfer))?;
                put.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_string());
            }
            repository.attempt(repository.session.list_referrers(&transfer))
        });
        let mut put = put.into_inner().unwrap_or_else(PoisonError::into_inner);
        put.sort();
        published.map_err(|error| if put.is_empty() { error } else { partly(error, &put) })
    }

    fn put(
        &self,
        repository: &Repository,
        name: &ImageName,
        root: &Descriptor,
        bytes: &[u8],
        transfer: &Transfer<'_>,
    ) -> Result<()> {
        let delivered = match name.tag() {
            Some(tag) if !self.is_by_digest && (name.is_tagged() || name.digest().is_none()) => {
                repository.session.tag(tag, root, bytes, transfer)
            }
            _ => repository.session.manifest(root, bytes, transfer),
        };
        delivered.map(drop)
    }
}

/// Says what is visible all the same.
fn partly(error: Error, put: &[String]) -> Error {
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    Error::new(error.kind(), format!("pushed {}, but not everything", put.join(", ")))
        .with_hint(format!("run it again: what is there already is not sent again{hint}"))
        .with_source(error)
}
