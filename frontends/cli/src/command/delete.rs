//! `longshore delete`.

use std::io::{self, BufRead, IsTerminal};

use anyhow::Result;
use longshore_core::oci::ImageName;
use longshore_core::{Context, Error};
use longshore_distribution::Client;

use super::work;
use crate::args::{DeleteArgs, ProgressStyle};
use crate::stderr::say;
use crate::stdout;

pub(crate) fn delete(args: &DeleteArgs, client: &Client) -> Result<()> {
    let names = args.images.iter().map(|text| name(text)).collect::<Result<Vec<_>, Error>>()?;
    if !args.yes {
        confirm(&names)?;
    }
    let (_, work) = work::begin(ProgressStyle::Plain, None)?;
    let client = client.clone().with_insecure(args.insecure);
    for name in &names {
        let digest = client.delete(name, &work)?;
        stdout::print(format!("deleted {name} {digest}\n"))?;
    }
    Ok(())
}

fn name(text: &str) -> Result<ImageName, Error> {
    let Some(name) = text.strip_prefix("docker://") else {
        let error = Error::option(format!("`{}` is not an image in a registry", text.escape_debug()));
        let name = text.strip_prefix("image:").unwrap_or(text);
        return Err(error
            .with_hint(format!("write docker://{name}; `longshore rm {name}` removes the name from the image store")));
    };
    let parsed: ImageName = name.parse().attempt(|| format!("cannot delete {text}"))?;
    if !parsed.is_tagged() && parsed.digest().is_none() {
        return Err(Error::option(format!("{text} has no tag"))
            .with_hint(format!("write docker://{name}:latest if that is meant")));
    }
    Ok(parsed)
}

/// Asks on the terminal.
fn confirm(names: &[ImageName]) -> Result<(), Error> {
    if !io::stdin().is_terminal() {
        let error = Error::option("images in registries cannot be restored, and nobody is here to be asked");
        return Err(error.with_hint("add --yes"));
    }
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    say(&format!("Delete {}, with all tags of the same digest? [y/N] ", names.join(", ")));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::option("nothing was deleted")),
    }
}
