//! `longshore exporters`, and the reference page: both are what the exporters say of themselves.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Result;
use longshore_core::{ExporterInfo, ExporterRegistry};

use crate::args::ExportersArgs;

pub(crate) fn exporters(args: &ExportersArgs, exporters: &ExporterRegistry) -> Result<()> {
    let infos: Vec<ExporterInfo> = match &args.kind {
        Some(kind) => vec![exporters.get(kind)?.info()],
        None => exporters.infos().collect(),
    };
    let text =
        if args.json { serde_json::to_string_pretty(&infos)? + "\n" } else { infos.iter().map(listing).collect() };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn listing(info: &ExporterInfo) -> String {
    let mut text = format!("type={}  {}\n", info.kind, info.summary);
    for option in &info.options {
        let _ =
            writeln!(text, "  {}=<{}>\n      {} [default: {}]", option.key, option.syntax, option.help, option.default);
    }
    text + "\n"
}

/// The page `docs/exporters.md`.
pub(crate) fn reference_page(exporters: &ExporterRegistry) -> String {
    let mut page = "# Exporters\n\nMade from what the exporters say of themselves; a test fails when it is stale. \
        `longshore exporters` prints the same.\n\nAn output is written as one CSV record: \
        `-o type=TYPE,KEY=VALUE,…`. A value with a comma is quoted together with its key: \
        `\"name=a,b\"`. Every type with a file or directory takes `dest=PATH`; `dest=-` is standard output.\n"
        .to_owned();
    for info in exporters.infos() {
        let _ = write!(
            page,
            "\n## type={}\n\n{}.\n\n| key | value | what it does | default |\n|---|---|---|---|\n",
            info.kind, info.summary
        );
        for option in &info.options {
            let syntax = option.syntax.replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | `{syntax}` | {} | {} |", option.key, option.help, option.default);
        }
    }
    page
}
