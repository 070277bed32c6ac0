//! Independent validation of an exporter's output.
//!
//! Documents are read with `oci_spec` and with core's own types, every digest is computed again,
//! and every layer is decompressed and read. All problems are reported, not only the first.

mod archive;
mod config;
mod graph;
mod layer;
mod layout;
mod names;

use std::fmt;
use std::path::Path;

use longshore_core::Error;
use longshore_core::content::Provider;
use longshore_core::oci::{Descriptor, Digest, MediaType, Platform};

use crate::causes::full;

/// What a product consists of, as far as it is images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// Its images, one for each manifest of an image: those of an index in its order.
    pub images: Vec<ValidatedImage>,
    /// Manifests of what is no image: signatures, SBOMs, attestations.
    pub artifacts: Vec<Digest>,
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedImage {
    /// The names of the root that it is reached from, as the index of the layout has them: full names
    /// where there are, else tags.
    pub names: Vec<String>,
    /// The root that it is reached from: its manifest, or an index.
    pub root: Digest,
    /// Its manifest.
    pub manifest: Digest,
    /// Its configuration.
    pub config: Digest,
    /// What it runs on, as its configuration says.
    pub platform: Platform,
    /// Its layers, the base first.
    pub layers: Vec<ValidatedLayer>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedLayer {
    /// Its media type.
    pub media_type: MediaType,
    /// The digest of the blob.
    pub digest: Digest,
    /// The digest of its uncompressed tar stream.
    pub diff_id: Digest,
    /// How many files it has.
    pub entries: usize,
}

/// All that is wrong with a product.
#[derive(Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, one line per problem, in the order in which it was found.
    pub problems: Vec<String>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} problems:", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

/// Like `Display`, because tests show it with `unwrap`.
impl fmt::Debug for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Invalid {}

/// Problems found so far.
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Returns the value, or records a problem and returns `None`.
    fn check<T, E: Into<Error>>(&mut self, result: Result<T, E>, what: &str) -> Option<T> {
        result.map_err(|error| self.add(format!("{what}: {}", full(&error.into())))).ok()
    }

    fn finish<T>(self, value: T) -> Result<T, Invalid> {
        if self.0.is_empty() { Ok(value) } else { Err(Invalid { problems: self.0 }) }
    }
}

/// Checks the image or graph below `root`, of which `provider` has every blob.
///
/// # Errors
/// All problems.
pub fn image(provider: &dyn Provider, root: &Descriptor) -> Result<Validated, Invalid> {
    let mut problems = Problems::default();
    let mut graph = graph::Graph::new(provider, &mut problems);
    graph.root(root, &[]);
    let validated = graph.finish();
    problems.finish(validated)
}

/// Checks an OCI image layout in a directory, which others may have written to as well: blobs that
/// nothing references are no problem.
///
/// # Errors
/// All problems.
pub fn layout_dir(path: &Path) -> Result<Validated, Invalid> {
    let mut problems = Problems::default();
    let validated = layout::check(path, layout::Strays::Allowed, &mut problems);
    problems.finish(validated)
}

/// Checks an OCI image layout in a tar archive, and that the archive is as BuildKit writes it:
/// sorted, owned by root, of 1970.
///
/// # Errors
/// All problems.
pub fn layout_tar(path: &Path) -> Result<Validated, Invalid> {
    let mut problems = Problems::default();
    let unpacked = tempfile::tempdir().expect("a temporary directory can be made");
    archive::unpack(path, unpacked.path(), &mut problems);
    let validated = layout::check(unpacked.path(), layout::Strays::Refused, &mut problems);
    problems.finish(validated)
}
