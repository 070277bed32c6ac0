#![doc = include_str!("../README.md")]

use longshore_containerd::{Address, ContainerdStore};
use longshore_core::image::stored_images;
use longshore_core::options::{Options, Visitor, parse_of_source};
use longshore_core::{Context, Error, Frontend, FrontendContext, FrontendInstance, Image, Result, SchemeInfo, Source};

const SCHEME: &str = "containerd";

/// The frontend of `containerd:NAME`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContainerdFrontend;

#[derive(Debug, Clone, Default)]
struct ContainerdOptions {
    namespace: Option<String>,
    socket: Option<String>,
    all_tags: Option<bool>,
    referrers: Option<bool>,
}

impl Options for ContainerdOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        let help = "Namespace of the image";
        visitor.option("namespace", help, "$CONTAINERD_NAMESPACE, else default", &mut self.namespace)?;
        let default = "$CONTAINERD_ADDRESS, else /run/containerd/containerd.sock";
        visitor.option("socket", "Socket of containerd", default, &mut self.socket)?;
        visitor.option("all-tags", "Select every tag of a NAME without a tag", "false", &mut self.all_tags)?;
        let help = "Include referrers of the image, such as signatures and SBOMs";
        visitor.option("referrers", help, "true", &mut self.referrers)
    }
}

impl ContainerdOptions {
    fn address(&self) -> Result<Address> {
        let mut address = Address::from_environment()?;
        if let Some(socket) = &self.socket {
            address = address.with_socket(socket)?;
        }
        match &self.namespace {
            Some(namespace) => address.with_namespace(namespace),
            None => Ok(address),
        }
    }
}

impl Frontend for ContainerdFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let options = &mut ContainerdOptions::default();
        vec![SchemeInfo::new(SCHEME, "containerd:NAME", "an image in containerd", options).with_selection()]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        if source.value.is_empty() {
            return Err(Error::option("`containerd:` without a name").with_hint("`ctr images ls` lists the names"));
        }
        let options: ContainerdOptions = parse_of_source(SCHEME, &source.attrs)?;
        Ok(Box::new(Named {
            reference: source.value.clone(),
            address: options.address()?,
            all_tags: options.all_tags == Some(true),
            referrers: options.referrers != Some(false),
        }))
    }
}

#[derive(Debug)]
struct Named {
    reference: String,
    address: Address,
    all_tags: bool,
    referrers: bool,
}

impl FrontendInstance for Named {
    fn build(&self, _: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let build = || {
            let store = ContainerdStore::open_existing(&self.address)?;
            stored_images(&store, &self.reference, self.all_tags, self.referrers)
        };
        build().attempt(|| format!("cannot read containerd:{}", self.reference))
    }
}
