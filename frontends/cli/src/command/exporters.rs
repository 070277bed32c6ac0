//! `longshore exporters`, `longshore sources` and the reference pages: all from the declarations of exporters and
//! frontends.

use std::fmt::Write as _;

use anyhow::Result;
use longshore_core::options::OptionInfo;
use longshore_core::{Destination, ExporterInfo, ExporterRegistry, FrontendRegistry, SchemeInfo};
use serde_json::Value;

use crate::args::{ExportersArgs, SourcesArgs};
use crate::origin::{BuiltIn, Origin};
use crate::stdout;

pub(crate) fn exporters(args: &ExportersArgs, exporters: &ExporterRegistry, built_in: &BuiltIn) -> Result<()> {
    let infos: Vec<ExporterInfo> = match &args.kind {
        Some(kind) => vec![with_dest(exporters.get(kind)?.info())],
        None => infos(exporters),
    };
    let origin = |info: &ExporterInfo| built_in.exporter(&info.kind, info.program.as_deref());
    print(&match args.json {
        true => json(infos.iter().map(|info| (serde_json::to_value(info), origin(info))))?,
        false => {
            let title = |info: &ExporterInfo| format!("type={}", info.kind);
            let entry = |info| listing(&title(info), &info.summary, &origin(info), &info.options);
            infos.iter().map(entry).collect()
        }
    })
}

/// Returns the descriptions with their origins.
fn json(infos: impl Iterator<Item = (serde_json::Result<Value>, Origin)>) -> Result<String> {
    let with_origin = |(info, origin): (serde_json::Result<Value>, Origin)| {
        let mut info = info?;
        info["origin"] = origin.word().into();
        Ok(info)
    };
    let infos = infos.map(with_origin).collect::<serde_json::Result<Vec<_>>>()?;
    Ok(serde_json::to_string_pretty(&infos)? + "\n")
}

fn infos(exporters: &ExporterRegistry) -> Vec<ExporterInfo> {
    exporters.infos().map(with_dest).collect()
}

/// Adds `dest`, which the host reads, if the type accepts it.
fn with_dest(mut info: ExporterInfo) -> ExporterInfo {
    let (syntax, help, default) = match info.destination {
        Destination::File => ("PATH|-", "Where to write; `-` is standard output", "standard output"),
        Destination::NamedFile => ("PATH|-", "Where to write; `-` is standard output", "none, it has to be given"),
        Destination::OptionalFile => {
            ("PATH|-", "Where to write; `-` is standard output", "none, it is sent to an engine")
        }
        Destination::Layout | Destination::Directory => ("PATH", "Directory to write into", "none, it has to be given"),
        Destination::None | Destination::ImageStore => return info,
    };
    let dest = OptionInfo::new("dest", help, syntax, default);
    info.options.insert(0, dest);
    info
}

pub(crate) fn sources(args: &SourcesArgs, frontends: &FrontendRegistry, built_in: &BuiltIn) -> Result<()> {
    let infos: Vec<SchemeInfo> = match &args.scheme {
        Some(scheme) => vec![frontends.info(scheme.trim_end_matches(':'))?],
        None => frontends.infos(),
    };
    let origin = |info: &SchemeInfo| built_in.frontend(&info.scheme, info.program.as_deref());
    print(&match args.json {
        true => json(infos.iter().map(|info| (serde_json::to_value(info), origin(info))))?,
        false => {
            let entry = |info: &SchemeInfo| listing(&info.syntax, &info.summary, &origin(info), &info.options);
            infos.iter().map(entry).collect()
        }
    })
}

fn print(text: &str) -> Result<()> {
    stdout::check()?;
    Ok(stdout::print(text)?)
}

fn listing(title: &str, summary: &str, origin: &Origin, options: &[OptionInfo]) -> String {
    let mut text = format!("{title}  {summary}\n  ({origin})\n");
    for option in options {
        let _ =
            writeln!(text, "  {}=<{}>\n      {} [default: {}]", option.key, option.syntax, option.help, option.default);
    }
    text + "\n"
}

/// Returns the page `docs/exporters.md`.
pub(crate) fn exporters_page(exporters: &ExporterRegistry) -> String {
    let mut page = "# Exporters\n\nGenerated from the exporters' declarations; a test fails when this page is \
        stale. `longshore exporters` prints the same.\n\nAn output is one CSV record: `-o type=TYPE,KEY=VALUE,…`. Quote a value that contains a comma together with its key: \
        `\"name=a,b\"`. The directory around `dest` has to exist.\n"
        .to_owned();
    for info in infos(exporters) {
        let _ = write!(page, "\n## type={}\n\n{}.\n{}", info.kind, info.summary, table(&info.options));
    }
    page
}

/// Returns the page `docs/sources.md`.
pub(crate) fn sources_page(frontends: &FrontendRegistry) -> String {
    let mut page = "# Sources\n\nGenerated from the frontends' declarations; a test fails when this page is \
        stale. `longshore sources` prints the same.\n\nA source is one CSV record, like an output: \
        `[PLATFORM=]SCHEME[:VALUE][,KEY=VALUE…]`. Quote a field that contains a comma as a whole, and double its \
        quotes; the shell needs its own quotes around them: `'\"rootfs:a,b\",owner=0:0'`, \
        `'rootfs:tree,\"exclude=*.o,*.a\"'`. A path may contain colons: in `PATH:REFERENCE`, the path is the \
        longest one that exists.\n\nAn option that a scheme does not have is an error. `--owner`, `--exclude` \
        and `--referrers` set their option for every source.\n"
        .to_owned();
    for info in frontends.infos() {
        let summary = &info.summary;
        let first = summary.chars().next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
        let rest: String = summary.chars().skip(1).collect();
        let _ = write!(page, "\n## {}:\n\n`{}`: {first}{rest}.\n", info.scheme, info.syntax);
        page += &match info.options.is_empty() {
            true => "\nIt has no options.\n".to_owned(),
            false => table(&info.options),
        };
    }
    page
}

fn table(options: &[OptionInfo]) -> String {
    let mut table = "\n| key | value | what it does | default |\n|---|---|---|---|\n".to_owned();
    for option in options {
        let syntax = option.syntax.replace('|', "\\|");
        let _ = writeln!(table, "| `{}` | `{syntax}` | {} | {} |", option.key, option.help, option.default);
    }
    table
}
