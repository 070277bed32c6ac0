//! Where an exporter or a frontend comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use longshore_core::{ExporterRegistry, FrontendRegistry};

/// Where an exporter or a frontend comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `longshore` has it.
    BuiltIn,
    /// This program adds it.
    Linked,
    /// It is a program of its own.
    Plugin(PathBuf),
}

impl Origin {
    /// Returns the word for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Linked => "linked",
            Self::Plugin(_) => "plugin",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Linked => f.write_str("linked into this program"),
            Self::Plugin(path) => write!(f, "plugin {}", path.display()),
        }
    }
}

/// The types and schemes that `longshore` has.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    kinds: Vec<String>,
    schemes: Vec<String>,
}

impl BuiltIn {
    /// Returns those of the registries before anything was added.
    pub(crate) fn of(exporters: &ExporterRegistry, frontends: &FrontendRegistry) -> Self {
        Self {
            kinds: exporters.infos().map(|info| info.kind.into_owned()).collect(),
            schemes: frontends.infos().into_iter().map(|info| info.scheme.into_owned()).collect(),
        }
    }

    /// Returns where an exporter comes from, by its type and its program.
    pub(crate) fn exporter(&self, kind: &str, program: Option<&Path>) -> Origin {
        origin(&self.kinds, kind, program)
    }

    /// Returns where a frontend comes from, by its scheme and its program.
    pub(crate) fn frontend(&self, scheme: &str, program: Option<&Path>) -> Origin {
        origin(&self.schemes, scheme, program)
    }
}

fn origin(built_in: &[String], name: &str, program: Option<&Path>) -> Origin {
    match program {
        Some(program) => Origin::Plugin(program.to_owned()),
        None if built_in.iter().any(|known| known == name) => Origin::BuiltIn,
        None => Origin::Linked,
    }
}
