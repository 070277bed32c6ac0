//! The words that people have from docker, skopeo and crane, and what is said to those that are none.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::io::Write;
use std::process::{Command, Stdio};

use longshore_testkit::registry::{Registry, TokenOptions};
use run::{Ran, Workdir};

fn workdir() -> Workdir {
    let work = Workdir::new();
    work.write("tree/bin/app", "app");
    work
}

/// The digest that a command printed last on standard error or output.
fn digest(text: &str) -> String {
    let at = text.rfind("sha256:").unwrap_or_else(|| panic!("{text}"));
    text[at..at + 71].to_owned()
}

fn stdout(ran: &Ran) -> String {
    String::from_utf8(ran.stdout.clone()).unwrap()
}

/// Runs a command with `input` on standard input.
fn piped(work: &Workdir, arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Ran {
    let mut command = work.command(arguments);
    command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails at once reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

#[test]
fn images_are_pushed_listed_pulled_copied_and_deleted() {
    let (work, registry) = (workdir(), Registry::builder().page_size(1).start());
    let name = format!("{}/team/app", registry.host());
    let made = digest(&work.ok(&["export", "tree", "-o", &format!("type=image,name={name}:1")]).stderr);
    work.ok(&["push", &format!("{name}:1")]);
    work.ok(&["push", &format!("{name}:1"), &format!("{name}:2"), &format!("docker://{name}:3")]);
    assert_eq!(stdout(&work.ok(&["ls", &name])), "1\n2\n3\n");
    assert_eq!(stdout(&work.ok(&["ls", "--json", &format!("docker://{name}")])), "[\n  \"1\",\n  \"2\",\n  \"3\"\n]\n");
    for source in [format!("docker://{name}:2"), format!("image:{name}:1"), format!("{name}:1")] {
        assert_eq!(stdout(&work.ok(&["digest", &source])), format!("{made}\n"), "{source}");
    }

    work.ok(&["rmi", &format!("{name}:1")]);
    assert_eq!(digest(&work.ok(&["pull", &format!("{name}:2")]).stderr), made);
    assert_eq!(stdout(&work.ok(&["images", "-q"])), format!("{name}:2\n"));
    let other = work.run(&["pull", &format!("{name}:3"), "--platform", "linux/s390x"]);
    assert!(other.code == Some(3) && other.stderr.contains("linux/s390x"), "{}", other.stderr);

    let copy = |from: &str, to: &str| digest(&work.ok(&["copy", from, to]).stderr);
    let [remote, elsewhere] = [format!("docker://{name}:3"), format!("docker://{}/else/where:1", registry.host())];
    assert_eq!(copy(&remote, "oci-archive:x.tar"), made);
    assert_eq!(copy("x.tar", "oci:layout:example.com/app:1"), made);
    assert_eq!(copy("layout", &elsewhere), made);
    assert_eq!(copy("layout", "image:example.com/copy:1"), made);
    copy("example.com/copy:1", "docker-archive:docker.tar");
    assert_eq!(registry.tags("else/where"), ["1"]);

    let refused = work.run(&["delete", &remote]);
    assert!(refused.code == Some(2) && refused.stderr.contains("hint: add --yes"), "{}", refused.stderr);
    assert_eq!(stdout(&work.ok(&["delete", "--yes", &remote])), format!("deleted {name}:3 {made}\n"));
    assert!(registry.tags("team/app").is_empty(), "all tags of the digest");
    let gone = work.run(&["delete", "--yes", &remote]);
    assert_eq!(gone.code, Some(3), "{}", gone.stderr);
}

#[test]
fn load_is_import_and_takes_what_docker_load_takes() {
    let work = workdir();
    let made = digest(&work.ok(&["export", "tree", "-o", "type=docker,name=app:1,dest=x.tar"]).stderr);
    let expected = format!("docker.io/library/app:1 {made}\n");
    for arguments in [&["load", "-i", "x.tar"][..], &["load", "--input=x.tar"], &["import", "x.tar"]] {
        assert_eq!(stdout(&work.ok(arguments)), expected, "{arguments:?}");
    }
    assert_eq!(stdout(&piped(&work, &["load"], &[], &work.read("x.tar"))), expected);
}

#[test]
fn an_index_lists_images_as_they_are() {
    let (work, registry) = (workdir(), Registry::start());
    let name = format!("{}/app", registry.host());
    for platform in ["amd64", "arm64"] {
        let output = format!("type=registry,name={name}:{platform}");
        work.ok(&["export", &format!("{platform}=tree"), "-o", &output]);
    }
    let [amd, arm] = ["amd64", "arm64"].map(|platform| format!("docker://{name}:{platform}"));
    let made = digest(&work.ok(&["index", "create", &format!("docker://{name}:1"), &amd, &arm]).stderr);
    let stored = digest(&work.ok(&["index", "create", "example.com/both:1", &amd, &format!("arm64={arm}")]).stderr);
    assert_eq!(made, stored);
    let of = |platform: &str| stdout(&work.ok(&["digest", &format!("docker://{name}:1"), "--platform", platform]));
    for (platform, single) in [("amd64", &amd), ("arm64", &arm)] {
        assert_eq!(of(platform), stdout(&work.ok(&["digest", single])));
    }
    // All platforms of an index are taken.
    let again = work.ok(&["index", "create", "oci:again", &format!("docker://{name}:1")]);
    assert_eq!(digest(&again.stderr), made);
}

const PASSWORD: &str = "s3cr3t-passw0rd";

#[test]
fn a_login_is_kept_once_the_registry_accepts_it() {
    let basic = Registry::builder().basic("user", PASSWORD).start();
    let tokens = TokenOptions { anonymous: false, password: PASSWORD.to_owned(), ..TokenOptions::default() };
    let bearer = Registry::builder().tokens(tokens).start();
    for registry in [&basic, &bearer] {
        let work = workdir();
        let home = work.path("home").display().to_string();
        let environment = [("HOME", home.as_str()), ("DOCKER_CONFIG", ""), ("REGISTRY_AUTH_FILE", "")];
        let with = |arguments: &[&str], input: &str| piped(&work, arguments, &environment, input.as_bytes());
        let login = ["login", registry.host(), "-u", "user", "--password-stdin"];
        let wrong = with(&login, "wr0ng");
        assert_eq!(wrong.code, Some(4), "{}", wrong.stderr);
        assert!(wrong.stderr.contains("the registry refuses the name or the password"), "{}", wrong.stderr);
        assert!(!work.path("home").exists(), "nothing is kept");
        let push = ["export", "rootfs:tree", "-o", &format!("type=registry,name={}/app:1", registry.host())];
        let before = with(&push, "");
        let hint = format!("log in with `longshore login {}`", registry.host());
        assert!(before.code == Some(4) && before.stderr.contains(&hint), "{}", before.stderr);

        let done = with(&login, &format!("{PASSWORD}\n"));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let file = work.path("home/.docker/config.json");
        assert_eq!(stdout(&done), format!("logged in to {} as user; kept in {}\n", registry.host(), file.display()));
        assert_eq!(with(&push, "").code, Some(0));
        let logout = ["logout", registry.host()];
        assert!(stdout(&with(&logout, "")).starts_with("logged out of "));
        assert!(stdout(&with(&logout, "")).starts_with("not logged in to "));
        assert_eq!(with(&push, "").code, Some(4));
        for ran in [&wrong, &done] {
            assert!(!(ran.stderr.clone() + &stdout(ran)).contains(PASSWORD), "{ran:?}");
        }
    }
}

#[test]
fn a_helper_keeps_the_login_that_the_file_leaves_to_it() {
    let registry = Registry::builder().basic("user", PASSWORD).start();
    let work = workdir();
    let helper = "#!/bin/sh\nplace=$(dirname \"$0\")/kept\ncase $1 in\nstore) cat >\"$place\";;\n\
        get) test -s \"$place\" && cat \"$place\" || { echo 'credentials not found in native keychain'; exit 1; };;\n\
        erase) rm \"$place\";;\nesac\n";
    work.write("bin/text", helper);
    let paths = [work.path("bin/text"), work.path("bin/docker-credential-own")];
    let install = Command::new("install").args(["-m", "755"]).args(paths).status();
    assert!(install.unwrap().success());
    let config = format!(r#"{{"credHelpers":{{"{}":"own"}}}}"#, registry.host());
    work.write("docker/config.json", &config);
    let path = format!("{}:{}", work.path("bin").display(), std::env::var("PATH").unwrap());
    let docker = work.path("docker").display().to_string();
    let environment = [("PATH", path.as_str()), ("DOCKER_CONFIG", &docker), ("REGISTRY_AUTH_FILE", "")];
    let with = |arguments: &[&str], input: &str| piped(&work, arguments, &environment, input.as_bytes());
    let done = with(&["login", registry.host(), "-u", "user", "--password-stdin"], PASSWORD);
    assert!(stdout(&done).ends_with("kept in docker-credential-own\n"), "{done:?}");
    assert_eq!(work.read("docker/config.json"), config.as_bytes());
    let push = ["export", "rootfs:tree", "-o", &format!("type=registry,name={}/app:1", registry.host())];
    assert_eq!(with(&push, "").code, Some(0));
    assert!(stdout(&with(&["logout", registry.host()], "")).starts_with("logged out"));
    assert!(!work.path("bin/kept").exists());
    assert_eq!(with(&push, "").code, Some(4));
}

/// clap found `completion` in `cp`, and `prune` in `run`.
#[test]
fn foreign_words_are_told_what_does_the_same() {
    let work = workdir();
    for (line, expected) in [
        ("cp a b", "longshore copy SRC DST"),
        ("run app:1", "longshore unpack NAME --to DIR"),
        ("build .", "longshore export rootfs:DIR"),
        ("ps", "longshore images"),
        ("history app:1", "longshore inspect SOURCE"),
        ("manifest inspect app:1", "longshore inspect --raw SOURCE"),
        ("list-tags docker://app", "longshore ls REPOSITORY"),
        ("exprot rootfs:tree", "did you mean `longshore export`?"),
        ("xyzzy", "`longshore --help` lists the commands"),
        ("docker://app:1", "write the command first: longshore inspect docker://app:1"),
        ("index creat a b", "did you mean `longshore index create`?"),
        ("export rootfs:tree --push", "-o type=registry,name=NAME"),
        ("export rootfs:tree --chown 0:0 -o a", "use --owner UID:GID"),
        ("export rootfs:tree -t app:1", "-o type=image,name=NAME"),
        ("export rootfs:tree --platfrom arm64 -o a", "did you mean `--platform`?"),
        ("export rootfs:tree --xyzzy -o a", "`longshore export --help` lists the flags"),
        ("copy a b --src-tls-verify=false", "docker://NAME,insecure=true"),
        ("login -p secret r.example", "`longshore login REGISTRY` keeps them"),
        ("copy a b c", "`longshore copy` takes no more"),
    ] {
        let ran = work.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, Some(2), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{line}: {}", ran.stderr);
        assert!(!ran.stderr.contains("completion") && !ran.stderr.contains("similar"), "{line}: {}", ran.stderr);
    }
}

#[test]
fn paths_and_names_are_sources() {
    let work = workdir();
    let made = digest(&work.ok(&["export", "./tree", "-o", "type=oci,name=app:1,dest=x.tar"]).stderr);
    let mut inside = work.command(&["export", ".", "-o", "type=oci,name=app:1,dest=../x2.tar"]);
    let inside: Ran = inside.current_dir(work.path("tree")).output().unwrap().into();
    assert_eq!(digest(&inside.stderr), made);
    work.ok(&["export", "x.tar", "-o", "type=oci,tar=false,name=app:1,dest=layout"]);
    work.ok(&["export", "x.tar", "-o", "type=docker,format=legacy,name=app:1,dest=legacy.tar"]);
    work.ok(&["load", "-i", "x.tar"]);
    for source in ["x.tar", "./layout", "layout:app:1", "app:1", "app", "docker.io/library/app:1"] {
        let source = if source == "app" { "app:1" } else { source };
        assert_eq!(stdout(&work.ok(&["digest", source])), format!("{made}\n"), "{source}");
    }
    work.ok(&["verify", "legacy.tar"]);
    work.ok(&["unpack", "x.tar", "--to", "files"]);
    assert_eq!(work.read("files/bin/app"), b"app");
    work.ok(&["export", "amd64=./tree,owner=1:2", "-o", "type=tar,dest=owned.tar"]);
    for (arguments, expected) in [
        (
            ["inspect", "example.com/other:1"],
            "hint: the image store has no example.com/other:1; write docker://example.com/other:1 for a registry, or `longshore pull example.com/other:1` first\n",
        ),
        (["inspect", "./other"], "hint: there is no ./other; "),
        (["inspect", "owned.tar"], "hint: owned.tar is no image; "),
        (["inspect", "tree"], "hint: export it first, for example with -o type=oci,dest=app.tar\n"),
    ] {
        let ran = work.run(&arguments);
        assert!(matches!(ran.code, Some(2 | 3)) && ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
    }
}

/// Two layers on a base, the second of which deletes and replaces.
fn layered(work: &Workdir) {
    work.write("base/etc/os", "old");
    work.write("new/etc/os", "new");
    work.write("upper/bin/app", "replaced");
    work.write("upper/bin/.wh.gone", "");
    work.write("tree/bin/gone", "gone");
    for base in ["base", "new"] {
        work.ok(&["export", base, "--env", &format!("BASE={base}"), "-o", &format!("type=image,name={base}:1")]);
    }
    let on_base = ["export", "base:1", "--layer", "tree", "--env", "A=1", "-o", "type=image,name=middle:1"];
    work.ok(&on_base);
    let tar = Command::new("tar").args(["-C", "upper", "-cf", "upper.tar", "bin"]).current_dir(work.root()).status();
    assert!(tar.unwrap().success());
    work.ok(&["export", "middle:1", "--layer", "upper.tar", "--cmd", "/bin/app", "-o", "type=image,name=app:1"]);
}

fn inspected(work: &Workdir, source: &str) -> serde_json::Value {
    let all: serde_json::Value = serde_json::from_slice(&work.ok(&["inspect", "--json", source]).stdout).unwrap();
    all[0]["image"]["manifests"][0].clone()
}

#[test]
fn a_flat_image_has_the_files_and_the_configuration() {
    let work = workdir();
    layered(&work);
    work.ok(&["flatten", "app:1", "image:flat:1"]);
    work.ok(&["squash", "app:1", "oci:flat:example.com/flat:1", "--quiet"]);
    for image in ["flat:1", "app:1"] {
        work.ok(&["unpack", image, "--to", &format!("files-{}", &image[..image.len() - 2])]);
    }
    let diff = Command::new("diff").args(["-r", "files-flat", "files-app"]).current_dir(work.root()).output().unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
    assert!(!work.path("files-flat/bin/gone").exists());
    let (flat, app) = (inspected(&work, "flat:1"), inspected(&work, "app:1"));
    assert_eq!((flat["layers"].as_array().unwrap().len(), app["layers"].as_array().unwrap().len()), (1, 3));
    assert_eq!(flat["image"]["config"], app["image"]["config"]);
    assert_eq!(flat["image"]["history"].as_array().unwrap().len(), 1);
    assert_eq!(stdout(&work.ok(&["digest", "flat"])), stdout(&work.ok(&["digest", "flat:1"])));
    work.ok(&["verify", "flat:1"]);
}

#[test]
fn layers_move_to_another_base() {
    let work = workdir();
    layered(&work);
    work.ok(&["rebase", "app:1", "image:moved:1", "--old-base", "base:1", "--new-base", "new:1"]);
    let (app, moved, new) = (inspected(&work, "app:1"), inspected(&work, "moved:1"), inspected(&work, "new:1"));
    let layers = |image: &serde_json::Value| {
        let layers = image["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["digest"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(layers(&moved), [layers(&new), layers(&app)[1..].to_vec()].concat());
    assert_eq!(moved["image"]["config"], app["image"]["config"]);
    let steps = |image: &serde_json::Value| image["image"]["history"].as_array().unwrap().clone();
    assert_eq!(steps(&moved), [steps(&new), steps(&app)[1..].to_vec()].concat());
    work.ok(&["verify", "moved:1"]);
    work.ok(&["unpack", "moved:1", "--to", "files"]);
    assert_eq!((work.read("files/etc/os"), work.read("files/bin/app")), (b"new".to_vec(), b"replaced".to_vec()));
    let other = work.run(&["rebase", "app:1", "image:x:1", "--old-base", "new:1", "--new-base", "base:1"]);
    let expected = "it is not built on the old base: 0 of its 1 layers are the image's first";
    assert!(other.code == Some(3) && other.stderr.contains(expected), "{}", other.stderr);
}

#[test]
fn a_layer_comes_on_standard_input() {
    let work = workdir();
    let tar = Command::new("tar").args(["-C", "tree", "-c", "bin"]).current_dir(work.root()).output().unwrap().stdout;
    let export = |layer: &str| ["export", "scratch", "--layer", layer, "-o", "type=tar,dest=x.tar"].map(str::to_owned);
    for (layer, path) in [("-", "bin/app"), ("-:/opt", "opt/bin/app")] {
        let words = export(layer);
        let ran = piped(&work, &words.each_ref().map(String::as_str), &[], &tar);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let listed = Command::new("tar").args(["-tf", "x.tar"]).current_dir(work.root()).output().unwrap().stdout;
        assert!(String::from_utf8(listed).unwrap().lines().any(|line| line == path), "{layer}");
    }
    let ran = piped(&work, &export("-").each_ref().map(String::as_str), &[], b"");
    let expected =
        "error: cannot read a layer from standard input\n  caused by: it is empty\nhint: pipe an archive into it\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), expected));
}

#[test]
fn a_root_file_system_comes_on_standard_input() {
    let work = workdir();
    let tar = Command::new("tar").args(["-C", "tree", "-c", "bin"]).current_dir(work.root()).output().unwrap().stdout;
    let export = ["export", "rootfs:-,owner=3:4", "--no-store", "-o", "type=tar,dest=x.tar"];
    let ran = piped(&work, &export, &[], &tar);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let listed = Command::new("tar").args(["--numeric-owner", "-tvf", "x.tar"]).current_dir(work.root()).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(listed.lines().any(|line| line.contains(" 3/4 ") && line.ends_with(" bin/app")), "{listed}");
    for (input, expected) in [(&b""[..], "it is empty"), (b"text", "neither a directory nor a tar archive")] {
        let ran = piped(&work, &export, &[], input);
        assert!(ran.code == Some(3) && ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

/// The error did not say which argument.
#[test]
fn an_argument_that_is_not_text_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let work = workdir();
    let source = std::ffi::OsStr::from_bytes(b"rootfs:caf\xe9");
    let output = work.command(&["export", "-o", "type=oci,dest=x.tar"]).arg(source).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with("error: the argument \"rootfs:caf\\xE9\" is not UTF-8\nhint: "), "{stderr}");
}
