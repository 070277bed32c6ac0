//! How much the image store keeps by itself, and how progress is shown.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use run::Workdir;
use serde_json::Value;

fn du(work: &Workdir, keep: &str) -> Value {
    let output = work.command(&["du", "--json"]).env("LONGSHORE_KEEP_STORAGE", keep).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn layers_made_before_are_kept_up_to_a_size() {
    let work = Workdir::new();
    let export = |name: &str, keep: &str| {
        // Text that does not compress to nothing.
        let text: String = (0..20_000_u32).map(|at| format!("{name}{} ", at.wrapping_mul(2_654_435_761))).collect();
        work.write(&format!("{name}/file"), text);
        let output = format!("type=oci,dest={name}.tar");
        let arguments = ["export", name, "-o", &output, "-o", "type=oci,dest=again.tar"];
        let ran = work.command(&arguments).env("LONGSHORE_KEEP_STORAGE", keep).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let made = |keep: &str| du(&work, keep)["usage"]["made"]["count"].as_u64().unwrap();
    export("a", "1GB");
    work.ok(&["export", "a", "-o", "type=image,name=named:1"]);
    work.ok(&["rm", "named:1"]);
    let (first, unused) = (made("1GB"), du(&work, "1GB")["usage"]["unused"]["count"].as_u64().unwrap());
    assert!(first == 1 && unused > 0, "{first} {unused}");
    export("b", "1GB");
    assert_eq!(made("1GB"), 2);
    let size = du(&work, "1GB")["usage"]["made"]["bytes"].as_u64().unwrap();
    export("c", &format!("{}B", size * 6 / 5));
    assert_eq!(made("1GB"), 2, "the oldest is gone");
    assert!(du(&work, "1GB")["usage"]["unused"]["count"].as_u64() >= Some(unused), "nothing else is removed");
    let shown = String::from_utf8(work.ok(&["du"]).stdout).unwrap();
    assert!(shown.contains("at most ") && shown.contains(" are kept\n"), "{shown}");
    assert_eq!(du(&work, "5MB")["limit"], 5_000_000);
    let bad = work.command(&["du"]).env("LONGSHORE_KEEP_STORAGE", "much").output().unwrap();
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
fn json_has_times_and_errors() {
    let work = Workdir::new();
    work.write("tree/file", "content");
    let ran = work.ok(&["export", "tree", "--progress=rawjson", "-o", "type=oci,dest=x.tar"]);
    let events: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["ms"].is_u64()) && events.len() > 2, "{}", ran.stderr);
    let failed = work.run(&["export", "tree", "--layer", "missing", "--progress=json", "-o", "type=oci,dest=x.tar"]);
    let error: Value = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&error["event"], &error["message"]), (&"error".into(), &"cannot read layer missing".into()));
    assert_eq!(work.ok(&["export", "tree", "-q", "-o", "type=oci,dest=x.tar"]).stderr, "");
}

/// Runs a line in a terminal of tmux, and returns what the terminal shows in the end.
fn in_terminal(work: &Workdir, columns: usize, line: &str) -> Option<String> {
    let socket = work.path("tmux").display().to_string();
    let tmux = |arguments: &[&str]| {
        let mut tmux = std::process::Command::new("tmux");
        tmux.args(["-S", &socket, "-f", "/dev/null"])
            .args(arguments)
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .output()
    };
    let (columns, line) = (columns.to_string(), format!("{line}; echo status $?; exec sleep 60"));
    let start = ["new-session", "-d", "-x", &columns, "-y", "30", &line];
    if tmux(&start).is_err() {
        assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "tmux is missing");
        println!("skipped: tmux is missing");
        return None;
    }
    let mut shown = String::new();
    for _ in 0..300 {
        shown = String::from_utf8(tmux(&["capture-pane", "-p"]).unwrap().stdout).unwrap();
        if shown.contains("status ") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    tmux(&["kill-server"]).unwrap();
    Some(shown)
}

#[test]
fn what_is_done_stays_on_the_terminal() {
    let work = Workdir::new();
    work.write("tree/file", "content");
    let long = "a-directory-with-a-very-long-name-that-would-not-fit-into-the-eighty-columns-of-a-terminal";
    work.write(&format!("{long}/file"), "other");
    let (binary, root, store) = (env!("CARGO_BIN_EXE_longshore"), work.root().display(), work.store().display());
    for columns in [80, 120] {
        let line = format!(
            "cd {root}; LONGSHORE_ROOT={store} {binary} export tree --no-store --layer {long} -o type=oci,dest=x.tar"
        );
        let Some(shown) = in_terminal(&work, columns, &line) else { return };
        let lines: Vec<&str> = shown.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        assert!(shown.contains("status 0"), "{shown}");
        let ticks: Vec<_> = lines.iter().filter(|line| line.starts_with("✓ ")).collect();
        assert!(ticks[0].starts_with("✓ layer ") && ticks.len() >= 2, "{shown}");
        assert!(ticks.iter().all(|tick| tick.chars().count() < 80), "a line a step: {shown}");
        assert!(ticks.iter().any(|tick| tick.contains("that-would-not-fit-into") && tick.contains('…')), "{shown}");
        let last = &lines[ticks.len()..];
        assert!(last[0].contains(" steps, ") && last[0].ends_with(" s"), "{shown}");
        assert!(last[1].starts_with("exported sha256:") && last.contains(&"status 0"), "{shown}");
    }
}
