//! What is odd, and keeps no image from being read.

use std::fs;

use longshore_core::archive::{Entry, Reader, Writer};
use longshore_core::{DOCKER_PARENT, ErrorKind, Store, Work};
use longshore_testkit::Warnings;
use longshore_testkit::docker::{DockerRoot, GraphDriver};
use longshore_testkit::validate;

use super::{Data, artifact, assert_error, export, read};

/// The name of its first file is how a layer begins; bzip2 begins with `BZh`, too.
#[test]
fn a_layer_may_begin_as_a_compressed_one_does() {
    let data = Data::new(GraphDriver::Overlay2);
    let mut tar = Writer::new(Vec::new());
    tar.append(&Entry::file("BZhang.txt", 0o644, 4), &mut &b"text"[..]).unwrap();
    let tar = tar.finish().unwrap();
    let image = data.root.build(std::slice::from_ref(&tar));
    data.root.tag("app:1", &image.id);
    assert_eq!(read(&artifact(&data.open(":app:1").unwrap()[0]).layers[0]).unwrap(), tar);
    for options in ["compression=uncompressed", "compression=gzip"] {
        let directory = tempfile::tempdir().unwrap();
        let exported = export(data.open(":app:1").unwrap(), directory.path(), options, Store::Spool).unwrap();
        assert_eq!(exported.images[0].config.as_ref(), Some(&image.id), "{options}");
    }
}

#[test]
fn names_that_are_none_are_left_out_with_a_warning() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let document = serde_json::json!({"Repositories": {"App": {"App:1": image.id}, "app": {"app:1": image.id}}});
    fs::write(data.root.repositories_path(), document.to_string()).unwrap();
    let (work, warnings) = Warnings::listen();
    let images = data.open_in("", work).unwrap();
    assert_eq!(images[0].names.len(), 1);
    assert_eq!(warnings.messages(), ["skipped `App:1`: not an image name"]);
}

#[test]
fn a_parent_that_is_none_is_a_warning() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let directory = data.path().join("image/overlay2/imagedb/metadata/sha256").join(image.id.hex());
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("parent"), "garbage").unwrap();
    let (work, warnings) = Warnings::listen();
    let images = data.open_in(":app:1", work).unwrap();
    assert!(!images[0].metadata.contains_key(DOCKER_PARENT));
    assert!(warnings.messages()[0].contains("parent"));
}

/// The manifest of that digest is not kept, and what is made has another one.
#[test]
fn an_image_named_by_digest_brings_no_name() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let name = format!("app@sha256:{}", "ab".repeat(32));
    data.root.tag(&name, &image.id);
    assert!(data.open(&format!(":{name}")).unwrap()[0].names.is_empty());
}

#[test]
fn files_of_the_users_of_a_namespace_are_not_made_into_layers() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("165536.165536");
    fs::create_dir(&root).unwrap();
    let docker = DockerRoot::new(&root, GraphDriver::Overlay2);
    let image = docker.build(&super::layers());
    let source = |options: &str| {
        let text = format!("docker-graph:{}:{}{options}", root.display(), image.id);
        super::open(&text, Work::default())
    };
    source("").unwrap();
    fs::remove_file(docker.layer_dir(&image.layers[0].chain_id).join("tar-split.json.gz")).unwrap();
    assert_error(&source(",regenerate=true").unwrap_err(), ErrorKind::Corrupt, "no tar-split", "user namespace");
}

#[test]
fn files_of_aufs_itself_are_not_in_a_layer_that_is_made_anew() {
    let (data, image) = Data::with_image(GraphDriver::Aufs);
    fs::remove_file(data.layer(&image, 0).join("tar-split.json.gz")).unwrap();
    let files = data.files(&image, 0);
    for own in [".wh..wh.orph", ".wh..wh.plnk"] {
        fs::create_dir(files.join(own)).unwrap();
        fs::write(files.join(own).join("file"), "own").unwrap();
    }
    fs::write(files.join(".wh..wh.aufs"), "").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let images = data.open(":app:1,regenerate=true").unwrap();
    export(images, directory.path(), "compression=uncompressed", Store::Spool).unwrap();
    let layout = directory.path().join("out.tar");
    let found = validate::layout_tar(&layout).unwrap().images.remove(0);
    let tar = longshore_core::archive::TarFile::open(fs::File::open(&layout).unwrap()).unwrap();
    let mut reader = Reader::new(tar.read(&found.layers[0].diff_id.layout_path(), 0).unwrap());
    while let Some(entry) = reader.next_entry().unwrap() {
        assert!(!entry.path.starts_with(b".wh..wh."), "{}", entry.display());
    }
}
