//! Which images a source names, and what else it says.

use std::fs;

use longshore_core::oci::{Digest, ImageName};
use longshore_core::{Error, ErrorKind, Work};
use longshore_testkit::docker::{DockerRoot, GraphDriver};
use serde_json::json;

use super::{Data, artifact, assert_error, layers, open};

/// A root with `app:1`, `app:2`, `app:latest` and more on three images: all that is to be known about it.
fn named() -> (Data, [Digest; 3]) {
    let data = Data::new(GraphDriver::Overlay2);
    let mut tars = layers();
    let ids = [(); 3].map(|()| data.root.build(&[tars.pop().unwrap(), layers().remove(1)]).id);
    // The third archive is the first, so the third image is the first, too.
    assert_eq!(ids[0], ids[2]);
    let third = data.root.build(&[]).id;
    let ids = [ids[0].clone(), ids[1].clone(), third];
    for (name, at) in [("app:1", 0), ("app:latest", 0), ("app:2", 1), ("r.example:5000/x/app:1", 1)] {
        data.root.tag(name, &ids[at]);
    }
    data.root.tag(&format!("pulled@{}", Digest::of(b"a manifest")), &ids[2]);
    (data, ids)
}

/// What was opened: which image, and its names.
fn opened(data: &Data, ids: &[Digest], rest: &str, all_tags: bool) -> Result<Vec<String>, Error> {
    let images = data.open(&format!("{rest}{}", if all_tags { ",all-tags=true" } else { "" }))?;
    let describe = |image: &longshore_core::Image| {
        let id = Digest::of(&artifact(image).config.to_bytes().unwrap());
        let at = ids.iter().position(|known| *known == id).unwrap();
        let names: Vec<String> = image.names.iter().map(ImageName::familiar).collect();
        format!("{at}={}", names.join(","))
    };
    Ok(images.iter().map(describe).collect())
}

