//! `longshore diff`.

use std::collections::BTreeSet;

use anyhow::Result;
use indicatif::HumanBytes;
use longshore_core::archive::EntryKind;
use longshore_core::image::Graph;
use longshore_core::oci::{Digest, ImageConfig};
use longshore_core::{Error, Existing, FrontendRegistry, Source, Work};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::inspect::documents;
use super::{inspect, work};
use crate::args::DiffArgs;
use crate::contents::{Contents, FileEntry};
use crate::store_root::StoreRoot;
use crate::{page, stdout};

pub(crate) fn diff(args: &DiffArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    match &args.html {
        Some(path) => page::check(path)?,
        None => stdout::check()?,
    }
    let (display, work) = work::begin(args.progress.style(), None)?;
    let side = |text: &String| Side::read(text, args, root, frontends, &work);
    let found = Difference::of(&side(&args.from)?, &side(&args.to)?)?;
    display.finish();
    match &args.html {
        Some(path) => {
            let title = format!("{} → {}", args.from, args.to);
            let mut data = serde_json::to_value(&found)?;
            data["kind"] = json!("diff");
            data["title"] = json!(title);
            Ok(page::put(path, &title, &data)?)
        }
        None if args.json => Ok(stdout::print(serde_json::to_string_pretty(&found)? + "\n")?),
        None => Ok(stdout::print(found.text())?),
    }
}

/// One of two images.
struct Side {
    config: ImageConfig,
    layers: Vec<LayerOf>,
    contents: Contents,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LayerOf {
    digest: Digest,
    size: u64,
}

impl Side {
    fn read(
        text: &str,
        args: &DiffArgs,
        root: &StoreRoot,
        frontends: &FrontendRegistry,
        work: &Work,
    ) -> Result<Self, Error> {
        let images = inspect::open(&Source::parse(text)?, root, frontends, work)?;
        let [(_, existing)] = &images[..] else { return Err(inspect::several(text, images.len())) };
        Self::of(existing, args, work).map_err(|error| error.context(format!("cannot read {text}")))
    }

