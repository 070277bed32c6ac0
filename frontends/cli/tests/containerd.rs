//! containerd as the image store of the command, and as a source: what it runs, keeps and removes.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use longshore_testkit::containerd::{Containerd, Options, Release};
use longshore_testkit::sample::Random;
use run::Workdir;

const NAME: &str = "docker.io/library/app:1";

/// Says what a file of another layer says.
const PROGRAM: &str = r#"
#include <stdio.h>
int main(void) {
    char text[64] = "";
    FILE *file = fopen("/data/text", "r");
    if (!file || !fgets(text, sizeof text, file)) return 3;
    if (fopen("/data/deleted", "r")) return 4;
    return puts(text) < 0;
}
"#;

fn daemons() -> impl Iterator<Item = Containerd> {
    Release::ALL.into_iter().filter_map(|release| Containerd::start(release, Options::default()))
}

/// A tree with a static program, and two layers for its directory `/data`: the second one changes the first.
fn sources(work: &Workdir) -> Vec<String> {
    work.write("program.c", PROGRAM);
    std::fs::create_dir_all(work.path("tree/bin")).unwrap();
    let compiled = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .arg(work.path("tree/bin/program"))
        .arg(work.path("program.c"))
        .status();
    assert!(compiled.unwrap().success(), "a static program needs cc and libc.a");
    work.write("lower/text", "of the lower layer");
    work.write("lower/deleted", "hidden by the upper layer");
    work.write("upper/text", "of the upper layer");
    work.write("upper/.wh.deleted", "");
    for layer in ["lower", "upper"] {
        let mut tar = Command::new("tar");
        tar.current_dir(work.root()).args(["--owner=0", "--group=0", "-cf"]).arg(format!("{layer}.tar"));
        assert!(tar.arg(format!("--transform=s,^{layer},data,")).arg(layer).status().unwrap().success());
    }
    let words = ["rootfs:tree", "--layer", "lower.tar", "--layer", "upper.tar", "--entrypoint", "/bin/program"];
    words.map(str::to_owned).to_vec()
}

fn store(daemon: &Containerd, snapshotter: &str) -> String {
    format!("containerd:{},snapshotter={snapshotter}", daemon.socket().display())
}

/// The command that exports the sources to a store.
fn export<'a>(sources: &'a [String], store: &'a str) -> Vec<&'a str> {
    let output = "type=image,name=app:1,unpack=true";
    let words = ["export", "--progress=quiet", "--store", store, "-o", output];
    words.into_iter().chain(sources.iter().map(String::as_str)).collect()
}

fn run(daemon: &Containerd, snapshotter: &str) -> String {
    // Where both see it.
    let pipes = daemon.place().join("pipes").display().to_string();
    let words = ["run", "--rm", "--fifo-dir", &pipes, "--snapshotter", snapshotter, NAME, "container"];
    daemon.ctr_ok("default", &words)
}

/// Everything that a containerd has in the namespace, without headings: images, leases, content, snapshots.
fn remains(daemon: &Containerd) -> Vec<String> {
    let mut found = Vec::new();
    for words in [&["images", "ls", "-q"][..], &["leases", "ls", "-q"], &["content", "ls", "-q"]] {
        found.extend(daemon.ctr_ok("default", words).lines().map(str::to_owned));
    }
    for words in [
        &["content", "active"][..],
        &["snapshots", "--snapshotter", "overlayfs", "ls"],
        &["snapshots", "--snapshotter", "native", "ls"],
    ] {
        found.extend(daemon.ctr_ok("default", words).lines().skip(1).map(str::to_owned));
    }
    found
}

/// What of content and snapshots is on the disk.
fn files(daemon: &Containerd) -> Vec<String> {
    let root = daemon.place().join("root");
    let places = [
        "io.containerd.content.v1.content/blobs/sha256",
        "io.containerd.content.v1.content/ingest",
        "io.containerd.snapshotter.v1.overlayfs/snapshots",
        "io.containerd.snapshotter.v1.native/snapshots",
    ];
    let names = |place: &str| {
        let entries = std::fs::read_dir(root.join(place)).map(|entries| entries.flatten().collect::<Vec<_>>());
        let name = |entry: &std::fs::DirEntry| format!("{place}/{}", entry.file_name().display());
        entries.unwrap_or_default().iter().map(name).collect::<Vec<_>>()
    };
    places.into_iter().flat_map(names).collect()
}

