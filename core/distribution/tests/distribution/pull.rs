//! Blobs and manifests as they are read.

use std::io::Read;
use std::time::Duration;

use longshore_content::{Provider, read};
use longshore_oci::{Descriptor, Digest, ErrorKind, Index, MediaType, json};
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

const SIZE: usize = 2_000_000;

fn ranges(registry: &Registry) -> Vec<Option<String>> {
    matching(registry, "GET", "/blobs/").iter().map(|get| get.header("range").map(str::to_owned)).collect()
}

#[test]
fn a_blob_that_breaks_off_goes_on_where_it_was() {
    let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
    registry.put_blob(REPOSITORY, &blob);
    for bytes in [600_000, 0, 1, 700_000] {
        registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(bytes));
    }
    let descriptor = Descriptor::of(layer(), &blob);
    assert!(kit.read(&kit.pull(registry.host()), &descriptor).unwrap() == blob);
    let expected = ["600000", "600000", "600001", "1300001"].map(|from| Some(format!("bytes={from}-")));
    assert_eq!(ranges(&registry), [&[None][..], &expected].concat());
}

#[test]
fn breaks_after_progress_are_not_counted_together() {
    let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(100_000).times(15));
    assert!(kit.read(&kit.pull(registry.host()), &Descriptor::of(layer(), &blob)).unwrap() == blob);
}

#[test]
fn a_blob_that_always_breaks_off_is_given_up() {
    let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(600_000));
    registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(0).times(1000));
    let error = kit.read(&kit.pull(registry.host()), &Descriptor::of(layer(), &blob)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.with_causes());
    assert!(error.with_causes().contains("failed after 6 attempts"), "{}", error.with_causes());
    assert_eq!(count(&registry, "GET", "/blobs/"), 6);
}

#[test]
fn a_registry_without_ranges_sends_all_of_it_again() {
    let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(600_000));
    registry.fail(Rule::on("GET", "/blobs/").ignore_range().drop_after_response_bytes(900_000));
    registry.fail(Rule::on("GET", "/blobs/").ignore_range());
    assert!(kit.read(&kit.pull(registry.host()), &Descriptor::of(layer(), &blob)).unwrap() == blob);
}

#[test]
fn a_registry_that_answers_with_another_range_is_not_believed() {
    let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(600_000));
    registry.fail(Rule::on("GET", "/blobs/").header("Content-Range", "bytes 500000-1999999/2000000"));
    let error = kit.read(&kit.pull(registry.host()), &Descriptor::of(layer(), &blob)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.with_causes());
}

#[test]
fn a_blob_is_read_from_where_it_is_wanted() {
    let (registry, blob) = (Registry::start(), noise(1000));
    let digest = registry.put_blob(REPOSITORY, &blob);
    let repository = Kit::new().pull(registry.host());
    for offset in [0, 1, 999, 1000] {
        let mut rest = Vec::new();
        repository.open(&digest, offset).unwrap().read_to_end(&mut rest).unwrap();
        assert!(rest == blob[usize::try_from(offset).unwrap()..], "{offset}");
    }
    registry.fail(Rule::on("GET", "/blobs/").ignore_range());
    let mut rest = Vec::new();
    repository.open(&digest, 10).unwrap().read_to_end(&mut rest).unwrap();
    assert!(rest == blob[10..]);
}

#[test]
fn what_is_not_there_is_not_found() {
    let registry = Registry::start();
    let repository = Kit::new().pull(registry.host());
    let digest = Digest::of(b"nothing");
    let errors = [
        repository.resolve("1.0").unwrap_err(),
        repository.resolve(&digest.to_string()).unwrap_err(),
        repository.open(&digest, 0).err().unwrap(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.with_causes());
        assert!(error.with_causes().contains(REPOSITORY), "{}", error.with_causes());
    }
    assert_eq!(registry.requests().iter().filter(|request| request.path != "/v2/").count(), 3);
}

#[test]
fn children_of_an_index_are_manifests() {
    let registry = Registry::start();
    let (child, bytes) = put_manifest(&registry, "child");
    let index = json::compact(&Index::new(vec![child.clone()])).unwrap();
    registry.put_manifest(REPOSITORY, Some("1.0"), MediaType::INDEX.as_str(), &index);
    let repository = Kit::new().pull(registry.host());
    let root = repository.resolve("1.0").unwrap();
    assert_eq!(root, Descriptor::of(MediaType::INDEX, &index));
    for _ in 0..2 {
        assert_eq!(read(&repository, &root, 1 << 20).unwrap(), index);
        assert_eq!(read(&repository, &child, 1 << 20).unwrap(), bytes);
    }
    assert_eq!((count(&registry, "GET", "/manifests/"), count(&registry, "GET", "/blobs/")), (2, 0));
    assert_eq!(repository.origins(&child.digest).unwrap(), [origin(&registry, REPOSITORY)]);
}

#[test]
fn a_pull_ends_when_someone_asks_to_stop() {
    let blob = noise(SIZE);
    let stalls: [fn(Rule) -> Rule; 2] = [Rule::stall, |rule| rule.trickle(1_000_000, Duration::from_secs(60))];
    for stall in stalls {
        let (registry, kit) = (Registry::start(), Kit::new());
        registry.put_blob(REPOSITORY, &blob);
        registry.fail(stall(Rule::on("GET", "/blobs/")));
        let repository = kit.pull(registry.host());
        let descriptor = Descriptor::of(layer(), &blob);
        kit.cancelled(|| count(&registry, "GET", "/blobs/") == 1, || kit.read(&repository, &descriptor));
        assert_eq!(kit.notes.warnings(), Vec::<String>::new());
    }
    let (registry, kit) = (Registry::start(), Kit::new());
    registry.fail(Rule::on("GET", "/manifests/").stall());
    let repository = kit.pull(registry.host());
    kit.cancelled(|| count(&registry, "GET", "/manifests/") == 1, || repository.resolve("1.0"));
}
