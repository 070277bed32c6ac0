//! What `longshore export` makes of the same build.

use std::path::PathBuf;

use serde_json::Value;

use super::builder::succeeds;
use super::case::{Base, Case, EPOCH};
use super::layout::Layout;
use crate::run::Workdir;

/// The key `config` of a base, as a Dockerfile without instructions has it.
pub const BASE_CONFIG: &str = concat!(
    r#"{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/","#,
    r#""Labels":{"base":"<1>"}}"#,
);

/// Steps of a base: the last has no layer.
const BASE_HISTORY: &str = concat!(
    r#"[{"created":"2020-01-02T03:04:05.6Z","created_by":"a layer & more","author":"someone"},"#,
    r#"{"created":"2020-01-02T03:04:05.6Z","created_by":"LABEL base","empty_layer":true}]"#,
);

/// Writes the layout `base`.
pub fn base(case: &Case, base: Base, work: &Workdir) {
    work.write("base.json", format!(r#"{{"config":{BASE_CONFIG},"history":{BASE_HISTORY}}}"#));
    let mut output = format!("type=oci,tar=false,dest={}", work.path("base").display());
    base.output.iter().for_each(|option| output.push_str(&format!(",{option}")));
    let mut command = work.command(&["export", "--progress=quiet", "--no-store", "--config", "base.json"]);
    command.args(sources(case, "scratch")).args(["--layer", "context/one", "--owner", "0:0", "-o"]).arg(output);
    succeeds(&mut command);
}

/// The archive that it wrote.
pub fn export(case: &Case, work: &Workdir) -> PathBuf {
    let archive = work.path("ours.tar");
    let mut history = if case.base.is_some() { base_history(work) } else { Vec::new() };
    history.extend(case.history());
    let history = serde_json::to_string(&history).unwrap();
    work.write("config.json", format!(r#"{{"config":{},"history":{history}}}"#, case.config));
    let mut command = work.command(&["export", "--progress=quiet", "--no-store", "--config", "config.json"]);
    command.args(sources(case, if case.base.is_some() { "oci:base" } else { "scratch" }));
    for layer in case.steps.iter().filter_map(|step| step.layer) {
        command.arg("--layer").arg(format!("context/{layer}"));
    }
    if case.steps.iter().any(|step| step.layer.is_some()) {
        command.args(["--owner", "0:0"]);
    }
    command.args(case.longshore).arg("-o").arg(case.output_to(&archive));
    succeeds(command.env("SOURCE_DATE_EPOCH", EPOCH));
    archive
}

/// One for each platform of an image that has none yet.
fn sources(case: &Case, source: &str) -> Vec<String> {
    if case.platforms.is_empty() || source != "scratch" {
        return vec![source.to_owned()];
    }
    case.platforms.iter().map(|platform| format!("{platform}={source}")).collect()
}

/// The history of the base, whose platforms have the same.
fn base_history(work: &Workdir) -> Vec<Value> {
    let layout = Layout::at(&work.path("base"));
    let root = layout.document(&layout.root());
    let manifest = root["manifests"].as_array().map_or(root.clone(), |manifests| layout.document(&manifests[0]));
    layout.document(&manifest["config"])["history"].as_array().unwrap().clone()
}
