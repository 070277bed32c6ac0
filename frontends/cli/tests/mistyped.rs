//! Paths that were mistyped: nothing is made for them, and the error names what was probably meant.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use run::Workdir;
use serde_json::Value;

fn workdir() -> Workdir {
    let work = Workdir::new();
    work.write("tree/file", "content");
    for directory in ["out", "releases/stable", "releases/testing", "~"] {
        std::fs::create_dir_all(work.path(directory)).unwrap();
    }
    std::os::unix::fs::symlink("nowhere/x.tar", work.path("link.tar")).unwrap();
    work
}

/// The source is missing too, which a build would find first.
#[test]
fn no_parent_is_made_for_a_file_that_is_written() {
    let work = workdir();
    let absolute = work.path("releses/stable/x.tar").display().to_string();
    let meant = work.path("releases/stable/x.tar").display().to_string();
    for (path, reason, hint) in [
        ("~/x.tar", "`~` is not your home directory here: the shell left it as it is", "write $HOME/x.tar"),
        ("~/a/b/x.tar", "`~` is not your home directory here: the shell left it as it is", "write $HOME/a/b/x.tar"),
        ("otu/x.tar", "directory otu does not exist", "did you mean out/x.tar?"),
        ("./otu/x.tar", "directory ./otu does not exist", "did you mean ./out/x.tar?"),
        ("releases/stabel/x.tar", "directory releases/stabel does not exist", "did you mean releases/stable/x.tar?"),
        ("release/testing/x.tar", "directory release/testing does not exist", "did you mean releases/testing/x.tar?"),
        ("elsewhere/x.tar", "directory elsewhere does not exist", "make it first: mkdir -p elsewhere"),
        ("out/a/b/x.tar", "directory out/a/b does not exist", "make it first: mkdir -p out/a/b"),
        ("release/other/x.tar", "directory release/other does not exist", "make it first: mkdir -p release/other"),
        (
            &absolute,
            &format!("directory {} does not exist", work.path("releses/stable").display()),
            &format!("did you mean {meant}?"),
        ),
    ] {
        let dest = format!("type=oci,dest={path}");
        let layout = format!("type=oci,tar=false,dest={path}");
        let save = format!("--output={path}");
        let [metadata, iidfile] = ["metadata-file", "iidfile"].map(|flag| format!("--{flag}={path}"));
        let to = format!("--to={path}");
        for arguments in [
            &["export", "rootfs:missing", "-o", &dest][..],
            &["export", "rootfs:missing", "-o", &dest, "--dry-run"],
            &["export", "rootfs:missing", "-o", &layout],
            &["export", "rootfs:missing", &metadata, "-o", "type=oci,dest=new.tar"],
            &["export", "rootfs:missing", &iidfile, "-o", "type=oci,dest=new.tar"],
            &["save", "missing:1", &save],
            &["unpack", "missing:1", &to],
        ] {
            let before = work.names();
            let ran = work.run(arguments);
            let expected = format!("cannot write {path}\n  caused by: {reason}\nhint: {hint}\n");
            assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.ends_with(&expected), "{arguments:?}: {expected}\n{}", ran.stderr);
            assert_eq!(work.names(), before, "{arguments:?}");
        }
    }
    assert_eq!(std::fs::read_dir(work.path("~")).unwrap().count(), 0);
    let ran = work.run(&["export", "rootfs:missing", "-o", "type=oci,dest=link.tar"]);
    assert!(
        ran.stderr.ends_with(
            "cannot write nowhere/x.tar\n  caused by: directory nowhere does not exist\nhint: make it first: mkdir -p nowhere\n"
        ),
        "{}",
        ran.stderr
    );
}

#[test]
fn another_output_may_make_the_parent() {
    let work = workdir();
    work.ok(&["export", "rootfs:tree", "-o", "type=oci,dest=new/a.tar", "-o", "type=oci,tar=false,dest=new"]);
    assert!(work.path("new/a.tar").is_file() && work.path("new/index.json").is_file());
}

