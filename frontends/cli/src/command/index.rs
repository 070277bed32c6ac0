//! `longshore index create`: an export of sources that are prefixed with their platforms.

use anyhow::Result;
use longshore_core::image::Graph;
use longshore_core::{Error, ErrorKind, ExporterRegistry, FrontendRegistry, Source};
use longshore_distribution::Client;

use super::words::{Words, destination};
use super::{export::export, inspect, work};
use crate::args::{IndexArgs, IndexCommand, IndexCreateArgs, ProgressStyle};
use crate::store_root::StoreRoot;

pub(crate) fn index(
    args: &IndexArgs,
    root: &StoreRoot,
    exporters: &ExporterRegistry,
    frontends: &FrontendRegistry,
    client: &Client,
) -> Result<()> {
    let IndexCommand::Create(args) = &args.command;
    export(&words(args, root, frontends)?.export()?, root, exporters, frontends, client)
}

fn words(args: &IndexCreateArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<Words, Error> {
    let mut words = Words::new(args.progress);
    // A name alone is one in the image store, where images are made.
    let to = if args.to.contains("://") || frontends.info(args.to.split(':').next().unwrap_or_default()).is_ok() {
        args.to.clone()
    } else {
        format!("image:{}", args.to)
    };
    words.output(&destination(&to, args.insecure)?);
    let (_, work) = work::begin(ProgressStyle::Quiet, None)?;
    for text in &args.sources {
        let source = Source::parse(text)?;
        if source.platform.is_some() {
            words.source(text);
            continue;
        }
        for (_, existing) in inspect::open(&source, root, frontends, &work)? {
            let entries = Graph::of(&existing, &work).entries()?;
            if let Some(missing) = entries.missing.first() {
                let message = format!("{text} lists manifest {}, which is missing", missing.digest);
                return Err(Error::new(ErrorKind::NotFound, message)
                    .with_hint("name its platforms: PLATFORM=SOURCE for each that is there"));
            }
            let images = entries.present.iter().filter(|entry| entry.is_image());
            let platforms: Vec<_> = images.filter_map(|entry| entry.platform()).collect();
            if platforms.is_empty() {
                return Err(Error::input(format!("{text} has no image for a platform")));
            }
            platforms.iter().for_each(|platform| words.source(prefixed(text, &platform.to_string())));
        }
    }
    Ok(words)
}

/// Puts a platform before a source, which may be quoted.
fn prefixed(text: &str, platform: &str) -> String {
    match text.strip_prefix('"') {
        Some(rest) => format!("\"{platform}={rest}"),
        None => format!("{platform}={text}"),
    }
}
