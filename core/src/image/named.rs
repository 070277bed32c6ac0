//! The images of a result, built and named: the first step of every image exporter.

use longshore_oci::{Descriptor, ImageName, Result};

use super::{AssembledImage, ImageOptions, LayerOutlet, assemble_to};
use crate::context::{ExportContext, ExportedImage};
use crate::result::BuildResult;

/// An image that is ready to be copied, and its names.
#[derive(Debug)]
#[non_exhaustive]
pub struct NamedImage<'a> {
    /// The image.
    pub image: AssembledImage<'a>,
    /// Its names, in order; there may be none.
    pub names: Vec<ImageName>,
    /// Its tags without a name, in order.
    pub tags: Vec<String>,
}

impl<'a> NamedImage<'a> {
    /// Creates an image and its names.
    pub fn new(image: AssembledImage<'a>, names: Vec<ImageName>) -> Self {
        Self { image, names, tags: Vec::new() }
    }

    /// Returns its entry in a response.
    pub fn exported(&self) -> ExportedImage {
        ExportedImage {
            names: self.names.iter().map(ToString::to_string).collect(),
            root: self.image.root.clone(),
            config: self.image.config.clone(),
        }
    }
}

/// Assembles every image of `result`, in order.
///
/// # Errors
/// As [`assemble`](super::assemble) and [`ImageOptions::names`].
pub fn assemble_all<'a>(
    result: &BuildResult,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
) -> Result<Vec<NamedImage<'a>>> {
    assemble_all_to(result, options, cx, None)
}

/// As [`assemble_all`], with layers that `outlet` takes while they are built, or already has.
///
/// # Errors
/// As [`assemble_all`], and errors of `outlet`.
pub fn assemble_all_to<'a>(
    result: &BuildResult,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
    outlet: Option<&dyn LayerOutlet>,
) -> Result<Vec<NamedImage<'a>>> {
    let named = result.images.iter().zip(options.names(result)?);
    let named = named.map(|(image, names)| {
        let tags = options.tags(image);
        let image = assemble_to(image, result, options, cx, outlet)?;
        for Descriptor { digest, platform, .. } in &image.missing {
            let platform = platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default();
            cx.work().progress.warn(format!("{}: skipped manifest {digest}{platform}: not found", image.root.digest));
        }
        Ok(NamedImage { image, names, tags })
    });
    named.collect()
}
