//! Sources on the command line: options, platforms, references, and what people type in their place.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use run::Workdir;

fn workdir() -> Workdir {
    let work = Workdir::new();
    work.write("tree/keep.log", "log");
    work.write("tree/file", "content");
    work.write("a,b/file", "content");
    work.ok(&[
        "export",
        "linux/amd64=rootfs:tree",
        "linux/arm64=scratch",
        "-o",
        "type=image,name=multi:1",
        "-o",
        "type=oci,name=multi:1,dest=multi.tar",
    ]);
    work
}

fn stdout(work: &Workdir, arguments: &[&str]) -> String {
    String::from_utf8(work.ok(arguments).stdout).unwrap()
}

#[test]
fn what_is_wrong_with_a_source_is_said_with_what_to_type() {
    let work = workdir();
    work.write("empty/x", "");
    for (arguments, code, expected) in [
        (&["oci-archive:multi.tar,owner=0:0"][..], 2, "source `oci-archive:` has no option `owner` at column 23"),
        (&["oci-archive:multi.tar", "--owner", "0:0"], 2, "--owner has no effect on a source `oci-archive:`"),
        (&["oci-archive:multi.tar", "--referrers"], 2, "hint: it applies to `image:`, `containerd:`, `docker:`"),
        (
            &["rootfs:a,b"],
            2,
            "hint: quote a field that contains a comma or a quote as a whole, and double its quotes: '\"rootfs:a,b\"",
        ),
        (&["rootfs:tree,owner=0:0,owner=1:1"], 2, "`owner` is given twice at column 23"),
        (&["./tere"], 2, "hint: there is no ./tere; write rootfs:DIR for a directory"),
        (&["multi.tra"], 2, "available sources: rootfs:DIR"),
        (&["rootfs=./tree"], 2, "hint: a source is SCHEME:VALUE, such as rootfs:DIR"),
        (&["oci-archive:-", "docker-archive:-:app:1"], 2, "standard input can be read once, and two sources are `-`"),
        (
            &["rootfs:tree", "--platform", "linux/riscv64"],
            3,
            "to build for another platform write linux/riscv64=SOURCE",
        ),
        (&["linux/riscv64=oci-archive:multi.tar"], 3, "hint: choose one of linux/amd64, linux/arm64"),
        (
            &["linux/riscv64=oci-archive:multi.tar", "linux/arm64=rootfs:tree"],
            3,
            "cannot join linux/riscv64=oci-archive:",
        ),
        (&["arm64/linux=rootfs:tree"], 2, "hint: did you mean `linux/arm64`?"),
        (&["image:multo:1"], 3, "did you mean multi:1?"),
    ] {
        let output = ["-o", "type=oci,dest=out.tar"];
        let ran = work.run(&[&["export", "--progress=quiet"], arguments, &output[..]].concat());
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(!work.path("out.tar").exists(), "{arguments:?}");
    }
    let far = work.run(&["export", "image:zebra:1", "-o", "type=oci,dest=out.tar"]);
    assert!(far.stderr.contains("hint: `longshore images` lists"), "nothing is near: {}", far.stderr);
}

#[test]
fn a_platform_before_a_source_counts_in_every_command() {
    let work = workdir();
    let inspected = stdout(&work, &["inspect", "linux/arm64=image:multi:1", "--json"]);
    assert!(inspected.contains("arm64") && !inspected.contains("amd64"), "{inspected}");
    let missing = work.run(&["verify", "linux/s390x=oci-archive:multi.tar"]);
    assert!(
        missing.code == Some(3) && missing.stderr.contains("no image for platform linux/s390x"),
        "{}",
        missing.stderr
    );
    work.ok(&["verify", "linux/amd64=oci-archive:multi.tar"]);
    assert_eq!(inspected, stdout(&work, &["inspect", "arm64=image:multi:1", "--json"]));
    work.ok(&["save", "multi:1", "--from", "linux/arm64=image", "-o", "saved.tar"]);
    let saved = stdout(&work, &["inspect", "oci-archive:saved.tar", "--json"]);
    assert!(saved.contains("arm64") && !saved.contains("amd64"), "{saved}");
    let exported = ["export", "linux/arm64=oci-archive:multi.tar", "-o", "type=oci,name=arm:1,dest=arm.tar"];
    work.ok(&exported);
    assert!(!stdout(&work, &["inspect", "oci-archive:arm.tar"]).contains("amd64"));
}

/// In .dockerignore the last pattern that matches counts.
#[test]
fn what_a_source_excludes_itself_counts_after_the_flag() {
    let work = workdir();
    let files = |source: &str| {
        work.ok(&["export", source, "--exclude", "*.log", "-o", "type=oci,dest=files.tar"]);
        stdout(&work, &["inspect", "--files", "oci-archive:files.tar"])
    };
    assert!(!files("rootfs:tree").contains("keep.log"));
    assert!(files("rootfs:tree,exclude=!keep.log").contains("keep.log"));
    let listed = files(r#"rootfs:tree,"exclude=!keep.log,file""#);
    assert!(listed.contains("keep.log") && !listed.contains("file\n"), "{listed}");
}

#[test]
fn paths_with_commas_are_quoted() {
    let work = workdir();
    work.ok(&["export", r#""rootfs:a,b",owner=0:0"#, "-o", "type=image,name=comma:1"]);
    work.ok(&["verify", "image:comma:1"]);
}

#[test]
fn names_are_no_sources() {
    let work = workdir();
    let ran = work.run(&["unpack", "multi:1,owner=0:0", "--to", "x"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("has no option `owner`"), "{}", ran.stderr);
    let ran = work.run(&["save", "x:1", "--from", "rootfs:tree", "-o", "x.tar"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("a source `rootfs:` has no NAMEs to select"), "{}", ran.stderr);
    let ran = work.run(&["save", "multi:1", "--platform", "linux/s390x", "-o", "x.tar"]);
    assert!(ran.stderr.contains("hint: choose one of linux/amd64, linux/arm64"), "{}", ran.stderr);
}

#[test]
fn every_scheme_and_option_is_listed() {
    let work = Workdir::new();
    let all = stdout(&work, &["sources"]);
    for word in ["rootfs:DIR", "docker://NAME", "image:NAME", "referrers=<true|false>", "exclude=<PATTERN"] {
        assert!(all.contains(word), "{word}: {all}");
    }
    let one: serde_json::Value = serde_json::from_str(&stdout(&work, &["sources", "rootfs", "--json"])).unwrap();
    assert_eq!((&one[0]["scheme"], &one[0]["options"][0]["key"]), (&"rootfs".into(), &"owner".into()));
    let ran = work.run(&["sources", "rotfs"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("did you mean `rootfs:`?"), "{}", ran.stderr);
}
