//! The options of `type=image`.

use longshore_core::image::{ImageOptions, Push, PushOptions};
use longshore_core::oci::{Digest, ImageName};
use longshore_core::options::{Options, Visitor};
use longshore_core::{BuildResult, Error, ExportContext, Result, Run};

/// The options of `type=image`; checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    pub(crate) image: ImageOptions,
    store: Option<bool>,
    name_canonical: Option<bool>,
    dangling_name_prefix: Option<String>,
    dangling_name_empty_only: Option<bool>,
    /// BuildKit's key, which lacks a letter.
    danging_name_empty_only: Option<bool>,
    unpack: Option<bool>,
    is_pushed: Option<bool>,
    pub(crate) push: PushOptions,
}

impl Options for StoreOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.image.visit_inline(visitor)?;
        visitor.option("store", "Keep the image in the image store", "true", &mut self.store)?;
        visitor.option(
            "name-canonical",
            "Also name the image NAME@DIGEST, for each name without a digest",
            "false",
            &mut self.name_canonical,
        )?;
        visitor.option(
            "dangling-name-prefix",
            "Also name the image PREFIX@DIGEST",
            "none",
            &mut self.dangling_name_prefix,
        )?;
        let only = "Add PREFIX@DIGEST only to an image without other names";
        visitor.option("dangling-name-empty-only", only, "false", &mut self.dangling_name_empty_only)?;
        let as_buildkit = "Same as dangling-name-empty-only, as BuildKit spells it";
        visitor.option("danging-name-empty-only", as_buildkit, "false", &mut self.danging_name_empty_only)?;
        visitor.option("unpack", "Also unpack the layers for this machine", "false", &mut self.unpack)?;
        visitor.option("push", "Also push the image under its names", "false", &mut self.is_pushed)?;
        self.push.visit(visitor)
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()?;
        if let Some(prefix) = &self.dangling_name_prefix {
            dangling_name(prefix, &Digest::of(b"")).map_err(|_| {
                Error::option(format!("dangling-name-prefix: `{}` cannot be a name", prefix.escape_debug()))
            })?;
        }
        if let (Some(one), Some(other)) = (self.dangling_name_empty_only, self.danging_name_empty_only)
            && one != other
        {
            return Err(Error::option("dangling-name-empty-only and danging-name-empty-only contradict each other")
                .with_hint("give only one of them"));
        }
        if self.is_dangling_only_when_empty() && self.dangling_name_prefix.is_none() {
            return Err(Error::option("dangling-name-empty-only without a prefix does nothing")
                .with_hint("add dangling-name-prefix=PREFIX"));
        }
        if !self.is_stored() && self.is_unpacked() {
            return Err(Error::option("unpack=true needs the image store").with_hint("leave out store=false"));
        }
        if self.is_unpacked() && !self.image.has_names() && self.dangling_name_prefix.is_none() {
            return Err(Error::option("unpack=true without a name would keep nothing").with_hint("add name=NAME"));
        }
        if !self.is_stored() && !self.is_pushed() {
            return Err(
                Error::option("store=false without push=true exports nothing").with_hint("leave out store=false")
            );
        }
        self.check_push()?;
        Ok(())
    }
}

impl StoreOptions {
    /// Returns whether the image goes into the image store.
    pub(crate) fn is_stored(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// Returns whether the layers are unpacked.
    pub(crate) fn is_unpacked(&self) -> bool {
        self.unpack.unwrap_or(false)
    }

    /// Returns whether the image is pushed.
    pub(crate) fn is_pushed(&self) -> bool {
        self.is_pushed.unwrap_or(false)
    }

    /// Opens the repositories to which the images of `result` are pushed; `None` if they are not pushed.
    ///
    /// # Errors
    /// As [`Push::open`].
    pub(crate) fn open_push<'a>(&'a self, result: &BuildResult, cx: &'a ExportContext<'a>) -> Result<Option<Push<'a>>> {
        self.is_pushed().then(|| Push::open(result, &self.image, &self.push, cx)).transpose()
    }

    /// Returns `run` with the abilities of the outlet of the push, if any.
    ///
    /// # Errors
    /// As [`ImageOptions::names`].
    pub(crate) fn run(&self, result: &BuildResult, run: Run) -> Result<Run> {
        if self.is_pushed() { self.push.run(&self.image, result, run) } else { Ok(run) }
    }

    /// Checks the images to be pushed, once they are known.
    ///
    /// # Errors
    /// As [`PushOptions::check_result`].
    pub(crate) fn check_result(&self, result: &BuildResult) -> Result<()> {
        if self.is_pushed() { self.push.check_result(&self.image, result) } else { Ok(()) }
    }

    /// Returns all names of an image with `digest` and the given `names`.
    ///
    /// # Errors
    /// A name that becomes invalid with the digest.
    pub(crate) fn all_names(&self, names: &[ImageName], digest: &Digest) -> Result<Vec<ImageName>> {
        let mut all = names.to_vec();
        if let Some(prefix) = &self.dangling_name_prefix
            && (names.is_empty() || !self.is_dangling_only_when_empty())
        {
            all.push(dangling_name(prefix, digest)?);
        }
        if self.name_canonical == Some(true) {
            let canonical = names.iter().filter(|name| name.digest().is_none());
            let canonical: Vec<ImageName> =
                canonical.map(|name| format!("{name}@{digest}").parse()).collect::<Result<_>>()?;
            all.extend(canonical);
        }
        Ok(all)
    }

    fn check_push(&self) -> Result<()> {
        match self.push.first_set() {
            Some(key) if !self.is_pushed() => {
                Err(Error::option(format!("{key}=true without push=true does nothing")).with_hint("add push=true"))
            }
            Some("push-streaming") if self.is_stored() => Err(Error::option(
                "push-streaming=true sends layers without keeping them, but the image store keeps them",
            )
            .with_hint("add store=false, or use type=registry")),
            _ if self.is_pushed() => self.push.check(&self.image),
            _ => Ok(()),
        }
    }

    fn is_dangling_only_when_empty(&self) -> bool {
        self.dangling_name_empty_only.or(self.danging_name_empty_only) == Some(true)
    }
}

fn dangling_name(prefix: &str, digest: &Digest) -> Result<ImageName> {
    format!("{prefix}@{digest}").parse()
}
