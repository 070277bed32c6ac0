//! The same input gives the same bytes: for any number of jobs, in every run, in any place.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use longshore_testkit::sample::Tree;
use longshore_testkit::validate;
use run::Workdir;

const COMPRESSIONS: [&str; 3] = ["gzip", "zstd", "uncompressed"];

fn export(work: &Workdir, tree: &str, compression: &str, jobs: &str) -> Vec<u8> {
    let output = format!("type=oci,name=example.com/app:1,dest=out.tar,compression={compression}");
    work.ok(&["export", &format!("rootfs:{tree}"), "-o", &output, "--jobs", jobs, "--progress=quiet"]);
    work.read("out.tar")
}

#[test]
fn for_any_number_of_jobs() {
    let work = Workdir::new();
    Tree::new(1).write(&work.path("tree")).unwrap();
    for compression in COMPRESSIONS {
        let first = export(&work, "tree", compression, "1");
        for jobs in ["2", "3", "4", "5", "6", "7", "8"] {
            assert!(export(&work, "tree", compression, jobs) == first, "{compression}, {jobs} jobs");
        }
    }
}

#[test]
fn in_another_place_and_in_a_second_run() {
    let work = Workdir::new();
    for place in ["tree", "another/place/of/it"] {
        Tree::new(2).write(&work.path(place)).unwrap();
    }
    for compression in COMPRESSIONS {
        let first = export(&work, "tree", compression, "2");
        assert!(export(&work, "tree", compression, "2") == first, "{compression}, again");
        assert!(export(&work, "another/place/of/it", compression, "2") == first, "{compression}, elsewhere");
    }
}

#[test]
fn as_archive_and_as_directory_alike() {
    let work = Workdir::new();
    Tree::new(3).write(&work.path("tree")).unwrap();
    for compression in COMPRESSIONS {
        let (archive, directory) = (format!("{compression}.tar"), format!("{compression}.dir"));
        let archive_output = format!("type=oci,name=a:1,compression={compression},dest={archive}");
        let directory_output = format!("type=oci,name=a:1,compression={compression},dest={directory},tar=false");
        work.ok(&["export", "rootfs:tree", "-o", &archive_output, "-o", &directory_output]);
        let from_archive = validate::layout_tar(&work.path(&archive)).unwrap();
        let from_directory = validate::layout_dir(&work.path(&directory)).unwrap();
        assert_eq!(from_archive.images, from_directory.images);
    }
}

#[test]
fn source_date_epoch_stands_in_for_the_clock() {
    let work = Workdir::new();
    work.write("tree/file", "content");
    let run = |output: &str, epoch: Option<&str>| {
        let mut command = work.command(&["export", "rootfs:tree", "-o", output, "--iidfile", "id"]);
        epoch.map(|epoch| command.env("SOURCE_DATE_EPOCH", epoch));
        assert!(command.output().unwrap().status.success());
        let id = String::from_utf8(work.read("id")).unwrap();
        let config = work.read(&format!("out/blobs/sha256/{}", id.strip_prefix("sha256:").unwrap()));
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let history = config["history"][0]["created"].as_str().unwrap().to_owned();
        (config["created"].as_str().unwrap().to_owned(), history)
    };
    let both = |time: &str| (time.to_owned(), time.to_owned());
    let plain = "type=oci,dest=out,tar=false";
    assert_eq!(run(plain, Some("1600000000")), both("2020-09-13T12:26:40Z"));
    assert_eq!(run(&format!("{plain},source-date-epoch=0"), Some("1600000000")), both("1970-01-01T00:00:00Z"));
    std::fs::File::open(work.path("tree/file")).unwrap().set_modified(time(1_500_000_000)).unwrap();
    assert_eq!(run(&format!("{plain},source-date-epoch="), Some("1600000000")), both("2017-07-14T02:40:00Z"));
    assert_eq!(run(plain, None), both("2017-07-14T02:40:00Z"));
}

fn time(seconds: u64) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}
