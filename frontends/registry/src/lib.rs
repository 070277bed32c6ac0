#![doc = include_str!("../README.md")]

use std::sync::Arc;

use longshore_core::image::Graph;
use longshore_core::oci::{Descriptor, ImageName};
use longshore_core::{
    Error, Existing, Frontend, FrontendContext, Image, ImageContent, Result, SchemeInfo, Source, Work,
};
use longshore_distribution::{Client, PullRepository};

/// The frontend of `docker://NAME`.
#[derive(Debug, Clone)]
pub struct RegistryFrontend {
    client: Client,
}

/// Referrers of referrers of …: a signature of an SBOM is two.
const DEPTH: usize = 4;
/// More than anyone attaches to an image.
const REFERRERS: usize = 1000;

impl RegistryFrontend {
    /// Reads with `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Frontend for RegistryFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        vec![SchemeInfo {
            scheme: "docker".into(),
            syntax: "docker://NAME[:TAG][@DIGEST]".into(),
            summary: "an image in a registry".into(),
            image_store: false,
        }]
    }

    fn open(&self, source: &Source, cx: &FrontendContext) -> Result<Vec<Image>> {
        let name = source.value.strip_prefix("//").filter(|name| !name.is_empty()).ok_or_else(|| {
            Error::option(format!("`docker:{}` is not an image in a registry", source.value.escape_debug()))
                .with_hint("write docker://REGISTRY/REPOSITORY:TAG")
        })?;
        let name: ImageName = name.parse()?;
        let repository = self.client.repository(&name, cx.work.clone())?;
        let reference = name.digest().or_else(|| name.tag()).unwrap_or("latest");
        let root = repository.resolve(reference).map_err(|error| error.context(format!("cannot read {name}")))?;
        let referrers = if cx.referrers { referrers(&repository, &root, &cx.work)? } else { Vec::new() };
        let existing = Existing { root, referrers, provider: Arc::new(repository) };
        Ok(vec![Image { names: vec![name], ..Image::new(ImageContent::Existing(existing)) }])
    }
}

/// What refers to an image, to the images of its platforms, and to what refers to them; each once, and after
/// what it refers to.
fn referrers(repository: &PullRepository, root: &Descriptor, work: &Work) -> Result<Vec<Descriptor>> {
    let mut subjects = vec![root.clone()];
    if root.media_type.is_index() {
        subjects.extend(Graph::at(root, repository, work).listed()?);
    }
    let mut found: Vec<Descriptor> = Vec::new();
    for _ in 0..DEPTH {
        let mut new = Vec::new();
        for subject in &subjects {
            for referrer in repository.referrers(&subject.digest)? {
                let is_known = |known: &Descriptor| known.digest == referrer.digest;
                if !found.iter().chain(&new).any(is_known) {
                    new.push(referrer);
                }
            }
        }
        if found.len() + new.len() > REFERRERS {
            return Err(Error::input(format!("more than {REFERRERS} manifests refer to {}", root.digest)));
        }
        found.extend(new.iter().cloned());
        subjects = new;
    }
    Ok(found)
}
