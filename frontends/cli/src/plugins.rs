//! Exporters and frontends that are programs of their own: only those that a command asks for are run.

use std::time::Duration;

use longshore_core::{Error, ExporterRegistry, FrontendRegistry, OutputSpec, Result, Source};
use longshore_external::host::{Found, Role};
use longshore_external::{Limits, Plugins};

use crate::args::{Command, PluginFlags};
use crate::stderr::say;

/// Seconds that a plugin may be silent.
const TIMEOUT: &str = "LONGSHORE_PLUGIN_TIMEOUT";

/// Adds the plugins that `command` asks for, or that it lists.
///
/// # Errors
/// A plugin that is asked for and does not say what it is.
pub(crate) fn add(
    exporters: ExporterRegistry,
    frontends: FrontendRegistry,
    command: &Command,
) -> Result<(ExporterRegistry, FrontendRegistry)> {
    let wanted = Wanted::of(command);
    let is_listing = wanted.all_exporters || wanted.all_frontends;
    let (plugins, flags) = (plugins(wanted.flags)?, wanted.flags);
    let mut adding = Adding { exporters, frontends, plugins, flags, is_listing };
    for kind in &wanted.kinds {
        adding.add(Role::Exporter, kind)?;
    }
    for scheme in &wanted.schemes {
        adding.add(Role::Frontend, scheme)?;
    }
    if wanted.all_exporters {
        adding.add_all(Role::Exporter);
    }
    if wanted.all_frontends {
        adding.add_all(Role::Frontend);
    }
    Ok((adding.exporters, adding.frontends))
}

/// What a command asks for.
#[derive(Debug, Default)]
struct Wanted {
    kinds: Vec<String>,
    schemes: Vec<String>,
    all_exporters: bool,
    all_frontends: bool,
    flags: PluginFlags,
}

impl Wanted {
    fn of(command: &Command) -> Self {
        // A text that cannot be read is an error of the command, which says where it is wrong.
        let schemes = |texts: &[String]| {
            let sources = texts.iter().filter_map(|text| Source::parse(text).ok());
            sources.map(|source| source.scheme).collect()
        };
        match command {
            Command::Export(args) => {
                let outputs = args.outputs.iter().filter_map(|text| OutputSpec::parse(text).ok().flatten());
                let kinds = outputs.map(|spec| spec.kind).collect();
                Self { kinds, schemes: schemes(&args.sources), flags: args.plugins, ..Self::default() }
            }
            Command::Save(args) => Self { schemes: schemes(std::slice::from_ref(&args.from)), ..Self::default() },
            Command::Inspect(args) => Self { schemes: schemes(std::slice::from_ref(&args.source)), ..Self::default() },
            Command::Verify(args) => Self { schemes: schemes(std::slice::from_ref(&args.source)), ..Self::default() },
            Command::Exporters(args) => {
                let kinds = args.kind.iter().cloned().collect();
                Self { kinds, all_exporters: args.kind.is_none(), ..Self::default() }
            }
            Command::Sources(args) => {
                let schemes = args.scheme.iter().map(|scheme| scheme.trim_end_matches(':').to_owned()).collect();
                Self { schemes, all_frontends: args.scheme.is_none(), ..Self::default() }
            }
            _ => Self::default(),
        }
    }
}

/// Returns a name as it is written.
fn word(role: Role, name: &str) -> String {
    match role {
        Role::Exporter => format!("type={name}"),
        Role::Frontend => format!("{name}:"),
    }
}

/// Returns the plugins of this machine.
fn plugins(flags: PluginFlags) -> Result<Plugins> {
    let mut limits = Limits::default();
    if let Some(text) = std::env::var_os(TIMEOUT) {
        let seconds = text.to_str().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
        let bad = || Error::option(format!("{TIMEOUT} is not a number of seconds: `{}`", text.to_string_lossy()));
        limits = limits.with_silence(Duration::from_secs(seconds.ok_or_else(bad)?));
    }
    Ok(Plugins::from_environment().with_limits(limits).with_credentials(flags.plugin_credentials))
}

struct Adding {
    exporters: ExporterRegistry,
    frontends: FrontendRegistry,
    plugins: Plugins,
    flags: PluginFlags,
    /// Whether the command shows what there is.
    is_listing: bool,
}

impl Adding {
    /// Adds the plugin for a type or a scheme that is not built in. Where there is none, all are added: an error names the
    /// nearest.
    fn add(&mut self, role: Role, name: &str) -> Result<()> {
        let is_there = self.has(role, name);
        if is_there && !self.flags.allow_shadow {
            return Ok(());
        }
        match self.plugins.find(role, name) {
            Some(found) => return self.put(role, &found),
            None if !is_there => self.add_all(role),
            None => {}
        }
        Ok(())
    }

    /// Adds all plugins that are not built in. One that does not say what it is is left out with a warning.
    fn add_all(&mut self, role: Role) {
        for found in self.plugins.all(role) {
            if self.has(role, &found.name) {
                if self.is_listing {
                    let (path, word) = (found.path.display(), word(role, &found.name));
                    say(&format!("warning: {path} is not used without --allow-shadow: {word} exists\n"));
                }
                continue;
            }
            if let Err(error) = self.put(role, &found) {
                say(&format!("warning: {} is left out: {}\n", found.path.display(), error.with_causes()));
            }
        }
    }

    fn has(&self, role: Role, name: &str) -> bool {
        match role {
            Role::Exporter => self.exporters.get(name).is_ok(),
            Role::Frontend => self.frontends.info(name).is_ok(),
        }
    }

    fn put(&mut self, role: Role, found: &Found) -> Result<()> {
        match role {
            Role::Exporter => {
                let exporter = self.plugins.exporter(found)?;
                self.exporters = std::mem::take(&mut self.exporters).replacing(exporter);
            }
            Role::Frontend => {
                let frontend = self.plugins.frontend(found)?;
                self.frontends = std::mem::take(&mut self.frontends).replacing(frontend);
            }
        }
        Ok(())
    }
}
