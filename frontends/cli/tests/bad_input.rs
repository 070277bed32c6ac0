//! Bad input gets a clear error, and the destination stays as it was.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use longshore_testkit::sample::Tree;
use run::Workdir;

/// Arguments, exit code, and the text on standard error.
type Case = (&'static [&'static str], i32, &'static str);

const CASES: &[Case] = &[
    (
        &["rootfs:missing", "-o", "type=oci,dest=out.tar"],
        3,
        "error: cannot read rootfs:missing\n  caused by: no such file or directory\n",
    ),
    (
        &["rootfs:tree/file", "-o", "type=oci,dest=out.tar"],
        3,
        "error: rootfs:tree/file is not a directory\nhint: use the source `scratch`, and add an archive as a layer (--layer)\n",
    ),
    (
        &["rotfs:tree", "-o", "type=oci,dest=out.tar"],
        2,
        "error: unknown source `rotfs`\nhint: did you mean `rootfs:`?\n",
    ),
    (&["rootfs:tree", "-o", "type=oic,dest=out.tar"], 2, "error: unknown exporter `oic`\nhint: did you mean `oci`?\n"),
    (
        &["rootfs:tree", "-o", "type=oci,dest=out.tar,compresion=zstd"],
        2,
        "error: type=oci has no option `compresion` at column 23\nhint: did you mean `compression`?\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,dest=out.tar,compression=zstt"],
        2,
        "error: option `compression` of type=oci at column 23: expected uncompressed|gzip|zstd, not `zstt`\n\
         hint: did you mean `zstd`?\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,dest=out.tar,compression=zstd,compression-level=23"],
        2,
        "error: compression=zstd has no level 23\nhint: its levels are 1 to 22, the default is 3\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,dest=out.tar,name=UPPER"],
        2,
        "error: option `name` of type=oci at column 23: image name `UPPER`: ",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,dest=out.tar,dest=b"],
        2,
        "error: invalid output: `dest` is given twice at column 23\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,tar=false"],
        2,
        "error: type=oci: it needs a directory\nhint: add dest=DIRECTORY\n",
    ),
    (&["rootfs:tree", "-o", "type=oci,dest=tree"], 2, "error: destination tree is a directory\n"),
    (&["rootfs:tree", "-o", "type=oci,dest=new/"], 2, "error: destination new/ is a directory\n"),
    (&["rootfs:tree", "-o", "type=oci,dest=out.tar,tar=false"], 2, "error: destination out.tar is a file\n"),
    (
        &["rootfs:tree", "-o", "type=oci,dest=tree/file/x"],
        2,
        "error: cannot write tree/file/x: tree/file is not a directory\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci", "-o", "type=oci,dest=-"],
        2,
        "error: two outputs write to standard output\nhint: give each its own dest\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,dest=out.tar", "-o", "type=oci,dest=out.tar"],
        2,
        "error: two outputs write to out.tar\nhint: give each its own dest\n",
    ),
    (
        &["rootfs:tree", "scratch", "--iidfile", "id", "-o", "type=oci,dest=new.tar"],
        2,
        "error: --iidfile: there are 2 images\nhint: --metadata-file has the digests of each\n",
    ),
    (
        &["rootfs:missing", "--iidfile", "id", "-o", "files", "-o", "type=tar,dest=new.tar"],
        2,
        "error: --iidfile: the outputs hold files, no image\nhint: add an output of an image, such as type=oci,dest=FILE\n",
    ),
    (
        &["rootfs:missing", "--dry-run", "-o", "type=local,dest=tree,mode=delete"],
        2,
        "error: cannot export to type=local,dest=tree\n  caused by: tree has files that no export put there, and \
         mode=delete would remove them\nhint: choose an empty directory, or add allow-delete=true\n",
    ),
    (
        &["rootfs:missing", "--attest", "type=provenance", "--attest", "type=provenance,mode=max", "-o", "x"],
        2,
        "error: --attest type=provenance is given twice for one platform\nhint: leave out one of them\n",
    ),
    (
        &["rootfs:tree", "--metadata-file", "tree", "-o", "type=oci,dest=new.tar"],
        2,
        "error: tree is a directory, not a file to write\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,dest=new.tar", "-o", "type=oci,dest=./new.tar"],
        2,
        "error: two outputs write to ./new.tar\n",
    ),
    (
        &[
            "rootfs:tree",
            "-o",
            "type=oci,dest=new/a.tar",
            "-o",
            "type=oci,dest=new,tar=false",
            "-o",
            "type=oci,dest=new",
        ],
        2,
        "error: two outputs write to new\n",
    ),
    (
        &["rootfs:tree", "-o", "type=oci,dest=tree/new.tar"],
        2,
        "error: cannot export to type=oci,dest=tree/new.tar\n  caused by: tree/new.tar is inside tree, \
         which is exported\nhint: write it elsewhere, or into an excluded directory (--exclude)\n",
    ),
    (
        &["scratch", "--layer", ".:/all", "-o", "type=oci,dest=tree/layout,tar=false"],
        2,
        "error: cannot export to type=oci,dest=tree/layout\n  caused by: tree/layout is inside .",
    ),
    (
        &["linux/arm64=rootfs:tree", "--platform", "linux/amd64", "-o", "type=oci,dest=out.tar"],
        3,
        "error: no image for platform linux/amd64\nhint: it is built for linux/arm64; to build for another platform write linux/amd64=SOURCE\n",
    ),
    (
        &["linux/arm46=rootfs:tree", "-o", "type=oci,dest=out.tar"],
        2,
        "error: platform `linux/arm46`: unknown architecture `arm46`\n",
    ),
    (
        &["linux/arm64=rootfs:tree", "linux/arm64/v8=rootfs:tree", "-o", "type=oci,dest=out.tar"],
        2,
        "error: two sources are for linux/arm64: linux/arm64=rootfs:tree and linux/arm64/v8=rootfs:tree\n",
    ),
    (
        &["scratch", "--layer", "tree/file", "-o", "type=oci,dest=out.tar"],
        3,
        "error: layer tree/file is neither a directory nor a tar archive\n  \
         caused by: not a tar archive: it ends early, after 7 of 512 bytes\n",
    ),
    (
        &["scratch", "--layer", "tree:/a/../b", "-o", "type=oci,dest=out.tar"],
        2,
        "error: destination `/a/../b` has a `..`\n",
    ),
    (
        &["rootfs:tree", "--config", "tree/file", "-o", "type=oci,dest=out.tar"],
        3,
        "error: cannot read config tree/file\n  caused by: not a JSON image configuration\n",
    ),
    (
        &["rootfs:tree", "--exclude", "[", "-o", "type=oci,dest=out.tar"],
        2,
        "error: option `exclude` of source `rootfs:`: malformed pattern \"[\"",
    ),
    (
        &["rootfs:tree", "--owner", "root", "-o", "type=oci,dest=out.tar"],
        2,
        "error: option `owner` of source `rootfs:`: expected numeric UID:GID, not `root`\nhint: for root write 0:0\n",
    ),
    (
        &["rootfs:reserved", "-o", "type=oci,dest=out.tar"],
        3,
        "error: cannot export to type=oci,dest=out.tar\n  caused by: reserved/.wh.file would delete a file of a lower layer\n\
         hint: names that begin with `.wh.` are reserved: rename or exclude the file\n",
    ),
    (
        &["scratch", "--layer", "cut.tar", "-o", "type=oci,dest=out.tar"],
        3,
        "error: cannot export to type=oci,dest=out.tar\n  caused by: cannot read layer cut.tar\n  \
         caused by: the tar archive ends early: at byte 512, within the tar entry `file` at byte 0\n",
    ),
];

