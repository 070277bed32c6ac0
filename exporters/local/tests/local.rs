//! What only `type=local` promises: which files stay, which go, and what they are like.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod fixture;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use fixture::Place;
use longshore_core::{Built, ExporterRegistry, ImageContent, OutputSpec, Session};
use longshore_exporter_local::LocalExporter;
use longshore_testkit::sample;

/// C `testExportLocalModeCopyKeepsStaleDestinationFiles`, `testExportLocalModeDeleteRemovesStaleDestinationFiles`.
#[test]
fn stale_files_stay_or_go() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.write("tree/d/b", "2");
    place.export("");
    place.write("out/stale", "old");
    place.write("out/d/stale", "old");
    place.write("out/gone/deep/stale", "old");
    place.write("tree/a", "new");
    place.export("");
    assert_eq!(
        (place.names(""), place.read("out/a")),
        (vec!["a".into(), "d".into(), "gone".into(), "stale".into()], "new".into())
    );
    place.export("mode=delete,allow-delete=true");
    assert_eq!((place.names(""), place.names("d")), (vec!["a".to_owned(), "d".to_owned()], vec!["b".to_owned()]));
}

/// Files that no export put there are the user's.
#[test]
fn foreign_files_are_not_deleted_unasked() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.write("out/mine", "precious");
    let said = place.refusal("mode=delete");
    assert!(said.contains("has files that no export put there, and mode=delete would remove them"), "{said}");
    assert_eq!((place.names(""), place.read("out/mine")), (vec!["mine".to_owned()], "precious".to_owned()));
    place.export("");
    assert_eq!(place.names(""), ["a", "mine"]);
    assert!(place.refusal("mode=delete").contains("no export put there"), "a copy does not make them its own");
    place.export("mode=delete,allow-delete=true");
    assert_eq!(place.names(""), ["a"]);
    // What an export put there goes, and what came since does not.
    fs::remove_file(place.path("tree/a")).unwrap();
    place.write("tree/b", "1");
    place.export("mode=delete");
    assert_eq!(place.names(""), ["b"]);
    place.write("out/later", "x");
    assert!(place.refusal("mode=delete").contains("no export put there"));
    place.export("");
    assert!(place.refusal("mode=delete").contains("no export put there"));
    assert_eq!(place.read("out/later"), "x");
}

/// What is mounted in the directory is somebody else's, and stays.
#[test]
fn mounted_files_stay() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.write("tree/mnt/b", "1");
    place.write("data/vital", "theirs");
    place.export("");
    let (from, to) = (place.path("data"), place.path("out/mnt"));
    let mount = |arguments: &[&std::ffi::OsStr]| std::process::Command::new("mount").args(arguments).status().unwrap();
    if !mount(&["--bind".as_ref(), from.as_os_str(), to.as_os_str()]).success() {
        eprintln!("skipped: only root mounts");
        return;
    }
    let refusals = [place.refusal("mode=delete,allow-delete=true"), place.refusal(""), {
        fs::remove_dir_all(place.path("tree/mnt")).unwrap();
        place.refusal("mode=delete,allow-delete=true")
    }];
    let left = place.read("data/vital");
    assert!(std::process::Command::new("umount").arg(&to).status().unwrap().success());
    assert_eq!(left, "theirs");
    for said in refusals {
        assert!(said.contains("mounted"), "{said}");
    }
}

/// An export of nothing would remove everything.
#[test]
fn an_empty_selection_removes_nothing() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.export("");
    assert!(place.refusal("mode=delete,include=typo").contains("mode=delete would empty"));
    assert!(place.refusal("mode=delete,include=").contains("include has no pattern"));
    assert_eq!(place.names(""), ["a"]);
}

#[test]
fn two_exports_at_once_are_refused() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.export("");
    let other = fs::File::open(place.path("out")).unwrap();
    other.lock().unwrap();
    assert!(place.refusal("").contains("another process is writing to it"), "{}", place.refusal(""));
    drop(other);
    place.export("");
}

