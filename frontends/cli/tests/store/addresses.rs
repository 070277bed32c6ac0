//! What `--store` names, and stores that cannot be read or written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{prepared, stdout};
use crate::run::{Ran, Workdir};

const EXPORT: [&str; 4] = ["export", "rootfs:tree", "-o", "type=image,name=a:1"];

fn with_store<'a>(arguments: &[&'a str], store: &'a str) -> Vec<&'a str> {
    [arguments, &["--store", store]].concat()
}

#[test]
fn a_store_is_a_path_or_begins_with_a_scheme() {
    let work = prepared();
    for (address, path) in [("dir:one", "one"), ("./a:b", "a:b"), ("dir:c:d", "c:d")] {
        work.ok(&with_store(&EXPORT, address));
        assert!(work.path(path).join("store.db").exists(), "{address}");
        let absolute = work.path(path);
        assert_eq!(stdout(&work, &["images", "-q", "--store", absolute.to_str().unwrap()]), "docker.io/library/a:1\n");
    }
    let before = work.names();
    for address in ["containerd:default", "foo:/x", "foo:", "DIR:x"] {
        let scheme = address.split(':').next().unwrap();
        let expected = format!(
            "error: unknown kind of image store `{scheme}`\n\
            hint: a store is a path or dir:PATH; for a directory of that name, write ./{address}\n"
        );
        for arguments in [&EXPORT[..], &["images"], &["prune"], &["export", "rootfs:tree", "-o", "type=oci,dest=a"]] {
            let ran = work.run(&with_store(arguments, address));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected.as_str()), "{arguments:?}");
        }
        let ran = Ran::from(work.command(&EXPORT).env("LONGSHORE_ROOT", address).output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected.as_str()), "LONGSHORE_ROOT={address}");
    }
    assert_eq!(work.names(), before, "a store that was mistyped was made");
}

/// `--store $HOME` scattered the files of a store into a home.
#[test]
fn a_path_that_holds_something_else_is_refused_before_anything_is_written() {
    let work = prepared();
    work.write("home/.profile", "");
    work.write("file", "");
    work.write("other/store.db", "not a database");
    fs::create_dir(work.path("empty")).unwrap();
    let before = work.names();
    for (store, cause, hint) in [
        ("home", "it is not an image store, but contains other files, such as .profile", "such as home/longshore"),
        ("other", "it is not an image store: its store.db is not that of longshore", "such as other/longshore"),
        ("file", "it is not a directory", "name a directory for the image store"),
        ("file/below", "file is not a directory", "name a directory"),
        ("~/images", "`~` is not your home directory here", "write $HOME/images"),
        ("missing/below", "directory missing does not exist", "mkdir -p missing"),
        ("emtpy/below", "directory emtpy does not exist", "did you mean empty/below?"),
    ] {
        for arguments in [&EXPORT[..], &["images"], &["du"], &["inspect", "image:a:1"], &["import", "tree"]] {
            let ran = work.run(&with_store(arguments, store));
            let expected = format!(": cannot open the store {store}\n");
            assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
            for text in [&expected[1..], cause, hint] {
                assert!(ran.stderr.contains(text), "{store} {arguments:?}: no `{text}` in {}", ran.stderr);
            }
        }
    }
    assert_eq!(work.names(), before);
    for kept in ["home", "other"] {
        assert_eq!(fs::read_dir(work.path(kept)).unwrap().count(), 1, "{kept}");
    }
    work.ok(&with_store(&EXPORT, "empty"));
}

#[test]
fn where_there_is_no_store_yet_that_is_said() {
    let work = prepared();
    for command in ["unpack", "inspect", "verify"] {
        let name = if command == "unpack" { "a:1" } else { "image:a:1" };
        let ran = work.run(&[command, name]);
        let place = work.store().display();
        let expected = format!(
            "error: cannot read image:a:1\n  caused by: there is no image store yet in {place}\n\
            hint: `longshore import` or an export with type=image creates one; --store names another\n"
        );
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), expected.as_str()), "{command}");
    }
    assert_eq!(fs::read_dir(work.store()).unwrap().count(), 0, "a command that reads made a store");
}

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
