#![doc = include_str!("../README.md")]

use std::sync::Arc;

use longshore_core::image::Graph;
use longshore_core::oci::{Descriptor, ImageName};
use longshore_core::options::{Options, Visitor, parse_of_source};
use longshore_core::{
    Error, Existing, Frontend, FrontendContext, FrontendInstance, Image, ImageContent, Result, SchemeInfo, Source, Work,
};
use longshore_distribution::{Client, PullRepository};

/// The frontend of `docker://NAME`.
#[derive(Debug, Clone)]
pub struct RegistryFrontend {
    client: Client,
}

const SCHEME: &str = "docker";
/// The depth of referrers of referrers: a signature of an SBOM has depth two.
const DEPTH: usize = 4;
/// More than anyone attaches to an image.
const REFERRERS: usize = 1000;

impl RegistryFrontend {
    /// Reads with `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[derive(Debug, Clone, Default)]
struct RegistrySourceOptions {
    referrers: Option<bool>,
    insecure: Option<bool>,
}

impl Options for RegistrySourceOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        let help = "Include referrers of the image, such as signatures and SBOMs";
        visitor.option("referrers", help, "false", &mut self.referrers)?;
        let help = "Allow plain HTTP, and certificates that are not trusted";
        visitor.option("insecure", help, "false", &mut self.insecure)
    }
}

impl Frontend for RegistryFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let syntax = "docker://NAME[:TAG][@DIGEST]";
        vec![
            SchemeInfo::new(SCHEME, syntax, "an image in a registry", &mut RegistrySourceOptions::default())
                .with_selection(),
        ]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let name = source.value.strip_prefix("//").filter(|name| !name.is_empty()).ok_or_else(|| {
            Error::option(format!("`docker:{}` is not an image in a registry", source.value.escape_debug()))
                .with_hint("write docker://REGISTRY/REPOSITORY:TAG")
        })?;
        let options: RegistrySourceOptions = parse_of_source(SCHEME, &source.attrs)?;
        let referrers = options.referrers == Some(true);
        let is_insecure = options.insecure == Some(true);
        Ok(Box::new(Remote { client: self.client.clone(), name: name.parse()?, referrers, is_insecure }))
    }
}

#[derive(Debug)]
struct Remote {
    client: Client,
    name: ImageName,
    referrers: bool,
    is_insecure: bool,
}

impl FrontendInstance for Remote {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let name = &self.name;
        let client = self.client.clone().with_insecure(self.is_insecure);
        let repository = client.repository(name, cx.work().clone())?;
        let reference = name.digest().or_else(|| name.tag()).unwrap_or("latest");
        let root = repository.resolve(reference).map_err(|error| error.context(format!("cannot read {name}")))?;
        let referrers = if self.referrers { referrers(&repository, &root, cx.work())? } else { Vec::new() };
        let existing = Existing::new(root, Arc::new(repository)).with_referrers(referrers);
        Ok(vec![Image::new(ImageContent::Existing(existing)).with_names(vec![name.clone()])])
    }
}

/// Returns the referrers of an image, of its platforms' images, and of those referrers; each once, and after its
/// subject.
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
