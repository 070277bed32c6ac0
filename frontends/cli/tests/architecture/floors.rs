//! Crates depend only on those below them.

use crate::{cargo, packages};

/// The program, which assembles the rest.
const PROGRAM: &str = "longshore-cli";
const EXPORTERS: &str = "longshore-exporter-";
const FRONTENDS: &str = "longshore-frontend-";
/// Exporters and frontends that are programs of their own: beside those that are linked in.
const EXTERNAL: &str = "longshore-external";
/// The examples of the documentation: programs that use any of it, and that nothing uses.
const EXAMPLES: &str = "longshore-example-";
/// What is below exporters and frontends.
const INNER: [&str; 7] = [
    "longshore-containerd",
    "longshore-content",
    "longshore-core",
    "longshore-distribution",
    "longshore-docker-engine",
    "longshore-oci",
    "longshore-store",
];

/// One crate's dependency on another one of the workspace.
#[derive(Debug)]
struct Arrow {
    from: String,
    to: String,
    /// Whether only tests and examples have it.
    is_of_tests: bool,
}

impl Arrow {
    fn new(from: &str, to: &str, is_of_tests: bool) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), is_of_tests }
    }

    fn is_down(&self) -> bool {
        self.is_down_in_programs() || (self.is_of_tests && self.is_down_in_tests())
    }

    fn is_down_in_programs(&self) -> bool {
        let to = self.to.as_str();
        match self.from.as_str() {
            "longshore-content" => to == "longshore-oci",
            "longshore-containerd"
            | "longshore-core"
            | "longshore-distribution"
            | "longshore-docker-engine"
            | "longshore-store" => ["longshore-content", "longshore-oci"].contains(&to),
            "longshore-testkit" => ["longshore-content", "longshore-core", "longshore-oci"].contains(&to),
            // `longshore plugin test` runs the suite of exporters.
            PROGRAM => INNER.contains(&to) || is_outer(to) || [EXTERNAL, "longshore-testkit"].contains(&to),
            EXTERNAL => to == "longshore-core",
            from if from.starts_with(EXAMPLES) => !to.starts_with(EXAMPLES),
            from => is_outer(from) && INNER.contains(&to),
        }
    }

    /// Tests of all but the lowest two may use the test kit, and so core.
    fn is_down_in_tests(&self) -> bool {
        let (from, to) = (self.from.as_str(), self.to.as_str());
        // A test of a frontend may export what the frontend read.
        let is_round_trip = from.starts_with(FRONTENDS) && to.starts_with(EXPORTERS);
        // One of them becomes a program in tests.
        let is_round_trip = is_round_trip || from == EXTERNAL && to.starts_with(EXPORTERS);
        let has_test_kit = !["longshore-content", "longshore-oci"].contains(&from);
        is_round_trip || (has_test_kit && ["longshore-core", "longshore-testkit"].contains(&to))
    }
}

fn is_outer(name: &str) -> bool {
    name.starts_with(EXPORTERS) || name.starts_with(FRONTENDS)
}

/// Returns the arrows that do not run down, as text.
fn upward(arrows: &[Arrow]) -> Vec<String> {
    let up = arrows.iter().filter(|arrow| !arrow.is_down());
    up.map(|arrow| format!("{} -> {}{}", arrow.from, arrow.to, if arrow.is_of_tests { " (tests)" } else { "" }))
        .collect()
}

fn arrows() -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if to.starts_with("longshore-") {
                arrows.push(Arrow::new(name, to, dependency["kind"] == "dev"));
            }
        }
    }
    arrows
}

#[test]
fn crates_depend_only_on_those_below() {
    let arrows = arrows();
    assert!(arrows.len() > 30, "{} dependencies", arrows.len());
    let up = upward(&arrows);
    assert!(up.is_empty(), "dependencies that run up:\n{}", up.join("\n"));
}

#[test]
fn a_dependency_that_runs_up_is_named() {
    let up = [
        ("longshore-oci", "longshore-content", false),
        ("longshore-content", "longshore-core", false),
        ("longshore-core", "longshore-store", false),
        ("longshore-content", "longshore-testkit", true),
        ("longshore-core", "longshore-testkit", false),
        ("longshore-distribution", "longshore-core", false),
        ("longshore-store", "longshore-distribution", true),
        ("longshore-docker-engine", "longshore-core", false),
        ("longshore-containerd", "longshore-store", false),
        ("longshore-exporter-oci", "longshore-exporter-docker", false),
        ("longshore-exporter-oci", "longshore-exporter-docker", true),
        ("longshore-exporter-oci", "longshore-testkit", false),
        ("longshore-frontend-archive", "longshore-exporter-oci", false),
        ("longshore-frontend-archive", "longshore-cli", true),
        ("longshore-new", "longshore-core", false),
        ("longshore-cli", "longshore-example-build-tool", true),
        ("longshore-example-squashfs", "longshore-example-build-tool", false),
    ];
    for (from, to, is_of_tests) in up {
        let text = upward(&[Arrow::new(from, to, is_of_tests)]);
        assert_eq!(text.len(), 1, "{from} -> {to}");
        assert!(text[0].starts_with(&format!("{from} -> {to}")), "{text:?}");
    }
    let down = [
        ("longshore-core", "longshore-testkit", true),
        ("longshore-store", "longshore-core", true),
        ("longshore-exporter-image", "longshore-store", true),
        ("longshore-frontend-docker-graph", "longshore-exporter-oci", true),
        ("longshore-cli", "longshore-exporter-oci", false),
        ("longshore-example-squashfs", "longshore-cli", false),
        ("longshore-exporter-docker", "longshore-docker-engine", false),
    ];
    assert_eq!(upward(&down.map(|(from, to, is_of_tests)| Arrow::new(from, to, is_of_tests))), Vec::<String>::new());
}

/// What a program that only talks to registries, or only keeps blobs, does not build.
#[test]
fn the_lower_crates_build_nothing_heavy() {
    let compressors = ["brotli", "bzip2", "flate2", "libdeflate", "lz4", "miniz", "xz2", "zlib", "zstd"];
    let databases = ["libsqlite3-sys", "rusqlite"];
    for (name, has_database) in [
        ("longshore-containerd", false),
        ("longshore-content", false),
        ("longshore-distribution", false),
        ("longshore-docker-engine", false),
        ("longshore-store", true),
    ] {
        let tree = cargo(&["tree", "--package", name, "--edges", "normal,build", "--offline", "--prefix", "none"]);
        let crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(crates.contains(&name) && crates.contains(&"longshore-oci"), "{tree}");
        assert_eq!(crates.contains(&"rusqlite"), has_database, "{tree}");
        for found in crates {
            let is_compressor = compressors.iter().any(|compressor| found.starts_with(compressor));
            let is_database = databases.contains(&found) && !has_database;
            assert!(!is_compressor && !is_database && found != "tar", "{name} builds {found}");
        }
    }
}
