//! The commands, one per file.

mod annotation;
mod attest;
mod completion;
mod du;
mod edits;
mod export;
mod exporters;
mod images;
mod import;
mod inspect;
mod meant;
mod plugin;
mod prune;
mod rm;
mod save;
mod signals;
mod sources;
mod tag;
mod unpack;
mod verify;
mod work;
mod written;

pub(crate) use completion::completion;
pub(crate) use du::du;
pub(crate) use export::export;
pub(crate) use exporters::{exporters, exporters_page, sources, sources_page};
pub(crate) use images::images;
pub(crate) use import::import;
pub(crate) use inspect::inspect;
pub(crate) use plugin::plugin;
pub(crate) use prune::prune;
pub(crate) use rm::rm;
pub(crate) use save::save;
pub(crate) use tag::tag;
pub(crate) use unpack::unpack;
pub(crate) use verify::verify;
