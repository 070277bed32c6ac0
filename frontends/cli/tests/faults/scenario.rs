//! Commands that are ended or failed, and what must hold after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use longshore_testkit::conformance::listing_of;
use tempfile::TempDir;

/// A command, what it starts from, and what it makes.
pub struct Scenario {
    pub name: &'static str,
    /// The commands whose results it starts from, in a directory with `tree`, `other` and, for the store, `store`.
    pub before: &'static [&'static str],
    pub command: &'static str,
    /// Files and directories that it makes or replaces, each in one step.
    pub products: &'static [&'static str],
    /// An OCI layout that it adds to.
    pub layout: Option<&'static str>,
}

const IMAGE: &str = "export rootfs:tree -o type=image,name=app:1";

/// Every command that writes.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "export to an archive that is there",
        before: &["export rootfs:tree --no-store -o type=oci,name=app:1,dest=out.tar"],
        command: "export rootfs:other --no-store -o type=oci,name=app:2,dest=out.tar",
        products: &["out.tar"],
        layout: None,
    },
    Scenario {
        name: "export to a new archive, through the store",
        before: &[IMAGE],
        command: "export rootfs:other -o type=docker,name=app:2,dest=out.tar",
        products: &["out.tar"],
        layout: None,
    },
    Scenario {
        name: "export to two outputs",
        before: &[IMAGE],
        command: "export rootfs:other -o type=docker,name=app:2,dest=out.tar -o type=image,name=app:2",
        products: &["out.tar"],
        layout: None,
    },
    Scenario {
        name: "export to a layout that is there",
        before: &["export rootfs:tree --no-store -o type=oci,name=app:1,tar=false,dest=layout"],
        command: "export rootfs:other --no-store -o type=oci,name=app:2,tar=false,dest=layout",
        products: &[],
        layout: Some("layout"),
    },
    Scenario {
        name: "export to a new layout",
        before: &[],
        command: "export rootfs:other --no-store -o type=oci,name=app:2,tar=false,dest=layout",
        products: &[],
        layout: Some("layout"),
    },
    Scenario {
        name: "export to the store",
        before: &[IMAGE],
        command: "export rootfs:other -o type=image,name=app:1",
        products: &[],
        layout: None,
    },
    Scenario {
        name: "export to a new store",
        before: &[],
        command: "export rootfs:other -o type=image,name=app:2",
        products: &[],
        layout: None,
    },
    Scenario {
        name: "import",
        before: &[IMAGE, "export rootfs:other --no-store -o type=oci,name=app:2,dest=in.tar"],
        command: "import in.tar",
        products: &[],
        layout: None,
    },
    Scenario { name: "save", before: &[IMAGE], command: "save app:1 -o out.tar", products: &["out.tar"], layout: None },
    Scenario {
        name: "unpack to a directory",
        before: &[IMAGE],
        command: "unpack app:1 --to root",
        products: &["root"],
        layout: None,
    },
    Scenario { name: "unpack", before: &[IMAGE], command: "unpack app:1", products: &[], layout: None },
    Scenario { name: "tag", before: &[IMAGE], command: "tag app:1 app:2 app:3", products: &[], layout: None },
    Scenario { name: "rm", before: &[IMAGE], command: "rm app:1", products: &[], layout: None },
    Scenario { name: "prune", before: &[IMAGE, "rm app:1"], command: "prune", products: &[], layout: None },
];

/// A scenario whose start and end are known.
pub struct Prepared {
    pub scenario: &'static Scenario,
    start: TempDir,
    /// What the products and names are before and after it.
    states: [State; 2],
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    products: Vec<Vec<String>>,
    names: String,
}

pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_longshore"))
}

pub fn words(command: &str) -> Vec<&str> {
    command.split(' ').chain(["--jobs=2"].into_iter().filter(|_| command.starts_with("export"))).collect()
}

