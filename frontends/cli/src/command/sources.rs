//! The sources of a command, and the flags that are options of sources.

use longshore_core::oci::Platform;
use longshore_core::options::{Attrs, Value, list_value};
use longshore_core::{
    Error, FrontendContext, FrontendInstance, FrontendRegistry, Image, Result, SchemeInfo, Source, Work,
};

use crate::store_root::StoreRoot;

/// A flag that gives an option to every source.
#[derive(Debug, Clone)]
pub(super) struct Flag {
    /// The flag, such as `--owner`.
    name: &'static str,
    /// The option that it gives.
    key: &'static str,
    value: String,
    /// Whether `--layer` takes it, too.
    for_layers: bool,
}

impl Flag {
    /// `--owner UID:GID`.
    pub(super) fn owner(text: &str) -> Self {
        Self { name: "--owner", key: "owner", value: text.to_owned(), for_layers: true }
    }

    /// `--exclude PATTERN`, once or several times.
    pub(super) fn exclude(patterns: &[String]) -> Self {
        Self { name: "--exclude", key: "exclude", value: list_value(patterns), for_layers: true }
    }

    /// `--all`.
    pub(super) fn referrers() -> Self {
        Self { name: "--all", key: "referrers", value: "true".to_owned(), for_layers: false }
    }
}

/// Returns the options that flags give to `--layer`.
pub(super) fn layer_attrs(flags: &[Flag]) -> Attrs {
    flags.iter().filter(|flag| flag.for_layers).map(|flag| (flag.key, flag.value.as_str())).collect()
}

/// A source of a command, checked.
#[derive(Debug)]
pub(super) struct Requested {
    platform: Option<Platform>,
    instance: Box<dyn FrontendInstance>,
}

/// Reads and checks sources, with the options that flags give them. Nothing is opened.
///
/// With `has_layers`, a flag that layers take need not be an option of each source.
pub(super) fn resolve(
    texts: &[String],
    flags: &[Flag],
    has_layers: bool,
    frontends: &FrontendRegistry,
) -> Result<Vec<Requested>> {
    let resolve = |text: &String| {
        let mut source = Source::parse(text)?;
        let info = frontends.info(&source.scheme)?;
        for flag in flags {
            if info.has_option(flag.key) {
                give(&mut source.attrs, flag)?;
            } else if !(flag.for_layers && has_layers) {
                return Err(no_effect(flag, &info, frontends));
            }
        }
        Ok(Requested { platform: source.platform.clone(), instance: frontends.resolve(&source)? })
    };
    texts.iter().map(resolve).collect()
}

/// Gives an option to a source. What the source says itself counts, but lists are joined.
fn give(attrs: &mut Attrs, flag: &Flag) -> Result<()> {
    let own = attrs.take(flag.key);
    let value = match &own {
        Some(own) if flag.key == "exclude" => {
            let items = [Vec::<String>::parse(&own.value)?, Vec::<String>::parse(&flag.value)?].concat();
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
    Error::option(format!("{} has no effect on a source `{}:`", flag.name, info.scheme)).with_hint(format!(
        "it applies to {}{what}; to set it for a single source, write SOURCE,{}={}",
        having.join(", "),
        flag.key,
        flag.value
    ))
}

/// Builds each source; returns its images beside the platform that they are for.
pub(super) fn build(sources: &[Requested], cx: &FrontendContext<'_>) -> Result<Vec<(Option<Platform>, Vec<Image>)>> {
    sources.iter().map(|source| Ok((source.platform.clone(), source.instance.build(cx)?))).collect()
}

/// Returns the context for frontends: images are read from the store of `root`, if it exists.
pub(super) fn context<'a>(frontends: &'a FrontendRegistry, root: &StoreRoot, work: &Work) -> FrontendContext<'a> {
    let root = root.clone();
    FrontendContext::new(frontends, work.clone()).with_images(move || root.existing().map(Some))
}
