//! `longshore import`.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Result;
use longshore_core::{Context, Error};
use longshore_frontend_archive::{Import, ImportName, Imported};

use super::{inspect, work};
use crate::args::ImportArgs;
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn import(args: &ImportArgs, root: &StoreRoot) -> Result<()> {
    let name =
        args.name.as_deref().map(str::parse::<ImportName>).transpose().attempt(|| "invalid --name".to_owned())?;
    let path = args.input.as_ref().unwrap_or(&args.path);
    let (display, work) = work::begin(args.progress.style(), None)?;
    let source = Opened::new(path).attempt(|| format!("cannot import {}", shown(path)))?;
    let store = root.open()?;
    let import = Import { store: store.as_ref(), name: name.as_ref(), work: &work };
    let imported = match source {
        Opened::Directory => import.directory(path),
        Opened::Archive(file) => import.archive(file),
        Opened::Stdin => import.archive(io::stdin()),
    };
    display.finish();
    print(&imported.attempt(|| format!("cannot import {}", shown(path)))?)?;
    Ok(())
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// The source of the import, opened before a store is created for it.
enum Opened {
    Directory,
    Archive(File),
    Stdin,
}

impl Opened {
    fn new(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            if io::stdin().is_terminal() {
                return Err(Error::option("it is a terminal").with_hint("pipe an archive into it"));
            }
            return Ok(Self::Stdin);
        }
        let file = File::open(path)?;
        Ok(if file.metadata()?.is_dir() { Self::Directory } else { Self::Archive(file) })
    }
}

fn print(imported: &[Imported]) -> Result<()> {
    let mut out = Vec::new();
    for Imported { name, image, moved, missing } in imported {
        let digest = &image.root.digest;
        match moved {
            Some(before) => writeln!(out, "{name} {digest} (was {})", before.root.digest)?,
            None => writeln!(out, "{name} {digest}")?,
        }
        for missing in missing {
            writeln!(out, "  {}", inspect::not_there(missing))?;
        }
    }
    Ok(stdout::print(out)?)
}
