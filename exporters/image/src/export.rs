//! Where the images of a result go: into the image store and registries, and then under their names.

use std::sync::Arc;

use longshore_core::content::{ImageStore, Provider, StoredImage};
use longshore_core::image::{self, AssembledImage, NamedImage, PushedTags, Storing};
use longshore_core::oci::{ImageName, Platform};
use longshore_core::unpack::{Unpacking, unpack_image};
use longshore_core::{Error, ErrorKind, Existing, ExportContext, ExportedImage, Response, Result, Staged, Turn};

use crate::TYPE;
use crate::options::StoreOptions;

/// Brings images into `store`, if there is one; their names there, and their tags in registries, come last.
pub(crate) fn stage<'a>(
    images: Vec<NamedImage<'a>>,
    options: &StoreOptions,
    store: Option<Arc<dyn ImageStore>>,
    tags: Option<PushedTags<'a>>,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let Some(store) = store else {
        let images = images.iter().map(NamedImage::exported).collect();
        return Ok(Box::new(StagedNames { names: None, tags, images }));
    };
    let mut all_names = Vec::new();
    let mut exported = Vec::new();
    let storing = Storing { jobs: cx.budget().jobs(), progress: cx.progress(), cancel: cx.cancel() };
    for NamedImage { image, names } in images {
        image::store(&image, store.as_ref(), &storing)?;
        if options.is_unpacked() {
            unpack(&image, &store, cx)?;
        }
        let names = options.all_names(&names, &image.root.digest)?;
        if names.is_empty() {
            cx.progress().warn(format!("{} has no name: the next prune removes it", image.root.digest));
        }
        exported.push(ExportedImage {
            names: names.iter().map(ToString::to_string).collect(),
            root: image.root.clone(),
            config: image.config.clone(),
        });
        let stored = StoredImage { root: image.root, referrers: image.referrers };
        all_names.extend(names.into_iter().map(|name| (name, stored.clone())));
    }
    Ok(Box::new(StagedNames { names: Some((store, all_names)), tags, images: exported }))
}

/// Makes the snapshots of an image for this machine.
fn unpack(image: &AssembledImage<'_>, store: &Arc<dyn ImageStore>, cx: &ExportContext<'_>) -> Result<()> {
    let snapshots = store.snapshots().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "unpack=true: the image store has no snapshots")
            .with_hint("leave out unpack")
    })?;
    let provider: Arc<dyn Provider> = store.clone();
    let existing = Existing { root: image.root.clone(), referrers: Vec::new(), provider };
    let layers = match image::layers_for(&existing, &Platform::host(), cx.progress()) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            cx.progress().warn(format!("{}: not unpacked: {}", image.root.digest, error.with_causes()));
            return Ok(());
        }
        layers => layers?,
    };
    let unpacking = Unpacking { jobs: cx.budget().jobs(), progress: cx.progress(), cancel: cx.cancel() };
    unpack_image(&layers, snapshots, &unpacking).map(drop)
}

/// Names, and what each will point to.
type Names = Vec<(ImageName, StoredImage)>;

/// Images whose content is where it should be, and the names that they get.
struct StagedNames<'a> {
    names: Option<(Arc<dyn ImageStore>, Names)>,
    tags: Option<PushedTags<'a>>,
    images: Vec<ExportedImage>,
}

impl Staged for StagedNames<'_> {
    fn turn(&self) -> Turn {
        if self.tags.is_some() { Turn::Remote } else { Turn::Local }
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        if let Some((store, names)) = &self.names {
            store.tag(names)?;
        }
        if let Some(tags) = self.tags {
            tags.publish().map_err(|error| match &self.names {
                Some((_, names)) if !names.is_empty() => {
                    let names: Vec<String> = names.iter().map(|(name, _)| name.to_string()).collect();
                    error.context(format!("the image store has {}, but not every registry", names.join(", ")))
                }
                _ => error,
            })?;
        }
        Ok(Response { kind: TYPE.to_owned(), destination: None, images: self.images })
    }
}
