//! Stores of other users, and stores that cannot be read or written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::prepared;
use crate::run::{Ran, Workdir};

const EXPORT: [&str; 4] = ["export", "rootfs:tree", "-o", "type=image,name=a:1"];

/// The command as another user, in a copy that every user may run.
struct Nobody(Workdir);

impl Nobody {
    /// `None` where the tests do not run as root: then another user cannot be had.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can run the command as another user");
            return None;
        }
        let work = prepared();
        work.ok(&EXPORT);
        work.copy_command("binary");
        for path in [&work.path("binary"), work.root(), work.store()] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        fs::create_dir(work.path("out")).unwrap();
        fs::set_permissions(work.path("out"), PermissionsExt::from_mode(0o777)).unwrap();
        Some(Self(work))
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(self.0.path("binary"));
        command.args(arguments).current_dir(self.0.path("out")).env("LONGSHORE_ROOT", self.0.store());
        command.env("HOME", self.0.path("out")).uid(65_534).gid(65_534).output().unwrap().into()
    }
}

fn share(path: &Path) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        if path.is_dir() {
            share(&path);
        }
    }
}

/// It was an empty list, with exit code 0.
#[test]
fn an_unreadable_store_is_an_error() {
    let Some(nobody) = Nobody::new() else { return };
    let store = nobody.0.store();
    for (path, mode, cause) in [
        (store.to_owned(), 0o700, format!("cannot access {}/store.db", store.display())),
        (store.join("store.db"), 0o600, format!("cannot read {}/store.db", store.display())),
    ] {
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        for arguments in [&["images"][..], &["images", "--json"], &["du"], &["verify", "image:a:1"], &["unpack", "a:1"]]
        {
            let ran = nobody.run(arguments);
            assert_eq!((ran.code, &ran.stdout[..]), (Some(4), &b""[..]), "{arguments:?}: {}", ran.stderr);
            for text in [format!("cannot open the store {}\n", store.display()), cause.clone()] {
                assert!(ran.stderr.contains(&text), "{arguments:?}: no `{text}` in {}", ran.stderr);
            }
            assert!(ran.stderr.to_lowercase().contains("permission denied"), "{arguments:?}: {}", ran.stderr);
        }
        fs::set_permissions(&path, before).unwrap();
    }
}

#[test]
fn a_store_that_cannot_be_written_to_is_read() {
    let Some(nobody) = Nobody::new() else { return };
    share(nobody.0.store());
    let before = fs::read_dir(nobody.0.store()).unwrap().count();
    let ran = nobody.run(&["images", "-q"]);
    assert_eq!((ran.code, &ran.stdout[..]), (Some(0), &b"docker.io/library/a:1\n"[..]), "{}", ran.stderr);
    for arguments in [
        &["inspect", "image:a:1"][..],
        &["verify", "image:a:1"],
        &["du"],
        &["export", "image:a:1", "-o", "type=oci,dest=a.tar"],
        &["export", "image:a:1", "--env", "A=1", "-o", "type=oci,dest=b.tar,compression=zstd,force-compression=true"],
        &["save", "a:1", "-o", "c.tar"],
        &["unpack", "a:1", "--to", "tree"],
    ] {
        let ran = nobody.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    }
    let out = nobody.0.path("out");
    assert_eq!(fs::read(out.join("tree/bin/app")).unwrap(), b"app");
    nobody.0.ok(&["export", "image:a:1", "-o", "type=oci,dest=as-root.tar"]);
    assert!(fs::read(out.join("a.tar")).unwrap() == nobody.0.read("as-root.tar"));
    for (arguments, text) in [
        (&["prune"][..], "cannot be written to"),
        (&["tag", "a:1", "a:2"], "cannot be written to"),
        (&["rm", "a:1"], "cannot be written to"),
        (&["export", "image:a:1", "-o", "type=image,name=b:1"], "type=image: the image store cannot be written to"),
    ] {
        let ran = nobody.run(arguments);
        assert!(ran.code == Some(4) && ran.stderr.contains(text), "{arguments:?}: {:?} {}", ran.code, ran.stderr);
    }
    assert_eq!(fs::read_dir(nobody.0.store()).unwrap().count(), before);
}

/// What a process that was killed left in the write-ahead log is read, too.
#[test]
fn a_log_that_cannot_be_put_into_the_database_is_read() {
    let Some(nobody) = Nobody::new() else { return };
    let copy = nobody.0.path("copy");
    fs::create_dir_all(&copy).unwrap();
    // Copied while the store is open, so that the last name is in the log alone.
    let open = longshore_store::EmbeddedStore::open(nobody.0.store()).unwrap();
    nobody.0.ok(&["tag", "a:1", "late:1"]);
    for file in ["store.db", "store.db-wal"] {
        fs::copy(nobody.0.store().join(file), copy.join(file)).unwrap();
    }
    drop(open);
    share(&copy);
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let ran = nobody.run(&["images", "-q", "--store", copy.to_str().unwrap()]);
    let expected = "docker.io/library/a:1\ndocker.io/library/late:1\n";
    assert_eq!((ran.code, String::from_utf8_lossy(&ran.stdout).as_ref()), (Some(0), expected), "{}", ran.stderr);
    assert_eq!(fs::read_dir(&copy).unwrap().count(), 2);
}

