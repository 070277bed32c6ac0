//! The sources of a command, and the flags that are options of sources.

use longshore_core::compose::SourceImages;
use longshore_core::oci::Platform;
use longshore_core::options::{Attrs, Value, list_value};
use longshore_core::{
    Error, FrontendContext, FrontendInstance, FrontendRegistry, Result, SchemeInfo, Source, Work, split_reference,
};

use super::meant;
use crate::store_root::StoreRoot;

/// A flag that gives an option to every source.
#[derive(Debug, Clone)]
pub(super) struct Flag {
    /// The flag, such as `--owner`.
    name: &'static str,
    /// The option that it sets.
    key: &'static str,
    value: String,
    /// Whether it also applies to `--layer`.
    for_layers: bool,
    /// Whether it extends a list given in the source, instead of being overridden by it.
    adds: bool,
}

impl Flag {
    /// `--owner UID:GID`.
    pub(super) fn owner(text: &str) -> Self {
        Self { name: "--owner", key: "owner", value: text.to_owned(), for_layers: true, adds: false }
    }

    /// `--exclude PATTERN`, given once or several times.
    pub(super) fn exclude(patterns: &[String]) -> Self {
        Self { name: "--exclude", key: "exclude", value: list_value(patterns), for_layers: true, adds: true }
    }

    /// `--referrers`.
    pub(super) fn referrers() -> Self {
        Self { name: "--referrers", key: "referrers", value: "true".to_owned(), for_layers: false, adds: false }
    }
}

/// Returns the options that flags set on `--layer`.
pub(super) fn layer_attrs(flags: &[Flag]) -> Attrs {
    flags.iter().filter(|flag| flag.for_layers).map(|flag| (flag.key, flag.value.as_str())).collect()
}

/// A checked source of a command.
#[derive(Debug)]
pub(super) struct Requested {
    /// The source as written.
    text: String,
    platform: Option<Platform>,
    instance: Box<dyn FrontendInstance>,
}

/// Parses and checks sources, with the options set by flags. Nothing is opened.
///
/// With `has_layers`, a flag that applies to layers need not be an option of each source.
pub(super) fn resolve(
    texts: &[String],
    flags: &[Flag],
    has_layers: bool,
    frontends: &FrontendRegistry,
) -> Result<Vec<Requested>> {
    let mut reads_stdin = false;
    let mut resolve = |text: &String| {
        let mut source = Source::parse(text)?;
        let info = frontends.info(&source.scheme).map_err(|error| meant::source(text, error))?;
        if split_reference(&source.value).0 == "-" && std::mem::replace(&mut reads_stdin, true) {
            return Err(Error::option("standard input can be read once, and two sources are `-`"));
        }
        for flag in flags {
            if info.has_option(flag.key) {
                give(&mut source.attrs, flag)?;
            } else if !(flag.for_layers && has_layers) {
                return Err(no_effect(flag, &info, frontends));
            }
        }
        let instance = frontends.resolve_whole(&source)?;
        Ok(Requested { text: text.clone(), platform: source.platform, instance })
    };
    texts.iter().map(&mut resolve).collect()
}

/// Sets an option on a source. The source's own value comes last, and so wins.
fn give(attrs: &mut Attrs, flag: &Flag) -> Result<()> {
    let own = attrs.take(flag.key);
    let value = match &own {
        Some(own) if flag.adds => {
            let items = [Vec::<String>::parse(&flag.value)?, Vec::<String>::parse(&own.value)?].concat();
            list_value(&items)
        }
        Some(own) => own.value.clone(),
        None => flag.value.clone(),
    };
    attrs.insert(flag.key, value, own.and_then(|own| own.column));
    Ok(())
}

fn no_effect(flag: &Flag, info: &SchemeInfo, frontends: &FrontendRegistry) -> Error {
    let having: Vec<String> = frontends
        .infos()
        .iter()
        .filter(|info| info.has_option(flag.key))
        .map(|info| format!("`{}:`", info.scheme))
        .collect();
    let what = if flag.for_layers { " or for --layer" } else { "" };
    let having = having.join(", ");
    Error::option(format!("{} has no effect on a source `{}:`", flag.name, info.scheme)).with_hint(format!(
        "it applies to {having}{what}; to set it for some of the sources, add `,{}=…` to them",
        flag.key
    ))
}

/// Builds each source.
pub(super) fn build(sources: &[Requested], cx: &FrontendContext<'_>) -> Result<Vec<SourceImages>> {
    let build = |Requested { text, platform, instance }: &Requested| {
        Ok(SourceImages::new(text.as_str(), instance.build(cx)?).with_platform(platform.clone()))
    };
    sources.iter().map(build).collect()
}

/// Returns the context for frontends: images are read from the store of `root`, if it exists.
pub(super) fn context<'a>(frontends: &'a FrontendRegistry, root: &StoreRoot, work: &Work) -> FrontendContext<'a> {
    let root = root.clone();
    FrontendContext::new(frontends, work.clone()).with_images(move || root.existing())
}
