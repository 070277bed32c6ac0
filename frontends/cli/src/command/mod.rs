//! The commands, one a file.

mod completion;
mod edits;
mod export;
mod exporters;
mod inspect;
mod signals;
mod verify;
mod written;

pub(crate) use completion::completion;
pub(crate) use export::export;
pub(crate) use exporters::{exporters, reference_page};
pub(crate) use inspect::inspect;
pub(crate) use verify::verify;