/// The recipe of `unpack --help` looked for the store of root.
#[test]
fn root_of_a_user_namespace_finds_the_store_of_the_user() {
    let Some(nobody) = Nobody::new() else { return };
    nobody.0.ok(&["export", "image:a:1", "-o", "type=oci,name=a:1,dest=a.tar"]);
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(nobody.0.path("out")).env_remove("LONGSHORE_ROOT");
        command.env_remove("XDG_DATA_HOME").env("HOME", nobody.0.path("out")).uid(65_534).gid(65_534);
        Ran::from(command.output().unwrap())
    };
    let binary = nobody.0.path("binary");
    let binary = binary.to_str().unwrap();
    let imported = run(binary, &["import", "../a.tar"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert!(nobody.0.path("out/.local/share/longshore/store.db").exists());
    let ran = run("unshare", &["-rm", binary, "unpack", "a:1", "--to", "tree"]);
    if ran.stderr.contains("unshare:") {
        eprintln!("skipped: {}", ran.stderr);
        return;
    }
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(fs::read(nobody.0.path("out/tree/bin/app")).unwrap(), b"app");
}

/// What was unpacked before was asked to be kept once more, which needs a change.
#[test]
fn what_is_unpacked_in_a_store_of_another_user_is_mounted() {
    let Some(nobody) = Nobody::new() else { return };
    let store = nobody.0.store();
    let is_made = Command::new("chown").args(["-R", "65533:65533"]).arg(store).status().unwrap();
    assert!(is_made.success());
    let as_owner = |arguments: &[&str]| {
        let mut command = Command::new(nobody.0.path("binary"));
        command.args(arguments).current_dir(nobody.0.path("out")).env("LONGSHORE_ROOT", store);
        Ran::from(command.env("HOME", store).uid(65_533).gid(65_533).output().unwrap())
    };
    let made = as_owner(&["unpack", "a:1"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    // An image that was not unpacked, beside it.
    nobody.0.write("tree/more", "more");
    nobody.0.ok(&["export", "rootfs:tree", "-o", "type=image,name=b:1"]);
    share(store);
    let ran = nobody.run(&["unpack", "a:1"]);
    assert_eq!((ran.code, &ran.stdout), (Some(0), &made.stdout), "{}", ran.stderr);
    let layer = String::from_utf8(ran.stdout).unwrap();
    let layer = layer.strip_prefix("lowerdir=").unwrap().split(':').next().unwrap();
    assert_eq!(fs::read(Path::new(layer).join("bin/app")).unwrap(), b"app");
    let ran = nobody.run(&["unpack", "b:1"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot be written to\nhint: choose another store (--store)"), "{}", ran.stderr);
}

/// A store on a medium that is read-only for root, too.
#[test]
fn a_store_on_a_read_only_mount_is_read() {
    let Some(nobody) = Nobody::new() else { return };
    let (work, store) = (&nobody.0, nobody.0.store().display());
    work.ok(&["unpack", "a:1"]);
    fs::create_dir(work.path("mounted")).unwrap();
    let run = |arguments: &str| {
        let script =
            format!("mount --bind {store} {store} && mount -o remount,bind,ro {store} && ./binary {arguments}");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).current_dir(work.root()).env("LONGSHORE_ROOT", work.store());
        Ran::from(command.output().unwrap())
    };
    let probe = run("completion bash");
    if probe.stderr.contains("unshare:") || probe.stderr.contains("mount:") {
        eprintln!("skipped: {}", probe.stderr);
        return;
    }
    for (arguments, text) in [
        ("images -q", "docker.io/library/a:1"),
        ("du --json", "\"images\""),
        ("inspect image:a:1", "docker.io/library/a:1"),
        ("verify image:a:1", "ok sha256:"),
        ("export image:a:1 -o type=oci,dest=a.tar", ""),
        ("export rootfs:tree -o type=oci,dest=b.tar", ""),
        ("save a:1 -o c.tar", ""),
        ("unpack a:1 --to tree-of-a", ""),
        ("unpack a:1", "lowerdir="),
        ("unpack a:1 --mount mounted && cat mounted/bin/app", "app"),
    ] {
        let ran = run(arguments);
        let stdout = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(ran.code, Some(0), "{arguments}: {}", ran.stderr);
        assert!(stdout.contains(text), "{arguments}: no `{text}` in {stdout}");
    }
    assert_eq!(work.read("tree-of-a/bin/app"), b"app");
    for arguments in ["tag a:1 a:2", "rm a:1", "prune", "export rootfs:tree -o type=image,name=c:1"] {
        let ran = run(arguments);
        assert!(ran.code == Some(4) && ran.stderr.contains("cannot be written to"), "{arguments}: {}", ran.stderr);
    }
}