#[test]
fn an_unpacked_image_runs_and_goes_with_its_name() {
    let work = Workdir::new();
    let sources = sources(&work);
    for daemon in daemons() {
        for snapshotter in ["overlayfs", "native"] {
            let store = store(&daemon, snapshotter);
            work.ok(&export(&sources, &store));
            assert_eq!(daemon.ctr_ok("default", &["leases", "ls", "-q"]), "", "the lease ends with the command");
            let before = remains(&daemon);
            daemon.collect();
            assert_eq!(remains(&daemon), before);
            let layers = daemon.ctr_ok("default", &["snapshots", "--snapshotter", snapshotter, "ls"]);
            assert_eq!(layers.lines().filter(|line| line.trim_end().ends_with("Committed")).count(), 3, "{layers}");
            assert_eq!(run(&daemon, snapshotter), "of the upper layer\n", "{snapshotter} {:?}", daemon.release());
            // The same again changes nothing.
            work.ok(&export(&sources, &store));
            daemon.collect();
            assert_eq!(remains(&daemon), before);
            daemon.ctr_ok("default", &["images", "rm", "--sync", NAME]);
            assert_eq!(remains(&daemon), Vec::<String>::new());
            assert_eq!(files(&daemon), Vec::<String>::new());
        }
    }
}

/// As one in a container of its own: its paths mean something else here, or nothing.
#[test]
fn an_image_is_unpacked_where_containerd_has_its_files_elsewhere() {
    let work = Workdir::new();
    let sources = sources(&work);
    let options = Options::default().hidden();
    for daemon in Release::ALL.into_iter().filter_map(|release| Containerd::start(release, options)) {
        work.ok(&export(&sources, &store(&daemon, "overlayfs")));
        daemon.collect();
        assert_eq!(run(&daemon, "overlayfs"), "of the upper layer\n", "{:?}", daemon.release());
    }
}