/// Attributes that the image does not have do not stay on a file with the same content.
#[test]
fn attributes_of_others_go() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let place = Place::new();
    place.write("tree/a", "1");
    place.export("source-date-epoch=1000");
    let file = place.path("out/a");
    if setxattr(&file, "user.other", b"x", XattrFlags::empty()).is_err() {
        eprintln!("skipped: no attributes here");
        return;
    }
    place.export("source-date-epoch=1000");
    assert!(getxattr(&file, "user.other", &mut [0u8; 8][..]).is_err());
}

/// Outputs do not write into each other's places.
#[test]
fn other_outputs_are_not_below() {
    let place = Place::new();
    place.write("tree/a", "1");
    let exporters = ExporterRegistry::default().with(LocalExporter);
    let spec = |below: &str| {
        let text = format!("type=local,dest={}", place.path(below).display());
        OutputSpec::parse(&text).unwrap().unwrap()
    };
    let error = Session::new(&exporters).resolve(&[spec("out"), spec("out/sub")]).unwrap_err();
    assert!(error.with_causes().contains("two outputs write to"), "{}", error.with_causes());
    let root = OutputSpec::parse("type=local,dest=/").unwrap().unwrap();
    let error = Session::new(&exporters).resolve(&[root]).unwrap_err();
    assert!(error.with_causes().contains("files are not written to / itself"), "{}", error.with_causes());
}

/// Nothing is written or deleted through a link.
#[test]
fn links_in_the_directory_are_not_followed() {
    let place = Place::new();
    place.write("tree/d/a", "new");
    place.write("elsewhere/a", "theirs");
    place.write("elsewhere/b", "theirs");
    fs::create_dir(place.path("out")).unwrap();
    symlink(place.path("elsewhere"), place.path("out/d")).unwrap();
    let said = place.refusal("");
    assert!(said.contains("there is a symbolic link, where the image has a directory"), "{said}");
    place.export("mode=delete,allow-delete=true");
    assert!(place.path("out/d").symlink_metadata().unwrap().is_dir());
    assert_eq!(
        (place.read("out/d/a"), place.read("elsewhere/a"), place.read("elsewhere/b")),
        ("new".into(), "theirs".into(), "theirs".into())
    );
    // A link that is only stale goes; what it leads to stays.
    symlink(place.path("elsewhere"), place.path("out/stale")).unwrap();
    place.export("mode=delete,allow-delete=true");
    assert_eq!((place.names(""), place.read("elsewhere/b")), (vec!["d".to_owned()], "theirs".to_owned()));
    // A link to a file is replaced itself.
    fs::remove_file(place.path("out/d/a")).unwrap();
    symlink(place.path("elsewhere/a"), place.path("out/d/a")).unwrap();
    place.export("");
    assert_eq!((place.read("out/d/a"), place.read("elsewhere/a")), ("new".into(), "theirs".into()));
}

#[test]
fn a_directory_is_not_replaced_by_a_file_unasked() {
    let place = Place::new();
    place.write("tree/a", "file");
    place.write("tree/d/b", "1");
    place.write("out/a/deep", "theirs");
    let said = place.refusal("");
    assert!(said.contains("cannot write `a`: there is a directory, where the image has a file"), "{said}");
    assert_eq!((place.names(""), place.read("out/a/deep")), (vec!["a".to_owned()], "theirs".to_owned()));
    place.export("mode=delete,allow-delete=true");
    assert_eq!((place.read("out/a"), place.read("out/d/b")), ("file".into(), "1".into()));
}

/// Unchanged files keep their inode; others get a new one, and what had the old one open still reads it.
#[test]
fn unchanged_files_are_left_alone() {
    let place = Place::new();
    for (name, content) in
        [("same", "1"), ("content", "22"), ("longer", "1"), ("mode", "1"), ("late", &*"x".repeat(700_000))]
    {
        place.write(&format!("tree/{name}"), content);
    }
    symlink("same", place.path("tree/link")).unwrap();
    place.export("source-date-epoch=1000");
    let inode = |name: &str| place.path("out").join(name).symlink_metadata().unwrap().ino();
    let names = ["same", "content", "longer", "mode", "late", "link"];
    let before = names.map(inode);
    place.write("tree/content", "23");
    place.write("tree/longer", "12");
    place.write("tree/late", &format!("{}y", "x".repeat(699_999)));
    fs::set_permissions(place.path("tree/mode"), fs::Permissions::from_mode(0o755)).unwrap();
    place.export("source-date-epoch=1000");
    let after = names.map(inode);
    let same: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
    assert_eq!(same, [true, false, false, true, false, true]);
    assert_eq!(place.path("out/mode").metadata().unwrap().mode() & 0o777, 0o755);
    assert!(place.read("out/late").ends_with("xy") && place.read("out/late").len() == 700_000);
    assert_eq!(place.read("out/content"), "23");
}