    fn of(existing: &Existing, args: &DiffArgs, work: &Work) -> Result<Self, Error> {
        let platform = documents::platform(existing, args.platform.as_ref(), work)?;
        let graph = Graph::of(existing, work);
        let (entry, config) = graph.image(&graph.platform(&platform)?)?;
        let layers = entry.manifest.layers.iter();
        let layers = layers.map(|layer| LayerOf { digest: layer.digest.clone(), size: layer.size }).collect();
        let contents = Contents::read(existing, &platform, work)?;
        Ok(Self { config: ImageConfig::clone(&config), layers, contents })
    }
}

/// What differs between two images.
#[derive(Debug, Serialize)]
struct Difference {
    files: Vec<FileChange>,
    configuration: Vec<FieldChange>,
    layers: LayerChanges,
    /// How many bytes of files the second has more than the first.
    growth: i128,
}

#[derive(Debug, Serialize)]
struct FileChange {
    path: String,
    change: &'static str,
    /// What changed of a file that both have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    what: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
}

#[derive(Debug, Serialize)]
struct FieldChange {
    field: String,
    from: Value,
    to: Value,
}

#[derive(Debug, Serialize)]
struct LayerChanges {
    shared: Vec<LayerOf>,
    removed: Vec<LayerOf>,
    added: Vec<LayerOf>,
}

impl Difference {
    fn of(from: &Side, to: &Side) -> Result<Self, Error> {
        let has = |side: &Side, layer: &LayerOf| side.layers.contains(layer);
        let only = |one: &Side, other: &Side| one.layers.iter().filter(|own| !has(other, own)).cloned().collect();
        let size = |side: &Side| side.contents.visible().map(|file| i128::from(file.size)).sum::<i128>();
        Ok(Self {
            files: files(&from.contents, &to.contents),
            configuration: fields(&from.config, &to.config)?,
            layers: LayerChanges {
                shared: from.layers.iter().filter(|layer| has(to, layer)).cloned().collect(),
                removed: only(from, to),
                added: only(to, from),
            },
            growth: size(to) - size(from),
        })
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self.files.iter().map(FileChange::line).collect();
        lines.extend(
            self.configuration.iter().map(|field| format!("config {} {} -> {}", field.field, field.from, field.to)),
        );
        let layers = |sign, layers: &[LayerOf]| -> Vec<String> {
            layers.iter().map(|layer| format!("{sign} layer {}  {}", layer.digest, HumanBytes(layer.size))).collect()
        };
        lines.extend(layers("-", &self.layers.removed));
        lines.extend(layers("+", &self.layers.added));
        let of = |change| self.files.iter().filter(|file| file.change == change).count();
        let (added, removed, changed) = (of("added"), of("removed"), of("changed"));
        let shared = self.layers.shared.len();
        lines.push(format!("files: {added} added, {removed} removed, {changed} changed; layers in both: {shared}"));
        lines.join("\n") + "\n"
    }
}

impl FileChange {
    fn line(&self) -> String {
        let size = |side: &Option<Value>| side.as_ref().and_then(|side| side["size"].as_u64()).unwrap_or_default();
        let (from, to) = (HumanBytes(size(&self.from)), HumanBytes(size(&self.to)));
        match self.change {
            "added" => format!("+ {}  {to}", self.path),
            "removed" => format!("- {}  {from}", self.path),
            _ => format!("~ {}  {}", self.path, self.what.join(", ")),
        }
    }
}

fn files(from: &Contents, to: &Contents) -> Vec<FileChange> {
    let paths: BTreeSet<&str> = from.visible().chain(to.visible()).map(|file| file.path.as_str()).collect();
    let changes = paths.into_iter().filter_map(|path| {
        let (from, to) = (from.at(path), to.at(path));
        let (change, what) = match (from, to) {
            (Some(from), Some(to)) => ("changed", differing(from, to)),
            (None, _) => ("added", Vec::new()),
            (_, None) => ("removed", Vec::new()),
        };
        let is_same = change == "changed" && what.is_empty();
        (!is_same).then(|| FileChange {
            path: path.to_owned(),
            change,
            what,
            from: from.map(described),
            to: to.map(described),
        })
    });
    changes.collect()
}

fn differing(from: &FileEntry, to: &FileEntry) -> Vec<&'static str> {
    let parts = [
        ("kind", from.kind != to.kind),
        ("content", from.digest != to.digest),
        ("link", from.link != to.link),
        ("mode", from.mode != to.mode),
        ("owner", from.owner != to.owner),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}

fn described(file: &FileEntry) -> Value {
    let mut all = json!({
        "kind": file.kind.to_string(),
        "size": file.size,
        "mode": format!("{:04o}", file.mode),
        "owner": format!("{}:{}", file.owner.0, file.owner.1),
        "layer": file.layer,
    });
    if matches!(file.kind, EntryKind::Symlink | EntryKind::HardLink) {
        all["link"] = json!(file.link);
    }
    all
}

/// Compares what a container runs, and the fields about the image, without those that say which layers it has.
fn fields(from: &ImageConfig, to: &ImageConfig) -> Result<Vec<FieldChange>, Error> {
    let (from, to) = (flat(from)?, flat(to)?);
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let value = |side: &Map<String, Value>, key: &String| side.get(key).cloned().unwrap_or(Value::Null);
    let changes =
        keys.into_iter().map(|key| FieldChange { field: key.clone(), from: value(&from, key), to: value(&to, key) });
    Ok(changes.filter(|change| change.from != change.to).collect())
}

fn flat(config: &ImageConfig) -> Result<Map<String, Value>, Error> {
    let read = |error| Error::input("the configuration is not JSON").with_source(error);
    let mut all: Map<String, Value> = serde_json::from_slice(&config.to_bytes()?).map_err(read)?;
    all.retain(|key, _| key != "rootfs" && key != "history");
    if let Some(Value::Object(run)) = all.remove("config") {
        all.extend(run);
    }
    Ok(all)
}
