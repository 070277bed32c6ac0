//! Blobs: files that become visible once they have a row.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use longshore_content::{BlobInfo, BlobMeta, BlobWriter, ContentStore, IngestFile, Made, Origin, Provider, not_found};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, Result};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::database::{Access, now};
use crate::embedded::EmbeddedStore;
use crate::failure::failed;

impl Provider for EmbeddedStore {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.check_row(digest)?;
        Ok(Box::new(self.inner.files.read(digest, from)?))
    }

    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        Ok(self.info(digest)?.map(|info| info.meta.origins).unwrap_or_default())
    }
}

impl ContentStore for EmbeddedStore {
    fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        let find = |transaction: &Transaction<'_>| self.find(transaction, digest);
        let found = match self.inner.database.read(find) {
            Ok(Some(_)) if self.must_hold(digest) => self.write_and_hold(digest, find),
            found => found,
        };
        found.attempt(|| format!("cannot look up blob {digest}"))
    }

    fn made(&self, diff_id: &Digest, encoder: &str) -> Result<Option<BlobInfo>> {
        let found = self.inner.database.read(|transaction| {
            let select = "SELECT digest FROM blobs JOIN made USING (digest) WHERE diff_id = ?1 AND encoder = ?2";
            let found = transaction.query_row(select, [&diff_id.to_string(), encoder], |row| row.get::<_, String>(0));
            found.optional().map_err(failed)
        });
        let digest = found.attempt(|| format!("cannot look up layer {diff_id}"))?;
        digest.map_or(Ok(None), |digest| self.info(&parse(&digest)?))
    }

    fn ingest(&self, expected: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>> {
        Ok(self.inner.files.ingest(expected)?.writer(|file, meta| self.commit(file, &meta)))
    }

    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()> {
        let updated = self.write_and_hold(digest, |transaction| {
            let info = self.find(transaction, digest)?;
            info.ok_or_else(|| not_found(digest))?;
            merge(transaction, digest, &meta)
        });
        match updated {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).attempt(|| format!("cannot update {digest}"))
            }
            updated => updated,
        }
    }

    fn lease(&self) -> Result<Arc<dyn ContentStore>> {
        Ok(Arc::new(self.view()?))
    }

    fn directory(&self) -> Option<&Path> {
        Some(self.root())
    }

    fn is_read_only(&self) -> bool {
        self.inner.database.access() != Access::Write
    }
}

impl EmbeddedStore {
    /// Fails for a blob without a row: a collector may be about to remove its file.
    fn check_row(&self, digest: &Digest) -> Result<()> {
        let has_row = self.inner.database.read(|transaction| has_row(transaction, digest));
        match has_row.attempt(|| format!("cannot look up blob {digest}"))? {
            true => Ok(()),
            false => Err(not_found(digest)),
        }
    }

    /// Returns the metadata of a blob. A blob whose file is missing or has another size counts as missing: the caller
    /// writes it again.
    pub(crate) fn find(&self, transaction: &Transaction<'_>, digest: &Digest) -> Result<Option<BlobInfo>> {
        let key = digest.to_string();
        let select = "SELECT size, diff_id FROM blobs WHERE digest = ?1";
        let row = transaction
            .query_row(select, [&key], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Option<String>>(1)?)))
            .optional()
            .map_err(failed)?;
        let Some((size, diff_id)) = row else { return Ok(None) };
        if self.inner.files.size(digest)? != Some(size) {
            return Ok(None);
        }
        let references = rows(transaction, "SELECT child FROM edges WHERE parent = ?1 ORDER BY rowid", &key, |row| {
            row.get::<_, String>(0)
        })?;
        let references = references.iter().map(|text| parse(text)).collect::<Result<_>>()?;
        let made = "SELECT encoder, newest FROM made WHERE digest = ?1 ORDER BY rowid";
        let made = rows(transaction, made, &key, |row| Ok(Made { encoder: row.get(0)?, newest: row.get(1)? }))?;
        let origins = "SELECT registry, repository FROM origins WHERE digest = ?1 ORDER BY rowid";
        let origins =
            rows(transaction, origins, &key, |row| Ok(Origin { registry: row.get(0)?, repository: row.get(1)? }))?;
        let diff_id = diff_id.map(|text| parse(&text)).transpose()?;
        let meta = BlobMeta::default().with_references(references).with_diff_id(diff_id);
        let meta = meta.with_made(made).with_origins(origins);
        Ok(Some(BlobInfo::new(digest.clone(), size, meta)))
    }

    fn commit(&self, file: IngestFile, meta: &BlobMeta) -> Result<BlobInfo> {
        let (digest, size) = file.check()?;
        let is_there = |transaction: &Transaction<'_>| Ok(self.find(transaction, &digest)?.is_some());
        let was_there = self.inner.database.read(is_there)?;
        if !was_there {
            // The slow sync is done before the transaction makes other writers wait.
            self.inner.files.finish(&file)?;
        }
        let committed = self.write_and_hold(&digest, |transaction| {
            if !is_there(transaction)? {
                if was_there {
                    self.inner.files.finish(&file)?;
                }
                self.inner.files.place(file, &digest)?;
                let insert = "INSERT INTO blobs (digest, size, used) VALUES (?1, ?2, ?3)
                    ON CONFLICT (digest) DO UPDATE SET size = excluded.size";
                transaction.execute(insert, params![digest.to_string(), size, now()]).map_err(failed)?;
            }
            merge(transaction, &digest, meta)?;
            let not_there =
                || Error::new(ErrorKind::NotFound, format!("blob {digest} was removed while it was being stored"));
            self.find(transaction, &digest)?.ok_or_else(not_there)
        });
        committed.attempt(|| format!("cannot store blob {digest}"))
    }
}

/// Adds to the metadata of a blob.
fn merge(transaction: &Transaction<'_>, digest: &Digest, meta: &BlobMeta) -> Result<()> {
    let key = digest.to_string();
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(failed).map(drop)
    };
    for child in &meta.references {
        run("INSERT OR IGNORE INTO edges (parent, child) VALUES (?1, ?2)", params![key, child.to_string()])?;
    }
    for Made { encoder, newest } in &meta.made {
        run("INSERT OR IGNORE INTO made (digest, encoder, newest) VALUES (?1, ?2, ?3)", params![key, encoder, newest])?;
    }
    for Origin { registry, repository } in &meta.origins {
        let insert = "INSERT OR IGNORE INTO origins (digest, registry, repository) VALUES (?1, ?2, ?3)";
        run(insert, params![key, registry, repository])?;
    }
    match &meta.diff_id {
        Some(diff_id) => run("UPDATE blobs SET diff_id = ?2 WHERE digest = ?1", params![key, diff_id.to_string()]),
        None => Ok(()),
    }
}

pub(crate) fn has_row(transaction: &Transaction<'_>, digest: &Digest) -> Result<bool> {
    let mut select = transaction.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1").map_err(failed)?;
    Ok(select.query_row([digest.to_string()], |_| Ok(())).optional().map_err(failed)?.is_some())
}

/// Returns the result of a query for a single row.
pub(crate) fn rows<T>(
    transaction: &Transaction<'_>,
    sql: &str,
    key: &str,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map([key], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Parses a digest from the database.
pub(crate) fn parse(text: &str) -> Result<Digest> {
    text.parse().map_err(|error: Error| Error::corrupt("the database of the store is damaged").with_source(error))
}