/// C `testExportBusyboxLocal`: hard links stay hard links, also where the names were files of their own.
#[test]
fn export_busybox_local() {
    let place = Place::new();
    place.write("tree/a", "content");
    fs::hard_link(place.path("tree/a"), place.path("tree/b")).unwrap();
    for (options, before) in [("", false), ("", true), ("mode=delete,allow-delete=true", true)] {
        let _ = fs::remove_dir_all(place.path("out"));
        if before {
            place.write("out/a", "content");
            place.write("out/b", "other");
        }
        place.export(options);
        place.export(options);
        let [a, b] = ["out/a", "out/b"].map(|name| place.path(name).metadata().unwrap());
        assert_eq!((a.ino(), a.nlink(), place.read("out/b").as_str()), (b.ino(), 2, "content"), "{options} {before}");
    }
}

/// Blocks of zeros are holes.
#[test]
fn zeros_are_holes() {
    let place = Place::new();
    let mut bytes = vec![0u8; 8 << 20];
    bytes[5 << 20] = 7;
    fs::write(place.path("tree/sparse"), &bytes).unwrap();
    fs::write(place.path("tree/zeros"), vec![0u8; 1 << 20]).unwrap();
    place.export("");
    assert!(fs::read(place.path("out/sparse")).unwrap() == bytes);
    assert_eq!(fs::read(place.path("out/zeros")).unwrap(), vec![0u8; 1 << 20]);
    let found = place.path("out/sparse").metadata().unwrap();
    assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
}

/// What was written has the same layer again: owners, modes, times, links and devices.
#[test]
fn what_was_written_exports_to_the_same_layer() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root keeps owners");
        return;
    }
    for seed in 0..20 {
        let place = Place::new();
        fs::remove_dir(place.path("tree")).unwrap();
        sample::Tree::new(seed).with_devices().write(&place.path("tree")).unwrap();
        for options in ["", "mode=delete", ""] {
            place.export(options);
            let [tree, out] = ["tree", "out"].map(|tree| layer_of(&place, tree));
            assert!(tree == out, "seed {seed} {options}");
        }
    }
}

fn layer_of(place: &Place, tree: &str) -> Vec<u8> {
    let image = place.image(tree);
    let ImageContent::Built(Built::Single(artifact)) = &image.content else { panic!("it is built") };
    let mut bytes = Vec::new();
    let mut writer = longshore_core::archive::Writer::new(&mut bytes);
    let work = longshore_core::Work::default();
    artifact.layers[0].entries(&work, &mut |entry, content| Ok(writer.append(&entry, content)?)).unwrap();
    writer.finish().unwrap();
    bytes
}

/// C `testExportLocalForcePlatformSplit`, `testExportLocalModeDeleteMultiPlatformKeepsAllPlatforms`.
#[test]
fn export_local_force_platform_split() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.export("platform-split=true");
    assert_eq!((place.names(""), place.names("linux_amd64")), (vec!["linux_amd64".to_owned()], vec!["a".to_owned()]));
    let image = sample::multi_platform(1, 2);
    place.try_export(image, "mode=delete").unwrap();
    assert_eq!(place.names(""), ["linux_amd64", "linux_arm64"]);
    assert!(!place.names("linux_amd64").contains(&"a".to_owned()));
}

/// C `TestSolveRejectsInvalidLocalExporterMode`.
#[test]
fn solve_rejects_invalid_local_exporter_mode() {
    let place = Place::new();
    let said = place.refusal("mode=mirror");
    assert!(said.contains("option `mode` of type=local") && said.contains("expected copy|delete"), "{said}");
    assert!(place.refusal("allow-delete=true").contains("does nothing without mode=delete"));
    place.export("mode=Copy");
    assert!(!Path::new("out").exists());
}