fn run(directory: &Path, command: &str) -> Output {
    let mut run = Command::new(program());
    run.args(words(command)).current_dir(directory).env("LONGSHORE_ROOT", directory.join("store"));
    run.env_remove("SOURCE_DATE_EPOCH").stdin(Stdio::null()).output().unwrap()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

impl Prepared {
    pub fn new(scenario: &'static Scenario) -> Self {
        let start = tempfile::tempdir().unwrap();
        let root = start.path().join("root");
        for (tree, lines) in [("tree", 4000), ("other", 5000)] {
            fs::create_dir_all(root.join(tree).join("a/b")).unwrap();
            fs::write(root.join(tree).join("a/b/small"), tree).unwrap();
            let text: String = (0..lines).map(|line| format!("{tree} {line}\n")).collect();
            fs::write(root.join(tree).join("large"), text).unwrap();
            std::os::unix::fs::symlink("large", root.join(tree).join("link")).unwrap();
        }
        for command in scenario.before {
            let output = run(&root, command);
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let before = State::of(&root, scenario);
        let end = tempfile::tempdir().unwrap();
        copy(&root, end.path());
        let output = run(&end.path().join("root"), scenario.command);
        assert!(output.status.success(), "{}: {}", scenario.name, String::from_utf8_lossy(&output.stderr));
        let after = State::of(&end.path().join("root"), scenario);
        Self { scenario, start, states: [before, after] }
    }

    /// A copy of what it starts from, to run it in.
    pub fn fresh(&self) -> (TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        copy(&self.start.path().join("root"), place.path());
        let root = place.path().join("root");
        (place, root)
    }

    /// What is wrong after the command ended with `code` (`None`: it was killed) and said `stderr`.
    pub fn problems(&self, root: &Path, code: Option<i32>, stderr: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut problem = |text: String| problems.push(text);
        let [before, after] = &self.states;
        let found = State::of(root, self.scenario);
        if code == Some(0) && found != *after {
            problem(format!("it succeeded, but left {:?}", found.difference(after)));
        }
        let is_either = |at: usize| [before, after].iter().any(|state| state.products[at] == found.products[at]);
        for (at, product) in self.scenario.products.iter().enumerate().filter(|(at, _)| !is_either(*at)) {
            problem(format!("{product} is neither old nor new: {:?}", found.products[at]));
        }
        for name in found.names.lines().filter(|name| !before.names.contains(name) && !after.names.contains(name)) {
            problem(format!("a name that nobody gave: {name}"));
        }
        verify(root, self.scenario).into_iter().for_each(&mut problem);
        match code {
            Some(101) => problem(format!("it panicked: {stderr}")),
            Some(code) if code != 0 && !stderr.contains("error: ") => problem(format!("exit {code} without a reason")),
            Some(code) if code != 0 && !names_a_path(stderr, root, self.scenario) => {
                problem(format!("the error names no path: {}", stderr.trim()));
            }
            _ => {}
        }
        self.again(root).into_iter().for_each(&mut problem);
        problems
    }

    /// What is wrong after the command ran once more, and the store was pruned.
    fn again(&self, root: &Path) -> Vec<String> {
        let mut problems = Vec::new();
        let [_, after] = &self.states;
        let done = State::of(root, self.scenario) == *after;
        let output = run(root, self.scenario.command);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        // What takes a name, or makes a directory, does so once.
        let is_once = self.scenario.command.starts_with("rm") || self.scenario.command.contains("--to");
        if !output.status.success() && !(done && is_once) {
            problems.push(format!("a rerun fails: {}", stderr.trim()));
        }
        let found = State::of(root, self.scenario);
        if found != *after {
            problems.push(format!("a rerun leaves {:?}", found.difference(after)));
        }
        if root.join("store/store.db").exists() {
            let pruned = run(root, "prune");
            if !pruned.status.success() {
                problems.push(format!("pruning fails: {}", String::from_utf8_lossy(&pruned.stderr).trim()));
            }
        }
        problems.extend(leftovers(root).into_iter().map(|path| format!("left over: {path}")));
        problems
    }
}

impl State {
    fn of(root: &Path, scenario: &Scenario) -> Self {
        let products = scenario.products.iter().map(|product| listing_of(&root.join(product))).collect();
        let names = match root.join("store/store.db").exists() {
            true => String::from_utf8(run(root, "images").stdout).unwrap(),
            false => String::new(),
        };
        let layout = scenario.layout.map(|layout| fs::read_to_string(root.join(layout).join("index.json")));
        // The heading comes and goes with the first image, and the age of an image is no part of the state.
        let names: String =
            names.lines().skip(1).map(|line| line.split("  ").take(2).collect::<String>() + "\n").collect();
        Self { products, names: names + &layout.and_then(Result::ok).unwrap_or_default() }
    }

    fn difference(&self, expected: &Self) -> String {
        match self.names == expected.names {
            true => format!("{:?}", self.products),
            false => format!("the names {} for {}", self.names, expected.names),
        }
    }
}

/// Whatever has a name is whole.
fn verify(root: &Path, scenario: &Scenario) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    if root.join("store/store.db").exists() {
        let names = String::from_utf8(run(root, "images --quiet").stdout).unwrap();
        sources.extend(names.lines().map(|name| format!("image:{name}")));
    }
    if let Some(layout) = scenario.layout.filter(|layout| root.join(layout).exists()) {
        sources.push(format!("oci:{layout}"));
    }
    let is_file = |product: &&&str| root.join(product).is_file();
    sources.extend(scenario.products.iter().filter(is_file).map(|product| format!("docker-archive:{product}")));
    let check = |source: &String| {
        let output = run(root, &format!("verify {source}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (!output.status.success()).then(|| format!("{source} is broken: {}", said.trim()))
    };
    sources.iter().filter_map(check).collect()
}

/// Whether a message says which file or directory it is about.
fn names_a_path(stderr: &str, root: &Path, scenario: &Scenario) -> bool {
    let root = root.display().to_string();
    let known = ["tree", "other", "store", "in.tar", "/tmp", "/etc", "/root", "layout", "standard output"];
    stderr.contains(&root) || known.iter().chain(scenario.products).any(|word| stderr.contains(word))
}

/// Temporary files, in any directory.
fn leftovers(root: &Path) -> Vec<String> {
    let is_temporary = |line: &&String| {
        let path = line.split(' ').next().unwrap_or_default();
        path.contains(".longshore-") || path.contains("/ingest/") || path.contains("/leases/") || path.contains(".new")
    };
    listing_of(root).iter().filter(is_temporary).cloned().collect()
}
