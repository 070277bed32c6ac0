//! `longshore ls`.

use anyhow::Result;
use longshore_core::oci::ImageName;
use longshore_core::{Context, Error};
use longshore_distribution::Client;

use super::work;
use crate::args::{LsArgs, ProgressStyle};
use crate::stdout;

pub(crate) fn ls(args: &LsArgs, client: &Client) -> Result<()> {
    stdout::check()?;
    let text = args.repository.strip_prefix("docker://").unwrap_or(&args.repository);
    let name: ImageName = text.parse().attempt(|| format!("cannot list the tags of {text}"))?;
    if name.is_tagged() || name.digest().is_some() {
        let repository = format!("{}/{}", name.registry(), name.repository());
        let error = Error::option(format!("{text} is an image, and its repository lists tags"));
        return Err(error
            .with_hint(format!("write longshore ls {repository}, or longshore inspect docker://{text}"))
            .into());
    }
    let (_, work) = work::begin(ProgressStyle::Plain, None)?;
    let client = client.clone().with_insecure(args.insecure);
    if args.json {
        let mut tags = Vec::new();
        client.tags(&name, &work, &mut |tag| {
            tags.push(tag.to_owned());
            Ok(())
        })?;
        return Ok(stdout::print(serde_json::to_string_pretty(&tags)? + "\n")?);
    }
    Ok(client.tags(&name, &work, &mut |tag| stdout::print(format!("{tag}\n")))?)
}