#[test]
fn each_mistake_has_its_words_and_changes_nothing() {
    let work = Workdir::new();
    work.write("tree/file", "content");
    work.write("reserved/.wh.file", "");
    work.write("out.tar", "what was there before");
    work.write("cut.tar", tar_header("file", 1000));
    let before = work.names();
    for (arguments, code, expected) in CASES {
        let ran = work.run(&[&["export", "--progress=quiet"], *arguments].concat());
        assert_eq!(ran.code, Some(*code), "{arguments:?}\n{}", ran.stderr);
        assert!(ran.stderr.starts_with(expected), "{arguments:?}\n{}", ran.stderr);
        assert_eq!(work.read("out.tar"), b"what was there before", "{arguments:?}");
        assert_eq!(work.names(), before, "{arguments:?}");
    }
}

/// An archive that promises a file and ends.
fn tar_header(name: &str, size: u64) -> Vec<u8> {
    let entry = longshore_core::archive::Entry::file(name, 0o644, size);
    let mut tar = longshore_core::archive::Writer::new(Vec::new());
    tar.append(&entry, &mut std::io::Read::take(std::io::repeat(0), size)).unwrap();
    let mut bytes = tar.finish().unwrap();
    bytes.truncate(512);
    bytes
}

#[test]
fn one_bad_output_of_three_leaves_none_of_the_three() {
    let work = Workdir::new();
    Tree::new(1).write(&work.path("tree")).unwrap();
    work.write("layout/oci-layout", r#"{"imageLayoutVersion":"9.9.9"}"#);
    work.write("a.tar", "old");
    let before = work.names();
    let outputs = ["type=oci,dest=a.tar", "type=oci,dest=new,tar=false", "type=oci,dest=layout,tar=false"];
    let ran = work.run(&["export", "rootfs:tree", "-o", outputs[0], "-o", outputs[1], "-o", outputs[2]]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("error: cannot write to the layout layout\n"), "{}", ran.stderr);
    assert_eq!(work.names(), before);
    assert_eq!(work.read("a.tar"), b"old");
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount a small file system");
        return;
    }
    let work = Workdir::new();
    Tree::new(1).write(&work.path("tree")).unwrap();
    std::fs::create_dir(work.path("small")).unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new(arguments[0]).args(&arguments[1..]).current_dir(work.root()).status();
        assert!(status.unwrap().success(), "{arguments:?}");
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", "small"]);
    work.write("small/a.tar", "old");
    let file = work.run(&["export", "rootfs:tree", "-o", "type=oci,dest=small/a.tar"]);
    let directory = work.run(&["export", "rootfs:tree", "-o", "type=oci,dest=small/layout,tar=false"]);
    let (names, old) = (std::fs::read_dir(work.path("small")).unwrap().count(), work.read("small/a.tar"));
    mount(&["umount", "small"]);
    for ran in [file, directory] {
        assert_eq!(ran.code, Some(4), "{}", ran.stderr);
        assert!(ran.stderr.contains("no space left on device"), "{}", ran.stderr);
        assert!(ran.stderr.contains("small/"), "it names the path: {}", ran.stderr);
    }
    assert_eq!((names, old.as_slice()), (1, &b"old"[..]));
}

