//! Plugins that break, lie, hang or leave things behind: an error says which and what, and nothing remains.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longshore_core::{
    BuildResult, Error, ErrorKind, ExportFailure, ExporterRegistry, OutputSpec, Response, Session, Store, Work,
};
use longshore_external::{ExternalExporter, Limits, Plugin};
use longshore_testkit::{Warnings, sample, write_executable};
use tempfile::TempDir;

const LIMITS: Duration = Duration::from_millis(400);

/// A plugin in shell, which does `on_export` when it is asked to export.
struct Place(TempDir);

impl Place {
    fn new(description: &str, on_export: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let script = format!(
            r#"#!/bin/sh
say() {{ printf '%s\n' "$1"; }}
log={0}/log
read -r hello; say '{{"hello":{{"version":1}}}}'
read -r request
output=$(printf %s "$request" | sed -n 's/.*"output":{{"[a-z]*":"\([^"]*\)".*/\1/p')
case $request in
*'"describe"'*) say '{{"exporter":{{"summary":"A test",{description}}}}}' ;;
*'"resolve"'*) say '{{"resolved":{{}}}}' ;;
*'"export"'*) {on_export}
;;
esac
"#,
            place.path().display()
        );
        write_executable(&place.path().join("longshore-exporter-odd"), &script);
        fs::create_dir(place.path().join("to")).unwrap();
        fs::write(place.path().join("to/output"), "old").unwrap();
        Self(place)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn exporters(&self) -> ExporterRegistry {
        let limits = Limits::default().with_silence(LIMITS).with_grace(LIMITS);
        let plugin = Plugin::new(self.path("longshore-exporter-odd")).with_limits(limits);
        ExporterRegistry::default().with(ExternalExporter::new("odd", plugin).unwrap())
    }

    fn export_with(&self, specs: &[&str], work: Work) -> Result<Vec<Response>, ExportFailure> {
        let exporters = self.exporters();
        let specs: Vec<_> = specs.iter().map(|text| OutputSpec::parse(text).unwrap().unwrap()).collect();
        let resolved = Session::new(&exporters).with_work(work).resolve(&specs)?;
        resolved.export(&BuildResult::new(vec![sample::image(1, 2)]), Store::Spool)
    }

    fn export(&self, options: &str) -> Result<Vec<Response>, ExportFailure> {
        self.export_with(&[&format!("type=odd{options}")], Work::default())
    }

    fn dest(&self) -> String {
        format!(",dest={}", self.path("to/output").display())
    }

    fn log(&self) -> Vec<String> {
        fs::read_to_string(self.path("log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

const FILE: &str = r#""input":"layout","destination":"file","images":true"#;
const NONE: &str = r#""input":"tar","destination":"none""#;

/// Asserts that no process has this place in its command line.
fn assert_none_is_left(place: &Path) {
    let name = place.file_name().unwrap().to_str().unwrap().to_owned();
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let left = fs::read_dir("/proc").unwrap().flatten().find(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&name)
        });
        let Some(left) = left else { return };
        assert!(Instant::now() < until, "{:?} is left", left.path());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_plugin_that_breaks_the_protocol_is_named_and_nothing_is_left() {
    let said = r#"say '{"exported":{}}'"#;
    let file = format!(r#"printf new >"$output"; {said}"#);
    for (on_export, expected) in [
        ("exit 3", "longshore-exporter-odd ended with exit status 3 before it answered `export`"),
        ("kill -9 $$", "longshore-exporter-odd was ended by signal 9 before it answered `export`"),
        ("exec >&-; sleep 60", "longshore-exporter-odd closed its standard output before it answered `export`"),
        ("say hello", "longshore-exporter-odd sent a line that is not a message: `hello`"),
        ("say '{\"exported\":{},\"warning\":{}}'", "not a message with one key"),
        ("say '{\"exported\":7}'", "longshore-exporter-odd sent a line that is not right"),
        ("head -c 1200000 /dev/zero", "longshore-exporter-odd sent a message of more than 1024 KiB"),
        ("sleep 60", "longshore-exporter-odd said nothing for 0.4 seconds, asked to `export`"),
        ("say '{\"resolved\":{}}'", "longshore-exporter-odd answered `export` with `resolved`"),
        (said, "longshore-exporter-odd made nothing as its output"),
        (&format!(r#"ln -s /etc/passwd "$output"; {said}"#), "made something else than a file as its output"),
        (&format!(r#"mkdir "$output"; {said}"#), "made something else than a file as its output"),
        (&format!("{file}; exit 1"), "longshore-exporter-odd answered, and then ended with exit status: 1"),
        (&format!("{file}; sleep 60"), "longshore-exporter-odd did not end within 0.4 seconds of its last answer"),
        (
            &format!("sleep 60 </dev/null >/dev/null 2>&1 & {file}"),
            "longshore-exporter-odd ended, but left processes running",
        ),
        (&format!("sh -c 'sleep 60; : '{} & exit 0", "$log"), "ended with exit status 0 before it answered `export`"),
        (
            r#"say '{"failed":{"kind":"denied","message":"cannot reach the shelf","hint":"ask the owner","causes":["a","b"]}}'"#,
            "cannot reach the shelf: a: b",
        ),
    ] {
        let place = Place::new(FILE, on_export);
        let failure = place.export(&place.dest()).unwrap_err();
        let error = failure.error.with_causes();
        assert!(
            error.contains(expected) && error.starts_with("cannot export to type=odd,dest="),
            "{on_export}: {error}"
        );
        assert_eq!(fs::read_to_string(place.path("to/output")).unwrap(), "old", "{on_export}");
        assert_eq!(fs::read_dir(place.path("to")).unwrap().count(), 1, "{on_export}");
        assert_none_is_left(place.0.path());
    }
}

/// What a plugin says of an error is for programs, too.
#[test]
fn an_error_of_a_plugin_keeps_its_kind_and_hint() {
    let place = Place::new(FILE, r#"say '{"failed":{"kind":"denied","message":"no","hint":"ask\nthe owner"}}'"#);
    let error = place.export(&place.dest()).unwrap_err().error;
    assert_eq!((error.kind(), error.hint()), (ErrorKind::Denied, Some("ask the owner")));
}

#[test]
fn an_image_that_was_not_handed_over_is_not_reported() {
    let digest = "a".repeat(64);
    let lie = format!(
        r#"printf new >"$output"; say '{{"exported":{{"images":[{{"root":{{"mediaType":"a/b","digest":"sha256:{digest}","size":7}}}}]}}}}'"#
    );
    let place = Place::new(FILE, &lie);
    let error = place.export(&place.dest()).unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.with_causes().contains("which it was not given"), "{}", error.with_causes());
    assert_eq!(fs::read_to_string(place.path("to/output")).unwrap(), "old");
}

#[test]
fn what_a_later_version_says_is_passed_over_and_warnings_are_shown() {
    let place = Place::new(
        FILE,
        r#"say '{"novelty":{"a":1}}'; say '{"alive":{}}'; say '{"warning":{"message":"it\u001b[31m rains"}}'
           echo 'for people' >&2; printf new >"$output"; say '{"exported":{}}'"#,
    );
    let (work, warnings) = Warnings::listen();
    let responses = place.export_with(&[&format!("type=odd{}", place.dest())], work).unwrap();
    assert_eq!(
        (responses[0].images.len(), fs::read_to_string(place.path("to/output")).unwrap()),
        (1, "new".to_owned())
    );
    let mut said = warnings.messages();
    said.sort();
    assert_eq!(said, ["longshore-exporter-odd: for people", "longshore-exporter-odd: it [31m rains"]);
}

#[test]
fn a_flood_of_text_is_cut() {
    let flood = r#"yes 'a line of text' | head -n 50000 >&2; printf new >"$output"; say '{"exported":{}}'"#;
    let place = Place::new(FILE, flood);
    let (work, warnings) = Warnings::listen();
    place.export_with(&[&format!("type=odd{}", place.dest())], work).unwrap();
    let said = warnings.messages();
    assert_eq!(
        (said.len(), said.last().unwrap().as_str()),
        (100, "longshore-exporter-odd says more than is shown here")
    );
}

/// A plugin that makes its output visible itself is told when, or not at all.
#[test]
fn a_plugin_publishes_when_it_is_told_and_discards_if_a_sibling_fails() {
    let own = r#"say '{"exported":{}}'; read -r next; printf '%s\n' "$next" >>"$log"
        case $next in *publish*) say '{"published":{"destination":"the shelf"}}' ;; *) say '{"discarded":{}}' ;; esac"#;
    let place = Place::new(NONE, own);
    let responses = place.export("").unwrap();
    assert_eq!(responses[0].destination.as_deref(), Some("the shelf"));
    assert_eq!(place.log(), [r#"{"publish":{}}"#]);
    let place = Place::new(NONE, own);
    let exporters = place.exporters();
    let resolved = Session::new(&exporters).resolve(&[OutputSpec::parse("type=odd").unwrap().unwrap()]).unwrap();
    let result = BuildResult::new(vec![sample::image(1, 2)]);
    resolved.export_when(&result, Store::Spool, || Err(Error::input("a sibling failed"))).unwrap_err();
    assert_eq!(place.log(), [r#"{"discard":{}}"#]);
    // One that does it before it was told has not exported.
    let place = Place::new(NONE, r#"say '{"published":{}}'"#);
    let error = place.export("").unwrap_err().error.with_causes();
    assert!(error.contains("longshore-exporter-odd answered `export` with `published`"), "{error}");
}

#[test]
fn a_cancelled_run_tells_the_plugin_and_then_kills_it() {
    for (on_export, expected) in [
        (
            r#": >"$log.begun"; read -r next; printf '%s\n' "$next" >>"$log"; say '{"failed":{"kind":"cancelled","message":"cancelled"}}'"#,
            1,
        ),
        (r#"trap '' TERM INT; : >"$log.begun"; while :; do sleep 1; done"#, 0),
    ] {
        let place = Place::new(FILE, on_export);
        let work = Work::default();
        let cancel = work.cancel.clone();
        let begun_file = place.path("log.begun");
        let canceller = std::thread::spawn(move || {
            while !begun_file.exists() && !cancel.is_cancelled() {
                std::thread::sleep(LIMITS / 100);
            }
            cancel.cancel();
        });
        let begun = Instant::now();
        let failure = place.export_with(&[&format!("type=odd{}", place.dest())], work).unwrap_err();
        canceller.join().unwrap();
        assert_eq!(failure.error.kind(), ErrorKind::Cancelled, "{}", failure.error.with_causes());
        assert_eq!(place.log(), vec![r#"{"cancel":{}}"#.to_owned(); expected]);
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(fs::read_dir(place.path("to")).unwrap().count(), 1);
        assert_none_is_left(place.0.path());
    }
}

#[test]
fn a_plugin_that_does_not_describe_itself_is_refused() {
    for (description, expected) in [
        (r#""input":"layout","destination":"file","options":[{"key":"Bad key","help":"h"}]"#, "an option `Bad key`"),
        (r#""input":"layout","destination":"file","options":[{"key":"dest","help":"h"}]"#, "an option `dest`"),
        (
            r#""input":"layout","destination":"file","options":[{"key":"a","help":"h"},{"key":"a","help":"h"}]"#,
            "two options `a`",
        ),
        (
            r#""input":"layout","destination":"file","options":[{"key":"a","help":""}]"#,
            "whose texts are not of one line",
        ),
        (r#""input":"pipe","destination":"file""#, "a line that is not right"),
        (r#""destination":"file""#, "missing field `input`"),
    ] {
        let place = Place::new(description, "exit 1");
        let plugin = Plugin::new(place.path("longshore-exporter-odd"));
        let error = ExternalExporter::new("odd", plugin).unwrap_err().with_causes();
        assert!(error.contains(expected) && error.contains("longshore-exporter-odd"), "{description}: {error}");
    }
}

/// Credentials, and whatever else is in an environment, are not for every program.
#[test]
fn the_environment_is_a_list() {
    let place = Place::new(FILE, r#"env | sed 's/=.*//' | sort >"$log"; printf new >"$output"; say '{"exported":{}}'"#);
    place.export(&place.dest()).unwrap();
    let known = longshore_external::host::ENVIRONMENT;
    for name in place.log() {
        let is_of_shell = matches!(name.as_str(), "PWD" | "OLDPWD" | "SHLVL" | "_" | "HOME");
        assert!(is_of_shell || known.contains(&name.as_str()) || name.starts_with("LC_"), "{name}");
    }
    assert!(std::env::vars().count() > place.log().len(), "the test has nothing to hide");
}

/// A killed plugin loses its own work, and nothing else: at whatever message it happens.
#[test]
fn a_plugin_that_is_killed_at_any_message_leaves_the_destination() {
    let path = std::env::current_exe().unwrap();
    let real = path.ancestors().nth(2).unwrap().join("examples/longshore-exporter-oci");
    let mut completed = false;
    for number in 1..200 {
        let place = Place::new(FILE, "");
        let killing = format!(
            "#!/bin/sh\n{} | {{ n=0; while read -r line; do n=$((n + 1)); case $line in *exporter*|*resolved*) n=0 ;; esac\n\
             [ $n = {} ] && kill -9 0; printf '%s\\n' \"$line\"; done; }}\n",
            real.display(),
            number + 1
        );
        write_executable(&place.path("longshore-exporter-odd"), &killing);
        match place.export(&place.dest()) {
            Ok(_) => {
                completed = true;
                break;
            }
            Err(failure) => {
                let error = failure.error.with_causes();
                assert!(error.contains("longshore-exporter-odd was ended by signal 9"), "{number}: {error}");
                assert_eq!(fs::read_to_string(place.path("to/output")).unwrap(), "old", "{number}");
                assert_eq!(fs::read_dir(place.path("to")).unwrap().count(), 1, "{number}");
            }
        }
    }
    assert!(completed);
}
