//! `longshore images`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use indicatif::HumanBytes;
use longshore_core::content::{Provider, StoredImage};
use longshore_core::image::{Graph, GraphBlob, GraphEntry};
use longshore_core::oci::{Descriptor, ImageName};
use longshore_core::{Error, Work};
use serde_json::{Value, json};

use crate::args::ImagesArgs;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn images(args: &ImagesArgs, root: &StoreRoot) -> Result<()> {
    stdout::check()?;
    let store = root.open_existing()?;
    let images = store.as_ref().map_or_else(|| Ok(Vec::new()), |store| store.images())?;
    let mut out = Vec::new();
    if args.quiet {
        images.iter().try_for_each(|(name, _)| writeln!(out, "{name}"))?;
        return Ok(stdout::print(out)?);
    }
    let work = Work::default();
    let described: Vec<_> = images
        .iter()
        .zip(store.iter().cycle())
        .map(|((name, image), store)| Described::new(name, image, store.as_ref(), &work))
        .collect();
    if args.json {
        let all: Vec<Value> = described.iter().map(Described::json).collect();
        return Ok(stdout::print(serde_json::to_string_pretty(&all)? + "\n")?);
    }
    let rows = described.iter().map(Described::row);
    let header = ["NAME", "DIGEST", "SIZE", "PLATFORMS"].map(str::to_owned);
    write_table(&mut out, &[header].into_iter().chain(rows).collect::<Vec<_>>())?;
    Ok(stdout::print(out)?)
}

/// An image, as far as it is readable.
struct Described<'a> {
    name: &'a ImageName,
    root: &'a Descriptor,
    content: Result<Content, Error>,
}

struct Content {
    /// Total size in bytes of its blobs, each counted once.
    size: u64,
    platforms: Vec<String>,
    missing: Vec<Descriptor>,
}

impl<'a> Described<'a> {
    fn new(name: &'a ImageName, image: &'a StoredImage, store: &dyn Provider, work: &Work) -> Self {
        Self { name, root: &image.root, content: content(&image.root, store, work) }
    }

    fn row(&self) -> [String; 4] {
        let (size, platforms) = match &self.content {
            Ok(content) => (HumanBytes(content.size).to_string(), content.platforms.join(", ")),
            Err(error) => ("?".to_owned(), error.with_causes()),
        };
        [
            self.name.to_string(),
            format!("{}:{}", self.root.digest.algorithm(), self.root.digest.short()),
            size,
            platforms,
        ]
    }

    fn json(&self) -> Value {
        let mut value = json!({"name": self.name.to_string(), "root": self.root});
        match &self.content {
            Ok(Content { size, platforms, missing }) => {
                value["size"] = json!(size);
                value["platforms"] = json!(platforms);
                value["missing"] = json!(missing);
            }
            Err(error) => value["error"] = json!(error.with_causes()),
        }
        value
    }
}

fn content(root: &Descriptor, store: &dyn Provider, work: &Work) -> Result<Content, Error> {
    let graph = Graph::at(root, store, work);
    let walked = graph.walk()?;
    let entries = graph.entries()?;
    let mut platforms: Vec<String> =
        entries.present.iter().filter_map(GraphEntry::platform).map(|platform| platform.to_string()).collect();
    platforms.dedup();
    let sizes: BTreeMap<_, _> =
        walked.blobs.iter().map(|GraphBlob { descriptor, .. }| (&descriptor.digest, descriptor.size)).collect();
    let size = sizes.into_values().try_fold(0_u64, u64::checked_add);
    let size = size.ok_or_else(|| Error::input("the sizes of its blobs exceed 64 bits"))?;
    Ok(Content { size, platforms, missing: walked.missing })
}

/// Writes columns, each as wide as its longest field.
fn write_table<const N: usize>(out: &mut impl Write, rows: &[[String; N]]) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let fields = row.iter().zip(widths).map(|(field, width)| format!("{field:width$}"));
        writeln!(out, "{}", fields.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_core::content::MemoryStore;
    use longshore_core::oci::{ImageConfig, Manifest, MediaType, Platform};

    use super::*;

    fn content_of(sizes: &[u64]) -> Result<Content, Error> {
        let store = MemoryStore::default();
        let config = ImageConfig::new(&Platform::new("linux", "amd64", None)).to_bytes()?;
        let config = store.put(MediaType::CONFIG, &config);
        let layer = |(at, size): (usize, &u64)| Descriptor {
            size: *size,
            ..Descriptor::of(MediaType::CONFIG, at.to_string().as_bytes())
        };
        let manifest = Manifest::new(config, sizes.iter().enumerate().map(layer).collect());
        let manifest = serde_json::to_vec(&manifest).map_err(|error| Error::input(error.to_string()))?;
        content(&store.put(MediaType::MANIFEST, &manifest), &store, &Work::default())
    }

    /// Release builds wrapped around.
    #[test]
    fn sizes_of_blobs_that_overflow_are_an_error() {
        let some = content_of(&[5, 7]).unwrap();
        assert_eq!((some.size > 12, &some.platforms[..]), (true, &["linux/amd64".to_owned()][..]));
        let error = content_of(&[u64::MAX - 10, 11]).err().unwrap();
        assert_eq!(error.message(), "the sizes of its blobs exceed 64 bits");
    }
}