#[test]
fn an_output_may_go_where_exclude_leaves_out() {
    let work = Workdir::new();
    work.write("tree/file", "content");
    work.write("tree/out/old", "not in the image");
    let arguments = ["export", "rootfs:tree", "--exclude", "out", "-o"];
    for output in ["type=oci,dest=tree/out/a.tar", "type=oci,dest=tree/out/layout,tar=false"] {
        work.ok(&[&arguments[..], &[output]].concat());
    }
    let again = "type=oci,dest=elsewhere.tar";
    work.ok(&[&arguments[..], &[again]].concat());
    assert!(work.read("elsewhere.tar") == work.read("tree/out/a.tar"));
}

#[test]
fn an_unreadable_file_is_named() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let work = Workdir::new();
    work.write("tree/secret", "content");
    work.copy_command("binary");
    let mode = |path: &str, mode| std::fs::set_permissions(work.path(path), PermissionsExt::from_mode(mode)).unwrap();
    mode("binary", 0o755);
    mode("tree/secret", 0o000);
    mode("", 0o777);
    std::fs::set_permissions(work.store(), PermissionsExt::from_mode(0o777)).unwrap();
    // Root reads everything, so the command runs as somebody else: from a copy that they can reach.
    let mut command = std::process::Command::new(work.path("binary"));
    command.args(["export", "rootfs:tree", "-o", "type=oci,dest=out.tar"]).current_dir(work.root());
    command.env("LONGSHORE_ROOT", work.store());
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let ran = run::Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot read tree/secret\n  caused by: permission denied\n"), "{}", ran.stderr);
    assert_eq!(work.names(), ["binary", "tree"]);
}
