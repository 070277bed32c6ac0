//! Imports archives into an image store, in one pass, so that a pipe works, too.

mod docker;
mod layout;
mod names;
mod receive;

use std::io::Read;
use std::path::Path;

use longshore_core::content::{ImageStore, StoredImage};
use longshore_core::oci::{Descriptor, ImageName};
use longshore_core::{Context, Error, Result, Work};

pub use names::ImportName;
use receive::Received;

/// What an import works with.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    /// Where the images go.
    pub store: &'a dyn ImageStore,
    /// What images are called that the archive gives no full name.
    pub name: Option<&'a ImportName>,
    /// What to report to, what says when to stop, and what may be used.
    pub work: &'a Work,
}

/// A name that an import gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The name.
    pub name: ImageName,
    /// What it points to now.
    pub image: StoredImage,
    /// What it pointed to before, if that was something else.
    pub moved: Option<StoredImage>,
    /// Manifests of other platforms that the archive does not have.
    pub missing: Vec<Descriptor>,
}

/// An image with its content in the store, and its names in the archive.
#[derive(Debug)]
struct Arrived {
    image: StoredImage,
    /// Full names.
    names: Vec<String>,
    /// Tags without a name.
    tags: Vec<String>,
    missing: Vec<Descriptor>,
}

impl Import<'_> {
    /// Imports the archive that `input` is: an OCI layout or a tarball of `docker save`, compressed or
    /// not. It is read once, from its start to its end.
    ///
    /// Names move all at once, after everything is in the store and verified.
    ///
    /// # Errors
    /// Not such an archive; one that ends early, in which a path stands twice, or whose blobs are not
    /// what their paths say; an image without a name. No name changes then.
    pub fn archive(&self, input: impl Read + Send) -> Result<Vec<Imported>> {
        let store = self.store.lease_images()?;
        let import = Import { store: store.as_ref(), ..*self };
        let received = Received::read(input, &import)?;
        let arrived = match received.is_layout() {
            true => layout::images(&received, &import)?,
            false => None,
        };
        import.name_all(arrived.map_or_else(|| docker::images(&received, &import), Ok)?)
    }

    /// Imports the OCI layout in a directory.
    ///
    /// # Errors
    /// As [`archive`](Self::archive).
    pub fn directory(&self, path: &Path) -> Result<Vec<Imported>> {
        let store = self.store.lease_images()?;
        let import = Import { store: store.as_ref(), ..*self };
        import.name_all(layout::directory(path, &import)?)
    }

    fn name_all(&self, arrived: Vec<Arrived>) -> Result<Vec<Imported>> {
        if arrived.is_empty() {
            return Err(Error::input("there is no image in it"));
        }
        let is_only = arrived.len() == 1;
        let mut imported = Vec::new();
        for Arrived { image, names, tags, missing } in arrived {
            for name in names::resolve(self.name, &names, &tags, &image.root.digest, is_only, &self.work.progress)? {
                imported.push(Imported { name, image: image.clone(), moved: None, missing: missing.clone() });
            }
        }
        refuse_two_for_one_name(&imported)?;
        let pairs: Vec<_> = imported.iter().map(|each| (each.name.clone(), each.image.clone())).collect();
        let before = self.store.tag(&pairs).attempt(|| "cannot name what was imported".to_owned())?;
        for (imported, before) in imported.iter_mut().zip(before) {
            imported.moved = before.filter(|before| before.root.digest != imported.image.root.digest);
        }
        Ok(imported)
    }
}

fn refuse_two_for_one_name(imported: &[Imported]) -> Result<()> {
    for (at, each) in imported.iter().enumerate() {
        let same = imported[..at].iter().find(|before| before.name == each.name);
        if let Some(before) = same.filter(|before| before.image.root.digest != each.image.root.digest) {
            let (one, other) = (&before.image.root.digest, &each.image.root.digest);
            return Err(Error::input(format!("`{}` names two images: {one} and {other}", each.name)));
        }
    }
    Ok(())
}