#[test]
fn names_and_ids() {
    let (data, ids) = named();
    let digest = format!("pulled@{}", Digest::of(b"a manifest"));
    let (full, hex) = (format!(":{}", ids[2]), format!(":{}", ids[2].hex()));
    let (start, long_start) = (format!(":{}", &ids[2].hex()[..12]), format!(":sha256:{}", &ids[2].hex()[..12]));
    let rest_of_digest = format!(":{digest}");
    for (rest, all_tags, expected) in [
        (":app:1", false, vec!["0=app:1"]),
        (":app:1", true, vec!["0=app:1"]),
        (":docker.io/library/app:2", false, vec!["1=app:2"]),
        (":app", false, vec!["0=app:latest"]),
        (":app", true, vec!["0=app:1,app:latest", "1=app:2"]),
        (":r.example:5000/x/app:1", false, vec!["1=r.example:5000/x/app:1"]),
        (":r.example:5000/x/app", true, vec!["1=r.example:5000/x/app:1"]),
        (&rest_of_digest, false, vec!["2="]),
        (&full, false, vec!["2="]),
        (&hex, false, vec!["2="]),
        (&start, false, vec!["2="]),
        (&long_start, true, vec!["2="]),
        ("", false, vec!["0=app:1,app:latest", "1=app:2,r.example:5000/x/app:1"]),
        (":", false, vec!["0=app:1,app:latest", "1=app:2,r.example:5000/x/app:1"]),
        (":app:1,driver=overlay2,regenerate=false", false, vec!["0=app:1"]),
        (",driver=overlay2", false, vec!["0=app:1,app:latest", "1=app:2,r.example:5000/x/app:1"]),
    ] {
        assert_eq!(opened(&data, &ids, rest, all_tags).unwrap(), expected, "{rest} {all_tags}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let (data, ids) = named();
    let error = |rest: &str| opened(&data, &ids, rest, false).unwrap_err();
    assert_error(&error(":apq:1"), ErrorKind::NotFound, "no such image `apq:1`", "did you mean app:1?");
    assert_error(&error(":r.example:5000/x/app"), ErrorKind::NotFound, "no such image", "");
    let unknown = Digest::of(b"unknown");
    assert_error(
        &error(&format!(":{unknown}")),
        ErrorKind::NotFound,
        "no such image",
        "available images: app:1, app:2",
    );
    assert_error(&error(&format!(":app@{unknown}")), ErrorKind::NotFound, "no such image", "");
    assert!(error(":apq:1").with_causes().contains(&data.path().display().to_string()));
}

#[test]
fn the_start_of_several_ids() {
    let data = Data::new(GraphDriver::Overlay2);
    // With 17 images two begin with the same digit.
    let ids: Vec<Digest> = (0..17).map(|at| data.root.image(format!(r#"{{"os":"{at}"}}"#).as_bytes())).collect();
    let shared = ids
        .iter()
        .map(|id| &id.hex()[..1])
        .find(|start| ids.iter().filter(|id| id.hex().starts_with(start)).count() > 1);
    let error = data.open(&format!(":{}", shared.unwrap())).unwrap_err();
    assert_error(&error, ErrorKind::InvalidOption, "matches several image IDs", "use more digits of the ID");
}

#[test]
fn a_root_without_tags() {
    let data = Data::new(GraphDriver::Overlay2);
    let image = data.root.build(&layers());
    let error = data.open("").unwrap_err();
    assert_error(&error, ErrorKind::NotFound, "no image has a tag", "name one by its ID");
    // dockerd writes the file with the first name.
    fs::remove_file(data.root.repositories_path()).unwrap();
    assert_error(&data.open("").unwrap_err(), ErrorKind::NotFound, "no image has a tag", "");
    assert_eq!(data.open(&format!(":{}", image.id)).unwrap().len(), 1);
}

#[test]
fn options_are_known_and_given_once() {
    let (data, _) = Data::with_image(GraphDriver::Overlay2);
    let error = |rest: &str| data.open(rest).unwrap_err();
    assert_error(&error(":app:1,regenrate=true"), ErrorKind::InvalidOption, "regenrate", "regenerate");
    assert_error(&error(":app:1,regenerate=maybe"), ErrorKind::InvalidOption, "regenerate", "");
    let twice = error(":app:1,driver=vfs,driver=overlay2");
    assert_error(&twice, ErrorKind::InvalidOption, "`driver` is given twice", "");
    for driver in ["zfs", "windowsfilter", "", "../image/overlay2", "Overlay2"] {
        let error = error(&format!(":app:1,driver={driver}"));
        assert_error(&error, ErrorKind::Unsupported, "is not supported", "overlay2");
    }
    assert_error(&error(":app:1,driver=vfs"), ErrorKind::NotFound, "image/vfs", "");
}

#[test]
fn a_root_with_colons_and_commas() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("a:b,c");
    let image = DockerRoot::new(&path, GraphDriver::Overlay2).build(&layers());
    let data = Data { root: DockerRoot::new(&path, GraphDriver::Overlay2), directory: outer };
    data.root.tag("app:1", &image.id);
    let path = path.display();
    let open = |text: &str| open(text, Work::default());
    assert_eq!(open(&format!("\"docker-graph:{path}:app:1\",driver=overlay2")).unwrap().len(), 1);
    assert_eq!(open(&format!("\"docker-graph:{path}\"")).unwrap().len(), 1);
    let error = open(&format!("docker-graph:{path}")).unwrap_err();
    assert_error(&error, ErrorKind::InvalidOption, "`c` at column", "quote a field that contains a comma");
}

#[test]
fn one_driver_of_several() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    // One without images is not meant.
    let other = DockerRoot::new(data.path(), GraphDriver::Vfs);
    assert_eq!(data.open("").unwrap().len(), 1);
    let second = other.build(&layers()[..2]);
    other.tag("other:1", &second.id);
    let error = data.open("").unwrap_err();
    assert_error(
        &error,
        ErrorKind::InvalidOption,
        "several storage drivers: overlay2, vfs",
        "driver=overlay2 or driver=vfs",
    );
    let ids = [image.id, second.id];
    assert_eq!(opened(&data, &ids, ",driver=overlay2", false).unwrap(), ["0=app:1"]);
    assert_eq!(opened(&data, &ids, ",driver=vfs", false).unwrap(), ["1=other:1"]);
}

#[test]
fn directories_that_are_no_roots() {
    let directory = tempfile::tempdir().unwrap();
    let data = Data { root: DockerRoot::new(&directory.path().join("elsewhere"), GraphDriver::Vfs), directory };
    let error = data.open(":app:1").unwrap_err();
    assert_error(&error, ErrorKind::NotFound, "it has no images of any storage driver", "Docker Root Dir");
    let error = data.open("/missing:app:1").unwrap_err();
    assert_error(&error, ErrorKind::NotFound, "no such file or directory", "");
    fs::create_dir_all(data.path().join("containerd/daemon")).unwrap();
    let error = data.open(":app:1").unwrap_err();
    assert_error(&error, ErrorKind::Unsupported, "keeps its images in containerd", "docker-daemon:NAME");
    // A driver that is not read.
    let content = data.path().join("image/zfs/imagedb/content/sha256");
    fs::create_dir_all(&content).unwrap();
    fs::write(content.join(Digest::of(b"{}").hex()), "{}").unwrap();
    assert_error(&data.open("").unwrap_err(), ErrorKind::Unsupported, "storage driver `zfs` is not supported", "vfs");
    let file = data.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(data.open("/file").unwrap_err().with_causes().contains("not a directory"));
}

#[test]
fn broken_names() {
    let (data, _) = Data::with_image(GraphDriver::Overlay2);
    let id = Digest::of(b"");
    for (document, words) in [
        ("".to_owned(), "it is malformed"),
        ("{".to_owned(), "it is malformed"),
        ("7".to_owned(), "it is malformed"),
        (json!({"Repositories": {"app": {"app:1": "sha256:1"}}}).to_string(), "it is malformed"),
    ] {
        fs::write(data.root.repositories_path(), &document).unwrap();
        let error = data.open(":app:1").unwrap_err();
        assert!(error.with_causes().contains("repositories.json"), "{document}: {}", error.with_causes());
        assert!(error.with_causes().contains(words), "{document}: {}", error.with_causes());
    }
    // A name of an image that is not there.
    fs::write(data.root.repositories_path(), json!({"Repositories": {"app": {"app:1": id}}}).to_string()).unwrap();
    assert_error(&data.open(":app:1").unwrap_err(), ErrorKind::NotFound, &format!("image {id} not found"), "");
}
