//! Names of images.

use std::sync::Arc;

use longshore_content::{Collector, ImageStore, Snapshots, StoredImage, check_name, not_found};
use longshore_oci::{Context, Descriptor, Error, ErrorKind, ImageName, Result};
use rusqlite::{Transaction, params};

use crate::content::rows;
use crate::embedded::EmbeddedStore;
use crate::failure::failed;

impl ImageStore for EmbeddedStore {
    fn lease_images(&self) -> Result<Arc<dyn ImageStore>> {
        Ok(Arc::new(self.view()?))
    }

    fn image(&self, name: &ImageName) -> Result<Option<StoredImage>> {
        let find = |transaction: &Transaction<'_>| find(transaction, name);
        self.inner.database.read(find).attempt(|| format!("cannot look up image {name}"))
    }

    fn images(&self) -> Result<Vec<(ImageName, StoredImage)>> {
        let names = |transaction: &Transaction<'_>| -> Result<Vec<_>> {
            let all = "SELECT name FROM images WHERE name > ?1 ORDER BY name";
            let names = rows(transaction, all, "", |row| row.get::<_, String>(0))?;
            let image = |name: String| {
                let name: ImageName = name.parse().map_err(damaged)?;
                Ok(find(transaction, &name)?.map(|image| (name, image)))
            };
            names.into_iter().filter_map(|name| image(name).transpose()).collect()
        };
        self.inner.database.read(names).attempt(|| "cannot list images".to_owned())
    }

    fn tag(&self, images: &[(ImageName, StoredImage)]) -> Result<Vec<Option<StoredImage>>> {
        let tag_all = |transaction: &Transaction<'_>| {
            images.iter().map(|(name, image)| self.tag_one(transaction, name, image)).collect()
        };
        let names = || images.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ");
        self.inner.database.write(tag_all).attempt(|| format!("cannot name an image {}", names()))
    }

    fn untag(&self, names: &[ImageName]) -> Result<Vec<StoredImage>> {
        self.make_room()?;
        self.inner.database.write(|transaction| {
            let untag_one = |name: &ImageName| {
                let missing = || Error::new(ErrorKind::NotFound, format!("image {name} is not in the store"));
                let image = find(transaction, name)?.ok_or_else(missing)?;
                transaction.execute("DELETE FROM images WHERE name = ?1", [name.to_string()]).map_err(failed)?;
                Ok(image)
            };
            names.iter().map(untag_one).collect()
        })
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn collector(&self) -> Option<&dyn Collector> {
        Some(self)
    }
}

impl EmbeddedStore {
    fn tag_one(
        &self,
        transaction: &Transaction<'_>,
        name: &ImageName,
        image: &StoredImage,
    ) -> Result<Option<StoredImage>> {
        check_name(name, &image.root)?;
        let before = find(transaction, name)?;
        let key = name.to_string();
        let replace = "INSERT OR REPLACE INTO images (name, root, referrers) VALUES (?1, ?2, ?3)";
        transaction.execute(replace, params![key, json(&image.root)?, json(&image.referrers)?]).map_err(failed)?;
        for descriptor in [&image.root].into_iter().chain(&image.referrers) {
            let digest = &descriptor.digest;
            self.find(transaction, digest)?.ok_or_else(|| not_found(digest))?;
            let insert = "INSERT OR IGNORE INTO roots (name, digest) VALUES (?1, ?2)";
            transaction.execute(insert, params![key, digest.to_string()]).map_err(failed)?;
        }
        Ok(before)
    }
}

fn find(transaction: &Transaction<'_>, name: &ImageName) -> Result<Option<StoredImage>> {
    let select = "SELECT root, referrers FROM images WHERE name = ?1";
    let found =
        rows(transaction, select, &name.to_string(), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let image = |(root, referrers): &(String, String)| -> Result<StoredImage> {
        let root: Descriptor = serde_json::from_str(root).map_err(damaged)?;
        Ok(StoredImage::new(root, serde_json::from_str(referrers).map_err(damaged)?))
    };
    found.first().map(image).transpose()
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::input("a descriptor is not JSON").with_source(error))
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::corrupt("the database of the store is damaged").with_source(error)
}
