//! What a case is: a build that both sides are given, each in its own words.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use longshore_testkit::sample::Tree;
use serde_json::{Value, json};

use super::builder::BuildKit;
use super::compare::Comparison;
use super::differences::Difference;
use super::exported;
use super::layout::Layout;
use super::readers;
use crate::run::Workdir;

/// In place of the clock.
pub const EPOCH: &str = "1700000000";

/// One row of the comparison. [`Case::NEW`] is what most have.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The same as in docs/buildkit.md. It decides the random content: `BuildKit` has no layer of it compressed yet.
    pub name: &'static str,
    /// The image that `FROM` names.
    pub base: Option<Base>,
    /// The Dockerfile below `FROM`.
    pub steps: &'static [Step],
    /// The key `config` of the image configuration that the Dockerfile stands for.
    pub config: &'static str,
    /// Those that are built; without any, that of this machine.
    pub platforms: &'static [&'static str],
    /// The type of the output: `oci`, or `docker` for an archive.
    pub kind: &'static str,
    /// Names of the image.
    pub names: &'static [&'static str],
    /// Options of the output, for both.
    pub output: &'static [&'static str],
    /// Arguments for `docker buildx build` alone.
    pub builder: &'static [&'static str],
    /// Arguments for `longshore export` alone. In its directory are the predicates of `BuildKit`'s attestations, in the
    /// order of the index: `predicate-0.json`, `predicate-1.json`.
    pub longshore: &'static [&'static str],
    /// JSON pointers to strings that no two builds have in common: `BuildKit`'s are put into ours.
    pub put_in: &'static [&'static str],
    /// What is left out of the comparison, apart from what always is.
    pub differences: &'static [&'static Difference],
    /// Whether blobs are equal as they are, with nothing put in.
    pub is_exact: bool,
}

/// A line of a Dockerfile, and what it does to an image.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub line: &'static str,
    /// `created_by` of its history entry.
    pub created_by: &'static str,
    /// The directory of the context that is the layer; without one, the step has no layer.
    pub layer: Option<&'static str>,
}

/// An image below a build, exported by `longshore` beforehand.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    /// Options of the output.
    pub output: &'static [&'static str],
}

/// Directories of every context: a random tree, another one that no file is in common with, a file in a directory that the
/// first has with another mode, and nothing.
const TREES: [&str; 4] = ["one", "two", "small", "nothing"];

impl Step {
    pub const fn copy(layer: &'static str, line: &'static str, created_by: &'static str) -> Self {
        Self { line, created_by, layer: Some(layer) }
    }

    pub const fn set(line: &'static str, created_by: &'static str) -> Self {
        Self { line, created_by, layer: None }
    }
}

impl Case {
    /// Builds and exports, and fails where anything differs that is not listed.
    pub fn holds(&self) {
        let Some(builder) = BuildKit::ready() else { return };
        let work = Workdir::new();
        self.write_context(&work.path("context"));
        if let Some(base) = self.base {
            exported::base(self, base, &work);
        }
        let theirs = Layout::unpack(&builder.build(self, &work), &work.path("theirs"));
        for (at, predicate) in theirs.predicates().iter().enumerate() {
            work.write(&format!("predicate-{at}.json"), predicate);
        }
        let ours = Layout::unpack(&exported::export(self, &work), &work.path("ours"));
        let comparison = Comparison::new(self, &ours, &theirs);
        let put_in = comparison.finish();
        readers::all_read(self, &work, &ours);
        assert!(!self.is_exact || put_in == 0, "{}: {put_in} descriptors were put in", self.name);
    }

    pub fn write_context(&self, context: &Path) {
        let seed = self.name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        for (name, seed) in TREES.iter().zip(seed..) {
            let directory = context.join(name);
            std::fs::create_dir_all(&directory).unwrap();
            match *name {
                "one" => Tree::new(seed).write(&directory).unwrap(),
                "two" => Tree::new(seed).write(&directory.join("second")).unwrap(),
                "small" => write_small(&directory, self.name),
                _ => {}
            }
            remove_names_that_are_not_text(&directory);
        }
        let from = if self.base.is_some() { "base" } else { "scratch" };
        let lines = self.steps.iter().map(|step| format!("{}\n", step.line)).collect::<String>();
        std::fs::write(context.join("Dockerfile"), format!("FROM {from}\n{lines}")).unwrap();
    }

    /// What the Dockerfile says that its steps are, without times: those are the epoch's.
    pub fn history(&self) -> Vec<Value> {
        let step = |step: &Step| {
            let mut entry = json!({ "created_by": step.created_by, "comment": "buildkit.dockerfile.v0" });
            if step.layer.is_none() {
                entry["empty_layer"] = true.into();
            }
            entry
        };
        self.steps.iter().map(step).collect()
    }

    /// The output, with a name or without.
    pub fn output_to(&self, archive: &Path) -> String {
        let mut output = format!("type={},dest={}", self.kind, archive.display());
        if !self.names.is_empty() {
            output.push_str(&format!(",\"name={}\"", self.names.join(",")));
        }
        self.output.iter().for_each(|option| output.push_str(&format!(",{option}")));
        output
    }
}

fn write_small(directory: &Path, content: &str) {
    let data = directory.join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    std::fs::write(data.join("case"), content).unwrap();
}

/// `BuildKit` cannot transfer them.
fn remove_names_that_are_not_text(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let is_directory = entry.file_type().unwrap().is_dir();
        match (entry.file_name().to_str(), is_directory) {
            (None, true) => std::fs::remove_dir_all(entry.path()).unwrap(),
            (None, false) => std::fs::remove_file(entry.path()).unwrap(),
            (Some(_), true) => remove_names_that_are_not_text(&entry.path()),
            (Some(_), false) => {}
        }
    }
}
