#![doc = include_str!("../README.md")]

use longshore_core::image::stored_images;
use longshore_core::options::{Options, Visitor, parse_of_source};
use longshore_core::{Context, Error, Frontend, FrontendContext, FrontendInstance, Image, Result, SchemeInfo, Source};

const SCHEME: &str = "image";

/// The frontend of `image:NAME`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreFrontend;

#[derive(Debug, Clone, Default)]
struct StoreOptions {
    all_tags: Option<bool>,
    referrers: Option<bool>,
}

impl Options for StoreOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("all-tags", "Select every tag of a NAME without a tag", "false", &mut self.all_tags)?;
        let help = "Include referrers of the image, such as signatures and SBOMs";
        visitor.option("referrers", help, "true", &mut self.referrers)
    }
}

impl Frontend for StoreFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let info = SchemeInfo::new(SCHEME, "image:NAME", "an image in the image store", &mut StoreOptions::default());
        vec![info.with_selection()]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        if source.value.is_empty() {
            return Err(Error::option("`image:` without a name").with_hint("`longshore images` lists the names"));
        }
        let options: StoreOptions = parse_of_source(SCHEME, &source.attrs)?;
        let all_tags = options.all_tags == Some(true);
        Ok(Box::new(Named { reference: source.value.clone(), all_tags, referrers: options.referrers != Some(false) }))
    }
}

#[derive(Debug)]
struct Named {
    reference: String,
    all_tags: bool,
    referrers: bool,
}

impl FrontendInstance for Named {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let reference = &self.reference;
        let store = cx.images().attempt(|| format!("cannot read image:{reference}"))?;
        stored_images(store.as_ref(), reference, self.all_tags, self.referrers)
    }
}