#[test]
fn a_tilde_elsewhere_is_a_name() {
    let work = workdir();
    for path in ["./~/x.tar", "out/~x.tar", "~x.tar", "out/~"] {
        work.ok(&["export", "rootfs:tree", "-o", &format!("type=oci,dest={path}")]);
        assert!(work.path(path).is_file(), "{path}");
    }
}

/// A file called `-` was made.
#[test]
fn a_dash_is_standard_output_for_metadata_and_ids() {
    let work = workdir();
    let export = ["export", "rootfs:tree", "-o", "type=oci,name=app:1,dest=a.tar"];
    let metadata = work.ok(&[&export[..], &["--metadata-file", "-", "--iidfile", "id"]].concat()).stdout;
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["image.name"], "docker.io/library/app:1");
    let id = work.ok(&[&export[..], &["--iidfile=-"]].concat()).stdout;
    assert_eq!(id.trim_ascii_end(), work.read("id"));
    assert_eq!(metadata["containerimage.config.digest"], String::from_utf8(work.read("id")).unwrap());
    assert!(!work.path("-").exists());
    let stdout = ["export", "rootfs:tree", "-o", "type=oci,dest=-"];
    for (arguments, expected) in [
        ([&export[..], &["--metadata-file=-", "--iidfile=-"]].concat(), "--metadata-file and --iidfile"),
        ([&stdout[..], &["--metadata-file=-"]].concat(), "an output and --metadata-file"),
        ([&stdout[..], &["--iidfile=-"]].concat(), "an output and --iidfile"),
        (["export", "rootfs:tree", "-o", "type=oci", "--iidfile=-"].to_vec(), "an output and --iidfile"),
    ] {
        let ran = work.run(&arguments);
        let expected = format!("error: {expected} write to standard output\nhint: give each its own file\n");
        assert_eq!((ran.code, ran.stderr, ran.stdout.len()), (Some(2), expected, 0), "{arguments:?}");
    }
    let closed = std::process::Command::new("sh")
        .args(["-c", r#"exec "$@" >&-"#, "sh", env!("CARGO_BIN_EXE_longshore")])
        .args(export)
        .arg("--metadata-file=-")
        .current_dir(work.root())
        .env("LONGSHORE_ROOT", work.store())
        .output()
        .unwrap();
    let said = String::from_utf8(closed.stderr).unwrap();
    assert_eq!(closed.status.code(), Some(4), "{said}");
    assert!(said.starts_with("error: cannot use --metadata-file\n  caused by: standard output is closed"), "{said}");
}

/// The error was about `local`, a word that nobody had typed.
#[test]
fn an_output_without_a_type_is_told_what_to_type() {
    let work = workdir();
    for (output, meant) in [
        ("image.tar", "type=oci,dest=image.tar for an image, or type=tar,dest=image.tar for its files"),
        ("out/x.tgz", "type=tar,dest=out/x.tgz,compression=gzip for files, or type=oci,dest=FILE.tar for an image"),
        ("docker://example.com/app:1", "type=registry,name=example.com/app:1"),
        ("oci:layout", "type=oci,tar=false,dest=layout"),
        ("docker-archive:image.tar", "type=docker,dest=image.tar"),
        ("registry", "type=registry"),
        ("dest=image.tar", "type=oci,dest=image.tar"),
        ("name=app:1", "type=image,name=app:1"),
        ("tpye=oci", "type=oci"),
        ("app:1", "type=registry,name=app:1, or ./app:1 for a directory"),
    ] {
        let ran = work.run(&["export", "rootfs:tree", "-o", output]);
        let expected = format!("error: invalid output: `{output}` has no type\nhint: write {meant}\n");
        assert_eq!((ran.code, ran.stderr), (Some(2), expected));
        if !meant.contains("registry") && !meant.contains(" for ") {
            work.ok(&["export", "rootfs:tree", "-o", meant]);
        }
    }
    // Fields come in any order, as in buildx.
    work.ok(&["export", "rootfs:tree", "-o", "dest=ordered.tar,type=oci"]);
    work.ok(&["export", "rootfs:tree", "-o", "dest=ordered,type=local"]);
    let ran = work.run(&["export", "rootfs:tree", "-o", "type=locale,dest=out"]);
    assert!(ran.stderr.starts_with("error: unknown exporter `locale`\n"), "{}", ran.stderr);
}

/// As in buildx: files in a directory, and a tar stream of them.
#[test]
fn a_path_alone_is_a_directory_of_files_and_a_dash_a_tar_stream() {
    let work = workdir();
    work.ok(&["export", "rootfs:tree", "-o", "files"]);
    let mut names: Vec<_> = std::fs::read_dir(work.path("files")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let mut tree: Vec<_> = std::fs::read_dir(work.path("tree")).unwrap().map(|e| e.unwrap().file_name()).collect();
    tree.sort();
    assert_eq!(names, tree);
    let stream = work.ok(&["export", "rootfs:tree", "-o", "-"]).stdout;
    work.ok(&["export", "rootfs:tree", "-o", "type=tar,dest=files.tar"]);
    assert!(stream == work.read("files.tar"));
}

/// The name said gzip, and the file was plain tar.
#[test]
fn a_name_of_a_compressed_archive_that_is_not_compressed_is_said() {
    let work = workdir();
    let said = |output: &str| {
        let ran = work.ok(&["export", "rootfs:tree", "-o", output]).stderr;
        ran.lines().find_map(|line| line.strip_prefix("warning: ")).unwrap_or_default().to_owned()
    };
    let plain = "as its name says";
    assert_eq!(
        said("type=tar,dest=a.tar.zst"),
        format!("a.tar.zst is not compressed with zstd, {plain}: add compression=zstd")
    );
    assert_eq!(said("type=tar,dest=a.tgz,compression=zstd").matches("not compressed with gzip").count(), 1);
    let advice = "the layers in it are compressed, an archive of images is not";
    assert_eq!(said("type=oci,dest=b.tgz"), format!("b.tgz is not compressed with gzip, {plain}: {advice}"));
    for output in
        ["type=tar,dest=a.tar", "type=tar,dest=a.tgz,compression=gzip", "type=tar,dest=a.tar,compression=gzip"]
    {
        assert_eq!(said(output), "", "{output}");
    }
}

#[test]
fn exporters_lists_dest_for_the_types_that_take_one() {
    let work = workdir();
    for (kind, default) in [
        ("docker", Some("none, it is sent to an engine")),
        ("oci", Some("standard output")),
        ("image", None),
        ("registry", None),
    ] {
        let listed = String::from_utf8(work.ok(&["exporters", kind]).stdout).unwrap();
        let expected = default.map(|default| {
            format!("  dest=<PATH|->\n      Where to write; `-` is standard output [default: {default}]\n")
        });
        assert_eq!(listed.contains("dest="), expected.is_some(), "{listed}");
        assert!(listed.contains(&expected.unwrap_or_default()), "{listed}");
        let json: Value = serde_json::from_slice(&work.ok(&["exporters", kind, "--json"]).stdout).unwrap();
        assert_eq!(json[0]["options"][0]["key"] == "dest", default.is_some());
    }
}

/// `docker load` lost the name in silence.
#[test]
fn a_tarball_for_docker_without_a_name_is_said() {
    let work = workdir();
    let warning = "warning: the image has no name; add name=NAME";
    let docker = |source: &str, options: &str| {
        work.ok(&["export", source, "-o", &format!("type=docker,dest=d.tar{options}")]).stderr.matches(warning).count()
    };
    assert_eq!(docker("rootfs:tree", ""), 1);
    assert_eq!(docker("rootfs:tree", ",format=legacy"), 1);
    assert_eq!(docker("rootfs:tree", ",name=app:1"), 0);
    assert_eq!(docker("rootfs:tree", ",name=*?"), 0, "it was asked for");
    work.ok(&["export", "rootfs:tree", "-o", "type=oci,name=app:1,dest=o.tar"]);
    let ran = work.ok(&["export", "oci-archive:o.tar", "-o", "type=docker,dest=d.tar"]);
    let expected = format!("{warning}, or name=* for the names that it brings\n");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    work.ok(&["import", "o.tar"]);
    assert!(!work.ok(&["save", "app:1", "--output", "s.tar"]).stderr.contains("no name"));
}
