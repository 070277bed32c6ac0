//! `longshore images`.

use std::io::{self, Write};

use anyhow::Result;
use indicatif::HumanBytes;
use longshore_core::Error;
use longshore_core::content::{Provider, StoredImage, read};
use longshore_core::image::{GraphBlob, GraphLimits, walk};
use longshore_core::oci::{CONFIG_LIMIT, Descriptor, ImageConfig, ImageName};
use serde_json::{Value, json};

use crate::args::ImagesArgs;
use crate::store_root::StoreRoot;

pub(crate) fn images(args: &ImagesArgs, root: &StoreRoot) -> Result<()> {
    let store = root.open_existing()?;
    let images = store.as_ref().map_or_else(|| Ok(Vec::new()), |store| store.images())?;
    let mut out = io::stdout().lock();
    if args.quiet {
        images.iter().try_for_each(|(name, _)| writeln!(out, "{name}"))?;
        return Ok(());
    }
    let described: Vec<_> = images
        .iter()
        .zip(store.iter().cycle())
        .map(|((name, image), store)| Described::new(name, image, store.as_ref()))
        .collect();
    if args.json {
        let all: Vec<Value> = described.iter().map(Described::json).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        return Ok(());
    }
    let rows = described.iter().map(Described::row);
    let header = ["NAME", "DIGEST", "SIZE", "PLATFORMS"].map(str::to_owned);
    write_table(&mut out, &[header].into_iter().chain(rows).collect::<Vec<_>>())?;
    Ok(())
}

/// An image, as far as it can be read.
struct Described<'a> {
    name: &'a ImageName,
    root: &'a Descriptor,
    content: Result<Content, Error>,
}

struct Content {
    /// Bytes of all that it refers to, each blob once.
    size: u64,
    platforms: Vec<String>,
    missing: Vec<Descriptor>,
}

impl<'a> Described<'a> {
    fn new(name: &'a ImageName, image: &'a StoredImage, store: &dyn Provider) -> Self {
        Self { name, root: &image.root, content: content(&image.root, store) }
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

fn content(root: &Descriptor, store: &dyn Provider) -> Result<Content, Error> {
    let graph = walk(root, store, GraphLimits::default())?;
    let platform = |blob: &GraphBlob| -> Option<Result<String, Error>> {
        let config = &blob.descriptor;
        config.media_type.is_config().then(|| {
            let config = ImageConfig::parse(&read(store, config, CONFIG_LIMIT)?)?;
            Ok(config.platform()?.to_string())
        })
    };
    let mut platforms = graph.blobs.iter().filter_map(platform).collect::<Result<Vec<_>, _>>()?;
    platforms.dedup();
    let size = graph.blobs.iter().map(|blob| blob.descriptor.size).sum();
    Ok(Content { size, platforms, missing: graph.missing })
}

/// Writes columns that begin where the longest field before them ends.
fn write_table<const N: usize>(out: &mut impl Write, rows: &[[String; N]]) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let fields = row.iter().zip(widths).map(|(field, width)| format!("{field:width$}"));
        writeln!(out, "{}", fields.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
