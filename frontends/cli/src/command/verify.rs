//! `longshore verify`.

use std::io::Write;

use anyhow::{Result, bail};
use longshore_core::image::{Graph, verify as verify_one};
use longshore_core::{Error, Existing, FrontendRegistry, Source, Work};
use serde_json::{Value, json};

use super::{inspect, work};
use crate::args::VerifyArgs;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn verify(args: &VerifyArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    let (display, work) = work::begin(args.progress.style(), None)?;
    let mut problems = 0;
    let mut all: Vec<Value> = Vec::new();
    for (image, existing) in inspect::open(&Source::parse(&args.source)?, root, frontends, &work)? {
        let found = verify_one(&existing, &work)?;
        let names = inspect::names(&image);
        let places = Places::of(&existing, &work);
        let named: Vec<String> = found.problems.iter().map(|problem| places.name(problem)).collect();
        problems += named.len();
        if args.json {
            all.push(json!({
                "names": names,
                "digest": existing.root.digest,
                "ok": named.is_empty(),
                "problems": named,
                "missing": found.missing,
                "leftOut": found.left_out,
            }));
            continue;
        }
        let mut out = Vec::new();
        if named.is_empty() {
            writeln!(out, "ok {} {}", existing.root.digest, names.join(" "))?;
        }
        for missing in found.missing.iter().chain(&found.left_out) {
            writeln!(out, "{}", inspect::not_there(missing))?;
        }
        for problem in &named {
            match names.first() {
                Some(name) => writeln!(out, "{name}: {problem}")?,
                None => writeln!(out, "{problem}")?,
            }
        }
        stdout::print(out)?;
    }
    display.finish();
    if args.json {
        stdout::print(serde_json::to_string_pretty(&all)? + "\n")?;
    }
    if problems > 0 {
        bail!("{}: {}", args.source, inspect::text::counted(problems as u64, "problem", "problems"));
    }
    Ok(())
}

/// Where the layers of an image are, by digest.
struct Places(Vec<(String, String)>);

impl Places {
    /// What cannot be read has no place: it is a problem of its own.
    fn of(existing: &Existing, work: &Work) -> Self {
        let mut places = Vec::new();
        let graph = Graph::of(existing, work);
        let mut read = || -> Result<(), Error> {
            for listed in graph.listed()? {
                let Ok(entry) = graph.entry(&listed) else { continue };
                let of = entry.manifest.layers.len();
                let platform = entry.platform().map(|platform| format!(" of {platform}")).unwrap_or_default();
                for (at, layer) in entry.manifest.layers.iter().enumerate() {
                    places.push((layer.digest.to_string(), format!("layer {} of {of}{platform}", at + 1)));
                }
            }
            Ok(())
        };
        // Verification reports why.
        let _ = read();
        Self(places)
    }

    /// Adds to a problem which layer it is about.
    fn name(&self, problem: &str) -> String {
        match self.0.iter().find(|(digest, _)| problem.contains(digest)) {
            Some((_, place)) => format!("{problem} ({place})"),
            None => problem.to_owned(),
        }
    }
}
