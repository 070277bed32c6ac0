//! Scenarios that are run, and what must hold after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use longshore_testkit::conformance::listing_of;
use longshore_testkit::registry::Registry;
use tempfile::TempDir;

use crate::scenarios::Scenario;
use crate::trace::{Fault, Observer, Run, Traced};

/// A scenario whose start and end are known.
pub struct Prepared {
    pub scenario: &'static Scenario,
    start: Place,
    /// What the products and names are before and after it.
    states: [State; 2],
}

/// A directory with `tree`, `other`, what was made from them, and the store; and a registry.
pub struct Place {
    directory: TempDir,
    registry: Option<Registry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    products: Vec<Vec<String>>,
    filled: Vec<String>,
    names: String,
}

impl Place {
    /// An empty one.
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), registry: None }
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn host(&self) -> &str {
        self.registry.as_ref().map_or("REGISTRY", Registry::host)
    }

    fn words(&self, command: &str) -> Vec<String> {
        let jobs = ["--jobs=2"].into_iter().filter(|_| command.starts_with("export"));
        command.split(' ').chain(jobs).map(|word| word.replace("REGISTRY", self.host())).collect()
    }

    fn run(&self, command: &str) -> Output {
        let mut run = Command::new(program());
        run.args(self.words(command)).current_dir(self.root()).env("LONGSHORE_ROOT", self.root().join("store"));
        run.env_remove("SOURCE_DATE_EPOCH").stdin(Stdio::null()).output().unwrap()
    }

    fn ok(&self, command: &str) {
        let output = self.run(command);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn has_store(&self) -> bool {
        self.root().join("store/store.db").exists()
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_longshore"))
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

impl Prepared {
    pub fn new(scenario: &'static Scenario) -> Self {
        let start = Place::new();
        for (tree, lines) in [("tree", 4000), ("other", 5000)] {
            let tree_path = start.root().join(tree);
            fs::create_dir_all(tree_path.join("a/b")).unwrap();
            fs::write(tree_path.join("a/b/small"), tree).unwrap();
            let text: String = (0..lines).map(|line| format!("{tree} {line}\n")).collect();
            fs::write(tree_path.join("large"), text).unwrap();
            std::os::unix::fs::symlink("large", tree_path.join("link")).unwrap();
        }
        if let Some(filled) = scenario.filled {
            fs::create_dir(start.root().join(filled)).unwrap();
        }
        scenario.before.iter().for_each(|command| start.ok(command));
        let mut prepared = Self { scenario, start, states: [const { State::EMPTY }; 2] };
        let place = prepared.fresh();
        prepared.states[0] = State::of(&place, scenario);
        place.ok(scenario.command);
        prepared.states[1] = State::of(&place, scenario);
        prepared
    }

    /// A copy of what it starts from, to run it in.
    pub fn fresh(&self) -> Place {
        let mut place = Place::new();
        copy(&self.start.root(), place.directory.path());
        if let Some(pushed) = self.scenario.pushed {
            place.registry = Some(Registry::start());
            place.ok(pushed);
        }
        place
    }

    /// Runs the command in `place`, with a fault.
    pub fn follow(&self, place: &Place, fault: Fault, at: usize, observer: &mut dyn Observer) -> Traced {
        let (root, arguments) = (place.root(), place.words(self.scenario.command));
        let (directory, store) = (root.as_path(), &root.join("store"));
        Run { program: program(), arguments: &arguments, directory, store, fault, at }.follow(observer)
    }

    /// How many calls of the command a fault can befall.
    pub fn calls(&self, fault: Fault) -> usize {
        let traced = self.follow(&self.fresh(), fault, usize::MAX, &mut ());
        assert_eq!(traced.code, Some(0), "{}: {}", self.scenario.name, traced.stderr);
        traced.calls
    }

    /// What is wrong in `place` after the command ended with `code` (`None`: it was killed) and said `stderr`.
    pub fn problems(&self, place: &Place, code: Option<i32>, stderr: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut problem = |text: String| problems.push(text);
        let [before, after] = &self.states;
        let found = State::of(place, self.scenario);
        if code == Some(0) && found != *after {
            problem(format!("it succeeded, but left {}", found.difference(after)));
        }
        let is_either = |at: usize| [before, after].iter().any(|state| state.products[at] == found.products[at]);
        for (at, product) in self.scenario.products.iter().enumerate().filter(|(at, _)| !is_either(*at)) {
            problem(format!("{product} is neither old nor new: {:?}", found.products[at]));
        }
        if code.is_some() && ![before, after].iter().any(|state| state.filled == found.filled) {
            problem(format!("the directory is neither empty nor full: {:?}", found.filled));
        }
        for name in found.names.lines().filter(|name| !before.names.contains(name) && !after.names.contains(name)) {
            problem(format!("a name that nobody gave: {name}"));
        }
        verify(place, self.scenario).into_iter().for_each(&mut problem);
        match code {
            Some(101) => problem(format!("it panicked: {stderr}")),
            Some(code) if code != 0 && !stderr.contains("error: ") => problem(format!("exit {code} without a reason")),
            Some(code) if code != 0 && !names_a_path(stderr, place, self.scenario) => {
                problem(format!("the error names no path: {}", stderr.trim()));
            }
            Some(code) if code != 0 && ["damaged", "malformed"].iter().any(|word| stderr.contains(word)) => {
                problem(format!("nothing is damaged: {}", stderr.trim()));
            }
            _ => {}
        }
        self.again(place).into_iter().for_each(&mut problem);
        problems
    }

    /// What is wrong after the command ran once more, and the store was pruned.
    fn again(&self, place: &Place) -> Vec<String> {
        let mut problems = Vec::new();
        let [_, after] = &self.states;
        let done = State::of(place, self.scenario) == *after;
        let output = place.run(self.scenario.command);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        // What takes a name, or makes a directory, does so once.
        let is_once = self.scenario.command.starts_with("rm") || self.scenario.command.contains("--to");
        if !(output.status.success() || done && is_once) {
            problems.push(format!("a rerun fails: {}", stderr.trim()));
        }
        let found = State::of(place, self.scenario);
        if found != *after {
            problems.push(format!("a rerun leaves {}", found.difference(after)));
        }
        if place.has_store() {
            let pruned = place.run("prune");
            if !pruned.status.success() {
                problems.push(format!("pruning fails: {}", String::from_utf8_lossy(&pruned.stderr).trim()));
            }
        }
        problems.extend(leftovers(&place.root()).into_iter().map(|path| format!("left over: {path}")));
        problems
    }
}

impl State {
    const EMPTY: Self = Self { products: Vec::new(), filled: Vec::new(), names: String::new() };

    fn of(place: &Place, scenario: &Scenario) -> Self {
        let root = place.root();
        let products = scenario.products.iter().map(|product| listing_of(&root.join(product))).collect();
        let filled = scenario.filled.map(|filled| listing_of(&root.join(filled))).unwrap_or_default();
        let names = match place.has_store() {
            true => String::from_utf8(place.run("images").stdout).unwrap(),
            false => String::new(),
        };
        let layout = scenario.layout.map(|layout| fs::read_to_string(root.join(layout).join("index.json")));
        // The heading comes and goes with the first image, and the age of an image is no part of the state.
        let names: String =
            names.lines().skip(1).map(|line| line.split("  ").take(2).collect::<String>() + "\n").collect();
        let pushed = place.registry.as_ref().and_then(|registry| registry.manifest("app", "1"));
        let pushed = pushed.map(|(_, manifest)| String::from_utf8(manifest).unwrap()).unwrap_or_default();
        Self { products, filled, names: names + &layout.and_then(Result::ok).unwrap_or_default() + &pushed }
    }

    fn difference(&self, expected: &Self) -> String {
        match self.names == expected.names {
            true => format!("{:?} {:?}", self.products, self.filled),
            false => format!("the names {} for {}", self.names, expected.names),
        }
    }
}

/// Whatever has a name is whole.
fn verify(place: &Place, scenario: &Scenario) -> Vec<String> {
    let root = place.root();
    let mut sources: Vec<String> = Vec::new();
    if place.has_store() {
        let names = String::from_utf8(place.run("images --quiet").stdout).unwrap();
        sources.extend(names.lines().map(|name| format!("image:{name}")));
    }
    if let Some(layout) = scenario.layout.filter(|layout| root.join(layout).exists()) {
        sources.push(format!("oci:{layout}"));
    }
    if scenario.pushed.is_some() {
        sources.push("docker://REGISTRY/app:1".to_owned());
    }
    let is_archive = |product: &&&str| product.ends_with(".tar") && root.join(product).is_file();
    sources.extend(scenario.products.iter().filter(is_archive).map(|product| format!("docker-archive:{product}")));
    let check = |source: &String| {
        let output = place.run(&format!("verify {source}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (!output.status.success()).then(|| format!("{source} is broken: {}", said.trim()))
    };
    sources.iter().filter_map(check).collect()
}

/// Whether an error says which file, directory or registry it is about.
fn names_a_path(stderr: &str, place: &Place, scenario: &Scenario) -> bool {
    let error = stderr.find("error: ").map_or("", |at| &stderr[at..]);
    let root = place.root().display().to_string();
    let temporary = std::env::temp_dir().display().to_string();
    let known = ["tree", "other", "store/", "in.tar", "/etc", "/root", "layout", "files", "standard output"];
    let own = scenario.products.iter().chain(&scenario.filled).copied();
    [root.as_str(), &temporary, place.host()].into_iter().chain(known).chain(own).any(|word| error.contains(word))
}

/// Temporary files, in any directory.
fn leftovers(root: &Path) -> Vec<String> {
    let is_temporary = |line: &&String| {
        let path = line.split(' ').next().unwrap_or_default();
        path.contains(".longshore-") || path.contains("/ingest/") || path.contains("/leases/") || path.contains(".new")
    };
    listing_of(root).iter().filter(is_temporary).cloned().collect()
}
