//! Exporters and frontends that are programs of their own, as the command finds and offers them: the examples of the
//! documentation, and plugins that want to be more than they are.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[allow(dead_code, reason = "not all of it is asked here")]
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_testkit::{are_installed, write_executable};
use run::{Ran, Workdir};
use serde_json::Value;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples").canonicalize().unwrap()
}

struct Place(Workdir);

impl Place {
    /// With a tree, and the plugins in these directories.
    fn new() -> Self {
        let work = Workdir::new();
        fs::create_dir_all(work.path("tree/d")).unwrap();
        fs::write(work.path("tree/a"), "a").unwrap();
        fs::write(work.path("tree/d/b"), "b").unwrap();
        fs::hard_link(work.path("tree/a"), work.path("tree/d/same")).unwrap();
        Self(work)
    }

    fn command(&self, directories: &[&Path], arguments: &[&str]) -> Command {
        let mut command = self.0.command(arguments);
        command.env("LONGSHORE_PLUGINS", std::env::join_paths(directories).unwrap());
        command.env("XDG_CACHE_HOME", self.0.path("cache"));
        command
    }

    fn run(&self, directories: &[&Path], arguments: &[&str]) -> Ran {
        self.command(directories, arguments).output().unwrap().into()
    }

    fn ok(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(&[&examples()], arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        ran
    }

    /// A plugin in shell, which answers `describe` and `export` so.
    fn plugin(&self, name: &str, describe: &str, export: &str) -> PathBuf {
        let directory = self.0.path("plugins");
        fs::create_dir_all(&directory).unwrap();
        let script = format!(
            "#!/bin/sh\nread -r hello; echo '{{\"hello\":{{\"version\":1}}}}'\nread -r request\n\
             output=$(printf %s \"$request\" | sed -n 's/.*\"file\":\"\\([^\"]*\\)\".*/\\1/p')\ncase $request in\n\
             *'\"describe\"'*) echo x >>{}/asked; echo '{describe}' ;;\n*'\"resolve\"'*) echo '{{\"resolved\":{{}}}}' ;;\n\
             *) {export} ;;\nesac\n",
            self.0.path("").display(),
        );
        write_executable(&directory.join(name), &script);
        directory
    }
}

const WRITES: &str = r#"env >"$output"; echo '{"exported":{}}'"#;

#[test]
fn the_examples_are_short() {
    for (name, most) in
        [("longshore-exporter-checksums", 60), ("longshore-exporter-listing", 40), ("longshore-frontend-git", 40)]
    {
        let lines = fs::read_to_string(examples().join(name)).unwrap().lines().count();
        assert!(lines < most, "{name} has {lines} lines");
    }
}

#[test]
fn an_exporter_in_python_writes_checksums_that_sha256sum_checks() {
    if !are_installed(&["python3", "sha256sum"]) {
        return;
    }
    let place = Place::new();
    let ran = place.ok(&["export", "rootfs:tree", "--no-store", "-o", "type=checksums,dest=sums", "-o", "files"]);
    assert!(ran.stderr.contains("checksums"), "no progress: {}", ran.stderr);
    let checked =
        Command::new("sha256sum").args(["--check", "../sums"]).current_dir(place.0.path("files")).output().unwrap();
    assert!(checked.status.success());
    assert_eq!(String::from_utf8(checked.stdout).unwrap(), "a: OK\nd/b: OK\nd/same: OK\n");
    let sums = place.ok(&["export", "rootfs:tree", "-o", "type=checksums,algorithm=md5,include=d/b,dest=-"]).stdout;
    assert_eq!(String::from_utf8(sums).unwrap(), "92eb5ffee6ae2fec3ad71c777531578f  d/b\n");
}

#[test]
fn an_exporter_in_shell_lists_files() {
    if !are_installed(&["jq", "tar"]) {
        return;
    }
    let place = Place::new();
    let names = place.ok(&["export", "rootfs:tree", "-o", "type=listing,names=true"]).stdout;
    assert_eq!(String::from_utf8(names).unwrap(), "a\nd/\nd/b\nd/same\n");
    let listing =
        String::from_utf8(place.ok(&["export", "rootfs:tree", "-o", "type=listing,chown=7:8"]).stdout).unwrap();
    assert!(listing.lines().count() == 4 && listing.lines().all(|line| line.contains(" 7/8 ")), "{listing}");
}

#[test]
fn a_frontend_in_python_gives_the_files_of_a_commit() {
    if !are_installed(&["python3", "git"]) {
        return;
    }
    let place = Place::new();
    for arguments in [
        &["init", "--quiet"][..],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=m"],
    ] {
        let git = Command::new("git").args(arguments).current_dir(place.0.path("tree")).status().unwrap();
        assert!(git.success(), "{arguments:?}");
    }
    fs::write(place.0.path("tree/new"), "").unwrap();
    let names = |source: &str| String::from_utf8(place.ok(&["export", source, "-o", "type=listing,names=true"]).stdout);
    assert_eq!(names("git:tree").unwrap(), "a\nd/\nd/b\nd/same\n");
    place.ok(&["export", "git:tree,rev=HEAD", "-o", "type=oci,dest=a.tar,name=a:1"]);
    let ran = place.run(&[&examples()], &["export", "git:tree,rev=none", "-o", "type=oci,dest=b.tar"]);
    let expected =
        "error: cannot read git:tree\n  caused by: git cannot archive it\n  caused by: fatal: not a valid object name";
    assert!(ran.code == Some(3) && ran.stderr.starts_with(expected), "{}", ran.stderr);
    assert!(!place.0.path("b.tar").exists());
}

#[test]
fn plugins_are_listed_and_a_word_that_is_nearly_one_is_named() {
    let place = Place::new();
    let listed: Value = serde_json::from_slice(&place.ok(&["exporters", "--json"]).stdout).unwrap();
    let found: Vec<_> = listed.as_array().unwrap().iter().filter(|info| info["program"].is_string()).collect();
    let kinds: Vec<_> = found.iter().map(|info| info["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["checksums", "listing"]);
    assert_eq!(found[0]["program"], examples().join("longshore-exporter-checksums").to_str().unwrap());
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .all(|info| { info["origin"] == if info["program"].is_string() { "plugin" } else { "built-in" } })
    );
    let oci = String::from_utf8(place.ok(&["exporters", "oci"]).stdout).unwrap();
    assert!(oci.lines().nth(1) == Some("  (built in)"), "{oci}");
    let keys = found[0]["options"].as_array().unwrap().iter().map(|option| option["key"].as_str().unwrap());
    assert_eq!(keys.take(3).collect::<Vec<_>>(), ["dest", "algorithm", "platform-split"]);
    let sources = String::from_utf8(place.ok(&["sources", "git"]).stdout).unwrap();
    assert!(sources.starts_with("git:REPOSITORY  the files of a commit in a git repository\n  (plugin /"), "{sources}");
    for (arguments, expected) in [
        (
            ["export", "rootfs:tree", "-o", "type=checksum,dest=x"],
            "error: unknown exporter `checksum`\nhint: did you mean `checksums`?\n",
        ),
        (["export", "got:tree", "-o", "type=oci,dest=x"], "error: unknown source `got`\nhint: did you mean `git:`?\n"),
        (
            ["export", "rootfs:tree", "-o", "type=checksums,algoritm=md5,dest=x"],
            "error: type=checksums has no option `algoritm` at column 16\nhint: did you mean `algorithm`?\n",
        ),
        (
            ["export", "rootfs:tree", "-o", "type=checksums,algorithm=crc,dest=x"],
            "error: option `algorithm` of type=checksums at column 16: expected sha256|sha512|md5, not `crc`\n",
        ),
    ] {
        let ran = place.run(&[&examples()], &arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected));
    }
}

/// A run asks a plugin what it is once, until it changes; one that is not asked for is not run.
#[test]
fn only_what_is_asked_for_is_run_and_what_it_said_is_kept() {
    let place = Place::new();
    let describe = r#"{"exporter":{"summary":"A test","input":"tar","destination":"file"}}"#;
    let plugins = place.plugin("longshore-exporter-odd", describe, WRITES);
    let asked = || fs::read_to_string(place.0.path("asked")).unwrap_or_default().lines().count();
    let run = |arguments: &[&str]| assert_eq!(place.run(&[&plugins], arguments).code, Some(0));
    run(&["export", "rootfs:tree", "-o", "type=oci,dest=a.tar"]);
    assert_eq!(asked(), 0);
    run(&["exporters"]);
    run(&["exporters", "odd"]);
    run(&["export", "rootfs:tree", "-o", "type=odd,dest=a"]);
    assert_eq!(asked(), 1);
    place.plugin("longshore-exporter-odd", &describe.replace("A test", "Another"), WRITES);
    let listed = String::from_utf8(place.run(&[&plugins], &["exporters", "odd"]).stdout).unwrap();
    assert!(listed.starts_with("type=odd  Another\n") && asked() == 2, "{listed}");
    // One that does not work is no reason to list none.
    place.plugin("longshore-exporter-broken", "what?", WRITES);
    let ran = place.run(&[&plugins], &["exporters"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("longshore-exporter-broken is left out: "), "{}", ran.stderr);
    let ran = place.run(&[&plugins], &["export", "rootfs:tree", "-o", "type=broken,dest=b"]);
    assert!(
        ran.code != Some(0) && ran.stderr.contains("longshore-exporter-broken sent a line that is not a message"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_plugin_takes_no_place_that_is_taken_unless_it_may() {
    let place = Place::new();
    let describe = r#"{"exporter":{"summary":"A test","input":"tar","destination":"file"}}"#;
    let plugins = place.plugin("longshore-exporter-oci", describe, r#"echo mine >"$output"; echo '{"exported":{}}'"#);
    let export = ["export", "rootfs:tree", "-o", "type=oci,dest=a"];
    assert_eq!(place.run(&[&plugins], &export).code, Some(0));
    assert!(fs::metadata(place.0.path("a")).unwrap().len() > 1000);
    assert_eq!(place.run(&[&plugins], &[&export[..], &["--allow-shadow"]].concat()).code, Some(0));
    assert_eq!(fs::read_to_string(place.0.path("a")).unwrap(), "mine\n");
    let listed = place.run(&[&plugins], &["exporters"]);
    assert!(
        listed.stderr.ends_with("longshore-exporter-oci is not used without --allow-shadow: type=oci exists\n"),
        "{}",
        listed.stderr
    );
    assert!(!String::from_utf8(listed.stdout).unwrap().contains("plugin"));
}

#[test]
fn credentials_are_for_plugins_that_ask_if_the_user_says_so() {
    let place = Place::new();
    let given = |credentials: bool, flags: &[&str]| {
        let describe = format!(
            r#"{{"exporter":{{"summary":"A test","input":"tar","destination":"file","credentials":{credentials}}}}}"#
        );
        let plugins = place.plugin("longshore-exporter-odd", &describe, WRITES);
        let mut command =
            place.command(&[&plugins], &[&["export", "rootfs:tree", "-o", "type=odd,dest=env"][..], flags].concat());
        command.env("DOCKER_CONFIG", "/secret").env("AWS_SECRET_ACCESS_KEY", "secret").env("LC_TIME", "C");
        let ran: Ran = command.output().unwrap().into();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let env = fs::read_to_string(place.0.path("env")).unwrap();
        assert!(env.contains("LC_TIME=C\n") && !env.contains("AWS_"), "{env}");
        let home = format!("HOME={}\n", std::env::home_dir().unwrap().display());
        assert_eq!(env.contains("DOCKER_CONFIG=/secret\n"), env.contains(&home), "{env}");
        env.contains("DOCKER_CONFIG")
    };
    let allow = &["--plugin-credentials"][..];
    assert_eq!(
        [given(false, &[]), given(true, &[]), given(false, allow), given(true, allow)],
        [false, false, false, true]
    );
}

#[test]
fn a_new_plugin_works_and_passes_its_test() {
    if !are_installed(&["python3", "jq"]) {
        return;
    }
    let place = Place::new();
    for language in ["python", "sh"] {
        place.ok(&["plugin", "new", language, "--language", language]);
        let mut test = Command::new(place.0.path(language).join("test.sh"));
        let ran: Ran = test.env("LONGSHORE", env!("CARGO_BIN_EXE_longshore")).output().unwrap().into();
        let said = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.code == Some(0) && said.ends_with("16 promises kept, 0 broken\n"), "{said}\n{}", ran.stderr);
        let directory = place.0.path(language);
        let ran = place.run(&[&directory], &["export", "rootfs:tree", "-o", &format!("type={language},dest=-")]);
        assert!(ran.stdout.starts_with(b"a"), "{}", ran.stderr);
    }
    let again = place.run(&[], &["plugin", "new", "sh", "--language", "sh"]);
    assert!(again.code == Some(2) && again.stderr.contains("it is there already"), "{}", again.stderr);
    assert_eq!(place.run(&[], &["plugin", "new", "../x", "--language", "sh"]).code, Some(2));
}

/// The workspace.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What it builds comes from this workspace: its lock file and its profiles make the crates of others the same, which are
/// in the target directory of this test.
fn build_as_here(crate_directory: &Path) {
    fs::copy(checkout().join("Cargo.lock"), crate_directory.join("Cargo.lock")).unwrap();
    let workspace = fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
    let profiles = &workspace[workspace.find("[profile.dev]").unwrap()..];
    let manifest = crate_directory.join("Cargo.toml");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + "\n" + profiles).unwrap();
}

#[test]
fn a_new_plugin_in_rust_works_and_passes_its_test() {
    let place = Place::new();
    let here = checkout();
    place.ok(&["plugin", "new", "rust-1", "--language", "rust", "--longshore", here.to_str().unwrap()]);
    let directory = place.0.path("rust-1");
    build_as_here(&directory);
    // `target/tmp` is in the directory that all builds here share.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut test = Command::new(directory.join("test.sh"));
    test.args(["--offline", "--quiet"]).env("CARGO_TARGET_DIR", target).env("CARGO", env!("CARGO"));
    let ran: Ran = test.output().unwrap().into();
    assert!(ran.code == Some(0), "{}\n{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
    let passed = String::from_utf8(ran.stdout).unwrap().matches("2 passed").count();
    assert_eq!(passed, 1, "its two tests");
    let built = target.join("debug");
    let ran = place.run(&[&built], &["export", "rootfs:tree", "-o", "type=rust-1,exclude=a,dest=-"]);
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "d 0\nd/b 1\nd/same 1\n", "{}", ran.stderr);
    let ran = place.run(&[&built], &["export", "rootfs:tree", "-o", "type=rust-1,sizes=false,include=a,dest=-"]);
    assert_eq!(ran.stdout, b"a\n");
}

/// Without a checkout, the crates are those of this version.
#[test]
fn a_new_plugin_in_rust_depends_on_this_version() {
    let place = Place::new();
    place.ok(&["plugin", "new", "mine", "--language", "rust"]);
    let manifest = String::from_utf8(place.0.read("mine/Cargo.toml")).unwrap();
    let line = format!("\nlongshore-external = \"{}\"\n", env!("CARGO_PKG_VERSION"));
    assert!(manifest.contains(&line) && !manifest.contains('@'), "{manifest}");
    let ran = place.run(&[], &["plugin", "new", "other", "--language", "rust", "--longshore", "tree"]);
    assert!(ran.code != Some(0) && ran.stderr.contains("there is no longshore-core in /"), "{}", ran.stderr);
    let ran = place.run(&[], &["plugin", "new", "other", "--language", "sh", "--longshore", "tree"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--longshore is for --language rust"), "{}", ran.stderr);
    assert!(!place.0.path("other").exists());
}

#[test]
fn the_examples_keep_what_exporters_promise() {
    if !are_installed(&["python3", "jq"]) {
        return;
    }
    let place = Place::new();
    for name in ["longshore-exporter-checksums", "longshore-exporter-listing"] {
        let ran = place.ok(&["plugin", "test", examples().join(name).to_str().unwrap()]);
        assert!(String::from_utf8(ran.stdout).unwrap().ends_with("16 promises kept, 0 broken\n"), "{name}");
    }
}

/// One that writes the time, and not even twice the same.
#[test]
fn what_a_plugin_breaks_is_said() {
    let place = Place::new();
    let describe = r#"{"exporter":{"summary":"A test","input":"tar","destination":"file"}}"#;
    let plugins = place.plugin("longshore-exporter-odd", describe, r#"date +%N >"$output"; echo '{"exported":{}}'"#);
    let ran = place.run(&[], &["plugin", "test", plugins.join("longshore-exporter-odd").to_str().unwrap()]);
    let said = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.code, Some(3), "{said}");
    assert!(said.contains("  ok      its info is well formed\n"), "{said}");
    assert!(said.contains("  BROKEN  exporting again changes nothing\n          "), "{said}");
}
