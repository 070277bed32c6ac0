//! `longshore plugin test`: the suite of exporters against an executable.

use std::panic;
use std::path::Path;

use anyhow::Result;
use longshore_core::options::Attrs;
use longshore_core::{Context, Dest, Destination, Error, Exporter, ExporterRegistry, OutputSpec};
use longshore_external::host::Role;
use longshore_external::{ExternalExporter, Plugin};
use longshore_testkit::conformance::{EXPORTER_CASES, ExporterCase, ExporterCheck, verdict};

use crate::args::PluginTestArgs;
use crate::stdout;

/// The first cases, which ask for no output that could be looked at.
const WITHOUT_OUTPUT: usize = 4;

pub(super) fn test(args: &PluginTestArgs) -> Result<()> {
    let path = args.path.canonicalize().attempt(|| format!("cannot open {}", args.path.display()))?;
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let kind = file.strip_prefix(Role::Exporter.prefix()).ok_or_else(|| {
        Error::option(format!("{} is not called {}TYPE", path.display(), Role::Exporter.prefix()))
            .with_hint("rename it")
    })?;
    let exporter = ExternalExporter::new(kind, Plugin::new(&path))?;
    let info = exporter.info();
    stdout::print(format!("type={kind}  {}\n", info.summary))?;
    let cases = match info.destination {
        Destination::None => &EXPORTER_CASES[..WITHOUT_OUTPUT],
        _ => EXPORTER_CASES,
    };
    let broken = run(cases, &exporter, &options(args, &info)?)?;
    if info.destination == Destination::None {
        stdout::print("its outputs are where only it knows: they were not tested\n")?;
    }
    stdout::print(format!("{} promises kept, {broken} broken\n", cases.len() - broken))?;
    match broken {
        0 => Ok(()),
        _ => Err(Error::input(format!("{} breaks what exporters promise", path.display())).into()),
    }
}

/// Returns the options of each output: those of the flag, and the names that images bring, if it takes names.
fn options(args: &PluginTestArgs, info: &longshore_core::ExporterInfo) -> Result<Attrs, Error> {
    let mut attrs =
        args.options.as_deref().map_or_else(|| Ok(Attrs::default()), |text| Attrs::parse("option", text))?;
    if info.options.iter().any(|option| option.key == "name") {
        attrs.insert("name", "*", None);
    }
    Ok(attrs)
}

/// Runs the cases, and prints a line for each; returns how many failed.
fn run(cases: &[(&str, ExporterCheck)], exporter: &ExternalExporter, attrs: &Attrs) -> Result<usize, Error> {
    let info = exporter.info();
    let has_dest = info.destination != Destination::None;
    let spec = |directory: &Path| {
        let dest = has_dest.then(|| Dest::Path(directory.join("output")));
        OutputSpec::new(&*info.kind).with_dest(dest).with_attrs(attrs.clone())
    };
    let exporters = || ExporterRegistry::default().with(exporter.clone());
    let holds_images = exporter.resolve(attrs)?.holds_images();
    let case = ExporterCase::new(&exporters, &spec, &|_| {}).with_images(holds_images);
    // A case that fails panics: what it says is printed here.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut broken = 0;
    let mut printed = Ok(());
    for (name, check) in cases {
        let verdict = verdict(|| check(&case));
        broken += usize::from(verdict.is_err());
        let line = match verdict {
            Ok(()) => format!("  ok      {name}\n"),
            Err(message) => format!("  BROKEN  {name}\n          {}\n", message.replace('\n', "\n          ")),
        };
        printed = printed.and_then(|()| stdout::print(line));
    }
    panic::set_hook(hook);
    printed.map(|()| broken)
}
