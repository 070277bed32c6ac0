//! A new exporter touches its own folder and two lines of the CLI.

use std::collections::BTreeMap;
use std::path::Path;

use crate::source::{files, tokens, without_tests, workspace};

/// Lines by file, outside of the folder of the exporter.
type Mentions = BTreeMap<String, Vec<String>>;

/// Returns the lines of program code and manifests in `sources` that name the crate or the type of an exporter.
fn mentions(sources: &[(String, String)], folder: &str, type_name: &str) -> Mentions {
    let package = format!("longshore-exporter-{folder}");
    let crate_name = package.replace('-', "_");
    let own = format!("exporters/{folder}/");
    let mut found = Mentions::new();
    for (file, text) in sources.iter().filter(|(file, _)| !file.starts_with(&own)) {
        let lines: Vec<usize> = if file.ends_with(".rs") {
            let (tokens, _) = without_tests(&tokens(text));
            let named = tokens.iter().filter(|token| token.text == crate_name || token.text == type_name);
            named.map(|token| token.line).collect()
        } else {
            let normal = text.split("[dev-dependencies]").next().unwrap_or_default().lines().enumerate();
            normal.filter(|(_, line)| names(line, &package)).map(|(number, _)| number + 1).collect()
        };
        let text = |line: usize| text.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
        let mut lines = lines;
        lines.dedup();
        if !lines.is_empty() {
            found.insert(file.clone(), lines.into_iter().map(text).collect());
        }
    }
    found
}

/// Whether a line of a manifest is about `package`, and not about one whose name only begins like it.
fn names(line: &str, package: &str) -> bool {
    line.trim().strip_prefix(package).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
}

/// Returns the name of the type in `source` that implements `ExporterType`, or `Exporter` itself.
fn type_of(source: &str) -> Option<String> {
    let declared = ["impl ExporterType for ", "impl Exporter for "];
    let rest = declared.iter().find_map(|start| source.split(start).nth(1))?;
    Some(rest.chars().take_while(|c| c.is_alphanumeric()).collect())
}

/// The two lines are those that a person thinks about: `use longshore_exporter_NAME::…` and `.with(…)` in
/// `builtin.rs`. Cargo wants a line in each of two manifests before a crate can name another: the path in that of
/// the workspace, and the dependency in that of the CLI. No other line of a manifest or of a program may name the
/// exporter, be it by its crate or by its type, so that no list has to be kept in step.
///
/// Not counted: the folder of the exporter itself; `Cargo.lock` and `docs/exporters.md`, which programs write; the rows that
/// `README.md` and `docs/architecture.md` have for people; and tests and examples, which may use any exporter.
#[test]
fn an_exporter_is_named_in_two_lines_of_the_cli_and_two_manifests() {
    let root = workspace();
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let is_program =
        |name: &str| (name.ends_with("Cargo.toml") || name.contains("/src/")) && !name.starts_with("docs/examples/");
    let all = [files(&root, ".rs"), files(&root, "Cargo.toml")].concat();
    let all = all.iter().map(|path| (name(path), path)).filter(|(name, _)| is_program(name));
    let sources: Vec<(String, String)> =
        all.map(|(name, path)| (name, std::fs::read_to_string(path).unwrap())).collect();
    let mut checked = 0;
    for entry in std::fs::read_dir(root.join("exporters")).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        let own = format!("exporters/{folder}/src/");
        let own = sources.iter().filter(|(name, _)| name.starts_with(&own));
        let type_name = own.filter_map(|(_, text)| type_of(text)).next().expect("a type that implements Exporter");
        let found = mentions(&sources, &folder, &type_name);
        let counts: Vec<(&str, usize)> = found.iter().map(|(file, lines)| (file.as_str(), lines.len())).collect();
        let expected = [("Cargo.toml", 1), ("frontends/cli/Cargo.toml", 1), ("frontends/cli/src/builtin.rs", 2)];
        assert_eq!(counts, expected, "{folder}: {found:#?}");
        checked += 1;
    }
    assert!(checked >= 4, "{checked} exporters");
}

#[test]
fn another_place_that_names_an_exporter_is_found() {
    let sources = [
        ("Cargo.toml", "longshore-exporter-oci = { path = \"exporters/oci\" }\nlongshore-exporter-oci-2 = {}"),
        ("exporters/oci/src/lib.rs", "impl ExporterType for OciExporter {}"),
        (
            "core/src/other.rs",
            "// OciExporter\nfn f() { longshore_exporter_oci::OciExporter }\nconst TEXT: &str = \"OciExporter\";",
        ),
        ("frontends/x/Cargo.toml", "[dependencies]\n[dev-dependencies]\nlongshore-exporter-oci.workspace = true"),
    ];
    let sources = sources.map(|(file, text)| (file.to_owned(), text.to_owned()));
    assert_eq!(type_of(&sources[1].1).as_deref(), Some("OciExporter"));
    let found = mentions(&sources, "oci", "OciExporter");
    let lines: Vec<(&str, usize)> = found.iter().map(|(file, lines)| (file.as_str(), lines.len())).collect();
    assert_eq!(lines, [("Cargo.toml", 1), ("core/src/other.rs", 1)]);
}
