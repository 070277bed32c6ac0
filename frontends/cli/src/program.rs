//! `longshore` as a program, with additions of others.

use std::process::ExitCode;

use longshore_core::content::{StoreKind, StoreRegistry};
use longshore_core::{Exporter, ExporterRegistry, Frontend, FrontendRegistry};
use longshore_distribution::{Client, ClientOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::{self, Command};
use crate::store_root::StoreRoot;
use crate::{builtin, command, exit_code, plugins, report, stdout};

/// The command line, with the exporters, frontends and kinds of image stores that it offers.
#[derive(Debug)]
pub struct Program {
    exporters: ExporterRegistry,
    frontends: FrontendRegistry,
    stores: StoreRegistry,
    client: Client,
}

impl Program {
    /// Returns a program with every exporter, frontend and kind of image store of `longshore`.
    pub fn builtin() -> Self {
        let client = Client::new(ClientOptions::default());
        let frontends = builtin::frontends(&client);
        Self { exporters: builtin::exporters(), frontends, stores: builtin::stores(), client }
    }

    /// Adds an exporter.
    ///
    /// # Panics
    /// If another exporter has the same type.
    #[must_use]
    pub fn exporter(self, exporter: impl Exporter + 'static) -> Self {
        Self { exporters: self.exporters.with(exporter), ..self }
    }

    /// Adds a frontend.
    ///
    /// # Panics
    /// If another frontend reads one of its schemes.
    #[must_use]
    pub fn frontend(self, frontend: impl Frontend + 'static) -> Self {
        Self { frontends: self.frontends.with(frontend), ..self }
    }

    /// Adds a kind of image store.
    ///
    /// # Panics
    /// If another kind has the same scheme.
    #[must_use]
    pub fn store(self, kind: impl StoreKind + 'static) -> Self {
        Self { stores: self.stores.with(kind), ..self }
    }

    /// Runs the command line of this process, and returns what the process ends with.
    pub fn run(self) -> ExitCode {
        let words: Vec<_> = std::env::args_os().collect();
        let args = match args::read(&words, &self.stores) {
            Ok(args) => args,
            Err(error) => return shown(&error),
        };
        allow_descriptors();
        let Self { exporters, frontends, stores, client } = self;
        let root = StoreRoot::new(stores, args.store);
        let command = command::plain(args.command).map(|mut command| {
            command::resolve(&mut command, &frontends, &root);
            command
        });
        let added = command.and_then(|command| Ok((plugins::add(exporters, frontends, &command)?, command)));
        let ((exporters, frontends), command) = match added {
            Ok(added) => added,
            Err(error) => return failed(&error.into()),
        };
        let (exporters, frontends, client) = (&exporters, &frontends, &client);
        let run = || match &command {
            Command::Export(args) => command::export(args, &root, exporters, frontends, client),
            Command::Pull(_) | Command::Push(_) | Command::Copy(_) => unreachable!("they are exports"),
            Command::Index(args) => command::index(args, &root, exporters, frontends, client),
            Command::Flatten(args) => command::flatten(args, &root, exporters, frontends, client),
            Command::Rebase(args) => command::rebase(args, &root, exporters, frontends, client),
            Command::Import(args) => command::import(args, &root),
            Command::Save(args) => command::save(args, &root, exporters, frontends),
            Command::Images(args) => command::images(args, &root),
            Command::Tag(args) => command::tag(args, &root),
            Command::Unpack(args) => command::unpack(args, &root, frontends),
            Command::Rm(args) => command::rm(args, &root),
            Command::Prune(args) => command::prune(args, &root),
            Command::Du(args) => command::du(args, &root),
            Command::Inspect(args) => command::inspect(args, &root, frontends),
            Command::Diff(args) => command::diff(args, &root, frontends),
            Command::Digest(args) => command::digest(args, &root, frontends),
            Command::Verify(args) => command::verify(args, &root, frontends),
            Command::Ls(args) => command::ls(args, client),
            Command::Delete(args) => command::delete(args, client),
            Command::Login(args) => command::login(args, client),
            Command::Logout(args) => command::logout(args, client),
            Command::Exporters(args) => command::exporters(args, exporters),
            Command::Sources(args) => command::sources(args, frontends),
            Command::Plugin(args) => command::plugin(args),
            Command::Completion(args) => command::completion(args),
            Command::Man(args) => command::man(args),
        };
        match root.check().map_err(anyhow::Error::from).and_then(|()| run()).and_then(|()| Ok(stdout::flush()?)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        }
    }

    /// Returns the page `docs/exporters.md` of this program.
    pub fn exporters_page(&self) -> String {
        command::exporters_page(&self.exporters)
    }

    /// Returns the page `docs/sources.md` of this program.
    pub fn sources_page(&self) -> String {
        command::sources_page(&self.frontends)
    }
}

/// Prints the requested help, or the error in the command line.
fn shown(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        // A failure to print changes nothing.
        let _ = error.print();
        return exit_code::Code::Usage.into();
    }
    match stdout::check().and_then(|()| stdout::written(error.print())).and_then(|()| stdout::flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.into()),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    report::print(error);
    exit_code::of(error).into()
}

/// Raises the limit on open files to its maximum: deep trees and many layers need some.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // If that is refused, the current limit is usually enough.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
