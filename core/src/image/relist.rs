//! An existing image with entries added to its index: attestations or annotations. Its manifests, and everything below
//! them, stay unchanged.

use longshore_oci::{Descriptor, Index, MANIFEST_LIMIT, MediaType, Platform, Result, parse_index};

use super::assembly::Assembly;
use super::attest::Attesting;
use super::{AssembledImage, Graph, GraphEntry, ImageOptions};
use crate::context::ExportContext;
use crate::result::{Existing, Image};

/// Returns `image`, `assembled` with its existing content, with the additions of the image and of the options to its
/// index.
///
/// # Errors
/// Annotations and attestations that do not fit the image; errors of its documents and of the store.
pub(super) fn relist<'a>(
    mut assembled: AssembledImage<'a>,
    (image, existing): (&Image, &Existing),
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
) -> Result<AssembledImage<'a>> {
    let was_index = existing.root.media_type.is_index();
    let makes_index = was_index || options.makes_index(image);
    let entries = Graph::of(existing, cx.work()).entries()?.present;
    let images = entries.iter().filter(|entry| entry.is_image());
    let images: Vec<(&GraphEntry, Platform)> = images.filter_map(|entry| Some((entry, entry.platform()?))).collect();
    let platforms: Vec<Platform> = images.iter().map(|(_, platform)| platform.clone()).collect();
    options.annotations.check(&platforms, makes_index)?;
    image.check_attestations(&platforms)?;

    let mut assembly = Assembly { cx, options, blobs: Vec::new() };
    let mut attesting = Attesting::new(image, options.names_of(image));
    for (entry, platform) in &images {
        attesting.attest(&mut assembly, &entry.descriptor, platform, &[])?;
    }
    let annotate = |listed: &mut Descriptor| {
        if let Some((_, platform)) = images.iter().find(|(entry, _)| entry.descriptor.digest == listed.digest) {
            options.annotations.annotate_manifest_descriptor(platform, &mut listed.annotations);
        }
    };
    if !makes_index {
        annotate(&mut assembled.root);
        return Ok(assembled);
    }
    let mut index = match was_index {
        true => parse_index(&existing.root, &assembled.read(&existing.root.digest, MANIFEST_LIMIT)?)?,
        false => {
            let platform = platforms.first().cloned();
            Index::new(vec![Descriptor { platform, ..existing.root.clone() }])
        }
    };
    index.manifests.iter_mut().for_each(annotate);
    let adds_statements = !attesting.manifests.is_empty();
    index.manifests.extend(attesting.manifests);
    index.annotations.extend(image.index_annotations.clone());
    options.annotations.annotate_index(&mut index.annotations);
    // Docker's manifest lists have no attestations.
    if adds_statements || !was_index {
        index.media_type = Some(MediaType::INDEX);
    }
    let media_type = index.media_type.clone().unwrap_or_else(|| existing.root.media_type.clone());
    let mut root = assembly.put_index(media_type, &index)?;
    if was_index {
        root.annotations = existing.root.annotations.clone();
        say_referrers_are_lost(existing, &root, cx);
        assembled.referrers.clear();
        assembled.blobs.retain(|blob| blob.descriptor.digest != existing.root.digest);
    }
    root.annotations.extend(image.index_descriptor_annotations.clone());
    options.annotations.annotate_index_descriptor(&mut root.annotations);
    assembled.blobs.extend(assembly.blobs);
    Ok(AssembledImage { root, config: None, ..assembled })
}

fn say_referrers_are_lost(existing: &Existing, root: &Descriptor, cx: &ExportContext<'_>) {
    let old = &existing.root.digest;
    if root.digest != *old && !existing.referrers.is_empty() {
        cx.work().progress.warn(format!("{old}: its referrers are left out, as its digest changes"));
    }
}
