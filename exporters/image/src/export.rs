//! The destinations of the images of a result: the image store and registries, and finally their names.

use std::sync::Arc;

use longshore_core::content::{BlobInfo, BlobMeta, ImageStore, Provider, StoredImage};
use longshore_core::image::{self, AssembledImage, NamedImage, Push, PushedTags};
use longshore_core::layer::BlobSource;
use longshore_core::oci::{ImageName, Platform};
use longshore_core::unpack::unpack_image;
use longshore_core::{
    Error, ErrorKind, Existing, ExportContext, ExportedImage, ExporterType, Response, Result, Staged, Turn,
};

use crate::ImageExporter;
use crate::options::StoreOptions;

/// Copies images into `store`, if any, and from there to registries; names and tags come last.
pub(crate) fn stage<'a>(
    images: Vec<NamedImage<'a>>,
    options: &StoreOptions,
    store: Option<Arc<dyn ImageStore>>,
    push: Option<Push<'a>>,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let mut all_names = Names::new();
    let mut exported = Vec::new();
    for named in &images {
        let root = &named.image.root;
        let names = options.push.pushed_names(&named.names, &root.digest)?;
        let names = match &store {
            Some(store) => {
                keep(&named.image, store, options, cx)?;
                options.all_names(&names, &root.digest)?
            }
            None => names,
        };
        if names.is_empty() {
            cx.work().progress.warn(format!("{} has no name: the next prune removes it", root.digest));
        }
        exported.push(named.exported().with_names(names.iter().map(ToString::to_string).collect()));
        let stored = StoredImage::new(root.clone(), named.image.referrers.clone());
        all_names.extend(names.into_iter().map(|name| (name, stored.clone())));
    }
    let tags = push.map(|push| push.send(&images)).transpose()?;
    Ok(Box::new(StagedNames { names: store.map(|store| (store, all_names)), tags, images: exported }))
}

fn keep(
    image: &AssembledImage<'_>,
    store: &Arc<dyn ImageStore>,
    options: &StoreOptions,
    cx: &ExportContext<'_>,
) -> Result<()> {
    image::store(image, store.as_ref(), cx.work())?;
    if options.is_unpacked() { unpack(image, store, cx) } else { Ok(()) }
}

/// Creates the snapshots of an image for this machine.
fn unpack(image: &AssembledImage<'_>, store: &Arc<dyn ImageStore>, cx: &ExportContext<'_>) -> Result<()> {
    let snapshots = store.snapshots().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "unpack=true: the image store has no snapshots")
            .with_hint("leave out unpack")
    })?;
    let provider: Arc<dyn Provider> = store.clone();
    let existing = Existing::new(image.root.clone(), provider);
    let layers = match image::layers_for(&existing, &Platform::host(), cx.work()) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            cx.work().progress.warn(format!("{}: not unpacked: {}", image.root.digest, error.with_causes()));
            return Ok(());
        }
        layers => layers?,
    };
    unpack_image(&layers, snapshots, cx.work())?;
    // Now they are known, and other users of the store ask for them.
    for BlobSource { descriptor, diff_id, .. } in &layers.layers {
        let is_known = |info: BlobInfo| info.meta.diff_id.as_ref() == Some(diff_id);
        if !store.info(&descriptor.digest)?.is_some_and(is_known) {
            store.update(&descriptor.digest, BlobMeta::default().with_diff_id(Some(diff_id.clone())))?;
        }
    }
    Ok(())
}

/// Names, and their future targets.
type Names = Vec<(ImageName, StoredImage)>;

/// Images with their content in place, and the names to be set.
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
                    error.context(format!("the image store has {}, but not every registry does", names.join(", ")))
                }
                _ => error,
            })?;
        }
        Ok(Response::new(ImageExporter::KIND.to_owned(), None, self.images))
    }
}