/// Kubernetes's plugin takes it over without a restart or a pull.
#[test]
fn kubernetes_knows_an_exported_image() {
    let work = Workdir::new();
    let sources = sources(&work);
    let options = Options::default().of_kubernetes();
    for daemon in Release::ALL.into_iter().filter_map(|release| Containerd::start(release, options)) {
        let store = format!("containerd:{},namespace=k8s.io", daemon.socket().display());
        work.ok(&export(&sources, &store));
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let listed = daemon.ctr_ok("k8s.io", &["images", "ls"]);
            let managed: Vec<&str> =
                listed.lines().filter(|line| line.contains("io.cri-containerd.image=managed")).collect();
            // Under its name, and under its ID, which is that of the configuration.
            if managed.len() == 2 && managed.iter().any(|line| line.starts_with("sha256:")) {
                break;
            }
            assert!(Instant::now() < until, "{listed}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let images = String::from_utf8(work.ok(&["images", "-q", "--store", &store]).stdout).unwrap();
        assert_eq!(images, format!("{NAME}\n"), "an ID is no name");
    }
}

#[test]
fn an_image_keeps_its_digest_on_the_way_through() {
    let work = Workdir::new();
    let sources = sources(&work);
    let words = ["export", "--progress=quiet", "-o", "type=oci,name=app:1,dest=in.tar,compression=zstd"];
    work.ok(&words.into_iter().chain(sources.iter().map(String::as_str)).collect::<Vec<_>>());
    for daemon in daemons() {
        let archive = work.path("in.tar").display().to_string();
        let copy = daemon.place().join("in.tar");
        std::fs::copy(archive, &copy).unwrap();
        let mut import = vec!["images", "import", "--snapshotter", "native"];
        import.extend((daemon.release() == Release::Today).then_some("--local"));
        daemon.ctr_ok("k8s.io", &[&import[..], &[copy.to_str().unwrap()]].concat());
        let listed = daemon.ctr_ok("k8s.io", &["images", "ls"]);
        let digest = listed.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().to_owned();
        let socket = daemon.socket().display().to_string();
        let source = format!("containerd:app:1,namespace=k8s.io,socket={socket}");
        work.ok(&["export", "--progress=quiet", &source, "-o", "type=oci,tar=false,dest=out"]);
        assert!(String::from_utf8(work.read("out/index.json")).unwrap().contains(&digest));
        work.ok(&["verify", &source]);
        // By a part of its ID, into another namespace, and from there under its name.
        let short = format!("containerd:{},namespace=k8s.io,socket={socket}", &digest["sha256:".len()..][..12]);
        let other = format!("containerd:{socket},namespace=other");
        work.ok(&["export", "--progress=quiet", &short, "--store", &other, "-o", "type=image,name=copy:1"]);
        let images = work.ok(&["images", "--store", &other, "--json"]);
        assert!(String::from_utf8(images.stdout).unwrap().contains(&digest));
        let from_store = ["export", "--progress=quiet", "--store", &other, "image:copy:1"];
        work.ok(&[&from_store[..], &["-o", "type=oci,tar=false,dest=again"]].concat());
        assert!(String::from_utf8(work.read("again/index.json")).unwrap().contains(&digest));
        for directory in ["out", "again"] {
            std::fs::remove_dir_all(work.path(directory)).unwrap();
        }
    }
}

#[test]
fn commands_of_a_store_work() {
    let work = Workdir::new();
    let sources = sources(&work);
    let words = ["export", "--progress=quiet", "-o", "type=docker,name=app:1,dest=in.tar"];
    work.ok(&words.into_iter().chain(sources.iter().map(String::as_str)).collect::<Vec<_>>());
    for daemon in daemons() {
        let store = store(&daemon, "overlayfs");
        let on = |words: &[&str]| work.ok(&[words, &["--store", &store]].concat());
        on(&["import", "--progress=quiet", "in.tar"]);
        on(&["tag", "app:1", "app:2"]);
        on(&["unpack", "--progress=quiet", "app:2", "--to", "unpacked"]);
        assert_eq!(work.read("unpacked/data/text"), b"of the upper layer");
        std::fs::remove_dir_all(work.path("unpacked")).unwrap();
        let options = String::from_utf8(on(&["unpack", "--progress=quiet", "app:2"]).stdout).unwrap();
        assert!(options.starts_with("lowerdir=/") && options.matches(':').count() == 2, "{options}");
        on(&["save", "app:2", "-o", "saved.tar"]);
        on(&["inspect", "image:app:2", "--files"]);
        on(&["rm", "app:1", "app:2"]);
        assert_eq!(on(&["images", "-q"]).stdout, b"");
        let refused = work.run(&["prune", "--store", &store]);
        assert!(refused.stderr.contains("does not collect garbage"), "{}", refused.stderr);
        daemon.collect();
        assert_eq!(remains(&daemon), Vec::<String>::new());
    }
}

#[test]
fn mistakes_and_refusals_are_said() {
    let work = Workdir::new();
    let said = |words: &[&str], expected: &[&str]| {
        let ran = work.run(words);
        assert_ne!(ran.code, Some(0));
        for part in expected {
            assert!(ran.stderr.contains(part), "{part} is not in\n{}", ran.stderr);
        }
    };
    said(&["images", "--store", "containerd:/none"], &["cannot reach containerd at /none", "start containerd"]);
    said(&["images", "--store", "containerd:,namespce=a"], &["no option `namespce`", "did you mean namespace=?"]);
    said(&["inspect", "containerd:app:1,socket=/none"], &["cannot read containerd:app:1", "cannot reach containerd"]);
    for daemon in daemons() {
        let socket = daemon.socket().display().to_string();
        let store = format!("containerd:{socket},namespace=nowhere");
        said(&["images", "--store", &store], &["has no namespace `nowhere`", "hint: "]);
        let source = format!("containerd:app:1,socket={socket}");
        said(&["inspect", &source], &["image docker.io/library/app:1 is not in the store"]);
        // Another user may reach the directory of the socket, but not use it.
        let opened = Command::new("chmod").arg("755").arg(daemon.place()).status();
        assert!(opened.unwrap().success());
        work.copy_command("longshore");
        let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(work.root()).status();
        assert!(opened.unwrap().success());
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(work.path("longshore"))
            .args(["images", "--store", &format!("containerd:{socket}")])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in ["cannot reach containerd", "permission denied", "only root, and the group that owns the socket"] {
            assert!(stderr.contains(part), "{part} is not in\n{stderr}");
        }
    }
}

/// Layers that take a while: each is a directory of many files.
fn many_layers(work: &Workdir) -> Vec<String> {
    let mut words = sources(work);
    for layer in 0..6 {
        for file in 0..40 {
            let bytes = Random::new(layer * 100 + file).bytes(60_000);
            work.write(&format!("layer-{layer}/file-{file}"), bytes);
        }
        words.extend(["--layer".to_owned(), format!("layer-{layer}:/layers/{layer}")]);
    }
    words
}

fn end_leases(daemon: &Containerd) {
    for lease in daemon.ctr_ok("default", &["leases", "ls", "-q"]).lines() {
        daemon.ctr_ok("default", &["leases", "rm", lease]);
    }
    daemon.collect();
}

/// At many points: with the lease goes everything, and with the lease a later run finds what is done already.
#[test]
fn a_killed_export_leaves_nothing_once_its_lease_is_gone() {
    let work = Workdir::new();
    let sources = many_layers(&work);
    for daemon in daemons() {
        let store = store(&daemon, "overlayfs");
        let words = export(&sources, &store);
        let whole = Instant::now();
        work.ok(&words);
        let whole = whole.elapsed();
        daemon.ctr_ok("default", &["images", "rm", "--sync", NAME]);
        assert_eq!(remains(&daemon), Vec::<String>::new());
        const POINTS: u32 = 24;
        let (mut killed, mut left) = (0, 0);
        for point in 0..POINTS {
            kill_after(&work, &words, whole * point / POINTS);
            let is_named = !daemon.ctr_ok("default", &["images", "ls", "-q"]).is_empty();
            left += usize::from(!remains(&daemon).is_empty());
            if is_named {
                assert_eq!(run(&daemon, "overlayfs"), "of the upper layer\n", "a name is on a whole image");
                daemon.ctr_ok("default", &["images", "rm", "--sync", NAME]);
            } else {
                killed += 1;
            }
            end_leases(&daemon);
            assert_eq!(remains(&daemon), Vec::<String>::new(), "point {point} of {POINTS}");
            assert_eq!(files(&daemon), Vec::<String>::new(), "point {point} of {POINTS}");
        }
        assert!(killed >= 5 && left >= 5, "{killed} killed, {left} with something left: no test of kills");
        // Kills one after another, whose leases last: each run finds what the ones before it did.
        for point in [10, 14, 18] {
            kill_after(&work, &words, whole * point / POINTS);
        }
        work.ok(&words);
        assert_eq!(run(&daemon, "overlayfs"), "of the upper layer\n");
        end_leases(&daemon);
        assert_eq!(run(&daemon, "overlayfs"), "of the upper layer\n");
        daemon.ctr_ok("default", &["images", "rm", "--sync", NAME]);
        assert_eq!(remains(&daemon), Vec::<String>::new());
    }
}

/// Runs the command, and kills it after a time if it has not ended.
fn kill_after(work: &Workdir, words: &[&str], time: Duration) {
    let mut process = work.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(time);
    let _ = process.kill();
    process.wait().unwrap();
    // Until containerd noticed.
    std::thread::sleep(Duration::from_millis(50));
}

/// The paths that are compared are those of this machine, whatever the root of the daemon is.
#[test]
fn a_mount_shows_the_image() {
    let work = Workdir::new();
    let sources = sources(&work);
    for daemon in daemons() {
        let store = store(&daemon, "overlayfs");
        work.ok(&export(&sources, &store));
        std::fs::create_dir_all(work.path("mounted")).unwrap();
        let script = r#"set -e; "$1" unpack app:1 --progress=quiet --store "$2" --mount mounted
            cat mounted/data/text; ls mounted/data"#;
        let longshore = Path::new(env!("CARGO_BIN_EXE_longshore"));
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(longshore)
            .arg(&store)
            .current_dir(work.root())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "of the upper layertext\n", "{stderr}");
    }
}
