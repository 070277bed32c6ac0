//! Connections that break: an upload goes on where it was.

use std::fs::File;
use std::io::{BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;

use longshore_core::oci::{Digest, Hasher};
use longshore_testkit::registry::{Proxy, Registry, Rule};
use longshore_testkit::sample::Random;
use serde_json::Value;

use super::docker_registry::DockerRegistry;
use super::machine::{Machine, digest_of, document, layers};
use crate::run::Ran;

const MB: u64 = 1 << 20;

/// A directory with a file that nothing makes smaller.
fn machine(bytes: u64) -> Machine {
    let machine = Machine::new();
    machine.work.write("big/file", Random::new(7).bytes(usize::try_from(bytes).unwrap()));
    machine
}

/// The digest of a file's bytes, which need not fit into memory.
fn digest_of_file(path: &Path) -> (Digest, u64) {
    let mut file = BufReader::new(File::open(path).unwrap());
    let mut hasher = Hasher::new(Digest::of(b"").algorithm());
    let (mut buffer, mut size) = (vec![0; 1 << 20], 0);
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    (hasher.finish(), size)
}

/// The only layer of an image of Debian's registry: it is what its digest says. Its size.
fn whole_layer(registry: &DockerRegistry, repository: &str, tag: &str) -> u64 {
    let manifest = registry.blob(&registry.tag(repository, tag).unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = layers(&manifest).remove(0);
    let (digest, size) = digest_of_file(&registry.blob_path(&layer));
    assert_eq!((&digest, manifest["layers"][0]["size"].as_u64()), (&layer, Some(size)));
    size
}

/// Pushes through a proxy that cuts so often, and answers what was said and how much went through the proxy.
fn push(upstream: SocketAddr, bytes: u64, cuts: &[u64], options: &str) -> (Ran, Digest, u64) {
    let machine = machine(bytes);
    let proxy = Proxy::start(upstream);
    proxy.cut_after(cuts.to_vec());
    let output = format!("type=registry,name={}/big:1{options}", proxy.host());
    let (ran, digest) = machine.export_one(&["rootfs:big", "-o", &output]);
    assert_eq!(proxy.cuts_left(), 0, "{}", ran.stderr);
    let local = format!("type=oci,dest=big.tar{}", options.replace(",push-streaming=true", ""));
    let (_, expected) = machine.export_one(&["rootfs:big", "--no-store", "-o", &local]);
    assert_eq!(digest, expected);
    (ran, digest, proxy.sent())
}

/// Pushes to the registry of the test kit, which keeps what came before a connection broke.
fn resumes(bytes: u64, cuts: &[u64], options: &str) {
    let registry = Registry::start();
    let (ran, digest, sent) = push(registry.address(), bytes, cuts, options);
    assert_eq!(digest_of(&registry, "big", "1"), Some(digest));
    let manifest = document(&registry, "big", "1");
    let layer = layers(&manifest).remove(0);
    let blob = registry.blob("big", &layer).unwrap();
    assert_eq!((&Digest::of(&blob), blob.len() as u64 > bytes), (&layer, true));
    let said = format!("resumed {} times", cuts.len());
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    assert!(sent * 10 < blob.len() as u64 * 11, "{sent} bytes were sent of {}\n{}", blob.len(), ran.stderr);
    assert_eq!(registry.open_uploads(), 0);
}

/// Pushes to the registry of Debian. Version 2 of it gives an upload up whose connection broke: what came
/// before the cut is lost, so it is not counted how much is sent.
fn arrives(bytes: u64, cuts: &[u64], options: &str) {
    let Some(registry) = DockerRegistry::start() else { return };
    let (_, digest, _) = push(registry.address(), bytes, cuts, options);
    assert_eq!(registry.tag("big", "1"), Some(digest));
    assert!(whole_layer(&registry, "big", "1") > bytes);
}

#[test]
fn an_upload_of_200_mb_survives_five_cuts() {
    resumes(200 * MB, &[30 * MB, 40 * MB, 50 * MB + 1, 17 * MB, 33 * MB], ",compression=uncompressed");
}

#[test]
fn an_upload_of_200_mb_to_the_registry_of_debian_survives_five_cuts() {
    arrives(200 * MB, &[30 * MB, 40 * MB, 50 * MB + 1, 17 * MB, 33 * MB], ",compression=uncompressed");
}

#[test]
fn a_layer_that_is_sent_while_it_is_made_survives_cuts() {
    resumes(24 * MB, &[5 * MB, 9 * MB + 1, 3 * MB], ",push-streaming=true");
}

#[test]
fn a_layer_that_is_sent_to_the_registry_of_debian_while_it_is_made_survives_cuts() {
    arrives(24 * MB, &[5 * MB, 9 * MB + 1, 3 * MB], ",push-streaming=true");
}

#[test]
fn a_layer_that_is_sent_while_it_is_made_is_not_kept() {
    let registry = Registry::start();
    let machine = machine(4 * MB);
    let output = format!("type=registry,name={}/big:1,push-streaming=true", registry.host());
    let (_, digest) = machine.export_one(&["rootfs:big", "--layer", "etc:/etc", "-o", &output]);
    assert_eq!(digest_of(&registry, "big", "1"), Some(digest));
    let manifest = document(&registry, "big", "1");
    for layer in layers(&manifest) {
        assert_eq!(Digest::of(&registry.blob("big", &layer).unwrap()), layer);
    }
    let streamed = registry.requests().iter().filter(|request| request.method == "PATCH").count();
    assert_eq!(streamed, layers(&manifest).len());
    let used: Value = serde_json::from_slice(&machine.ok(&["du", "--json"]).stdout).unwrap();
    assert!(used["total"]["bytes"].as_u64().unwrap_or(u64::MAX) < MB, "{used:#}");
    machine.ok(&["verify", &format!("docker://{}/big:1", registry.host())]);
}

#[test]
fn a_registry_that_takes_no_streams_gets_layers_that_were_kept() {
    let registry = Registry::builder().refuse_streaming().start();
    let machine = machine(4 * MB);
    let output = format!("type=registry,name={}/big:1,push-streaming=true", registry.host());
    let (ran, digest) = machine.export_one(&["rootfs:big", "-o", &output]);
    assert!(ran.stderr.contains("the registry does not accept streams: storing the layer first"), "{}", ran.stderr);
    assert_eq!(digest_of(&registry, "big", "1"), Some(digest));
    assert_eq!(registry.open_uploads(), 0);
    machine.ok(&["verify", &format!("docker://{}/big:1", registry.host())]);
}

#[test]
fn a_download_goes_on_where_it_was() {
    let Some(real) = DockerRegistry::start() else { return };
    let machine = machine(8 * MB);
    let (_, digest) = machine.export_one(&["rootfs:big", "-o", &format!("type=registry,name={}/big:1", real.host())]);
    let registry = Registry::start();
    let copy = format!("type=registry,name={}/big:1", registry.host());
    machine.ok(&["export", &format!("docker://{}/big:1", real.host()), "-o", &copy]);
    let layer = layers(&document(&registry, "big", "1")).remove(0);
    for at in [1 << 20, 3 << 20] {
        let blob = format!("/blobs/{layer}");
        registry.fail(Rule::on("GET", &blob).drop_after_response_bytes(at));
    }
    registry.clear_requests();
    let source = format!("docker://{}/big:1", registry.host());
    let (_, read) = machine.export_one(&["--no-store", &source, "-o", "type=oci,dest=x.tar"]);
    assert_eq!(read, digest);
    longshore_testkit::validate::layout_tar(&machine.work.path("x.tar")).unwrap();
    let requests = registry.requests();
    let ranges = requests.iter().filter_map(|request| request.header("range")).collect::<Vec<_>>();
    assert_eq!(ranges.len(), 2, "one after each cut, and none at the end: {ranges:?}");
    assert!(!ranges.contains(&"bytes=0-"), "{ranges:?}");
}
