//! The commands, one a file.

mod completion;
mod edits;
mod export;
mod exporters;
mod written;

pub(crate) use completion::completion;
pub(crate) use export::export;
pub(crate) use exporters::{exporters, reference_page};
