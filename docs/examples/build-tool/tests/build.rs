//! The build tool from a recipe to images that others read.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use longshore_core::archive::{Entry, Reader, Writer};
use longshore_core::compression::decoder;
use longshore_core::content::ImageStore;
use longshore_core::oci::ImageName;
use longshore_store::EmbeddedStore;
use longshore_testkit::validate;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.path("project/bin")).unwrap();
        fs::write(place.path("project/bin/hello"), "#!/bin/sh\necho $GREETING\n").unwrap();
        let text = b"127.0.0.1 localhost\n";
        let mut tar = Writer::new(Vec::new());
        tar.append(&Entry::file("hosts", 0o644, text.len() as u64), &mut &text[..]).unwrap();
        fs::write(place.path("project/etc.tar"), tar.finish().unwrap()).unwrap();
        place.recipe("copy bin /usr/bin\nadd etc.tar /etc\nenv GREETING=hello\ncmd /usr/bin/hello\n");
        place
    }

    fn path(&self, relative: &str) -> std::path::PathBuf {
        self.0.path().join(relative)
    }

    fn recipe(&self, text: &str) {
        fs::write(self.path("project/Recipe"), text).unwrap();
    }

    fn build(&self, outputs: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore-example-build-tool"));
        command.args(["project/Recipe", "store"]).args(outputs).current_dir(self.0.path()).output().unwrap()
    }

    /// Builds what has to succeed; returns the digest of each output.
    fn digests(&self, outputs: &[&str]) -> Vec<String> {
        let output = self.build(outputs);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// What it says of a build that has to fail.
    fn error(&self, outputs: &[&str]) -> String {
        let output = self.build(outputs);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

const NAME: &str = "example.com/hello:1";
const FILE: &str = "type=oci,name=example.com/hello:1,dest=hello.tar";
const STORE: &str = "type=image,name=example.com/hello:1";

#[test]
fn a_recipe_becomes_an_image_in_a_file_and_in_the_store() {
    let place = Place::new();
    let digests = place.digests(&[FILE, STORE]);
    assert!(digests.len() == 2 && digests[0] == digests[1], "{digests:?}");
    let layout = validate::layout_tar(&place.path("hello.tar")).unwrap();
    let image = &layout.images[0];
    assert_eq!((image.root.to_string(), image.layers.len()), (digests[0].clone(), 2));
    let store = EmbeddedStore::open_existing(place.path("store")).unwrap().unwrap();
    let name: ImageName = NAME.parse().unwrap();
    assert_eq!(store.image(&name).unwrap().unwrap().root.digest.to_string(), digests[0]);
    let paths = |layer: usize| {
        let blob = place.path("store/blobs/sha256").join(image.layers[layer].digest.hex());
        let mut tar = Reader::new(decoder(fs::File::open(blob).unwrap()).unwrap().1);
        let mut paths = Vec::new();
        while let Some(entry) = tar.next_entry().unwrap() {
            paths.push((entry.display(), entry.uid));
        }
        paths
    };
    assert_eq!(paths(0), [("usr/bin/hello".to_owned(), 0)]);
    assert_eq!(paths(1), [("etc/hosts".to_owned(), 0)]);
}

/// The layers of the second build are those of the first: nothing is compressed again.
#[test]
fn a_second_build_takes_its_layers_from_the_store() {
    let place = Place::new();
    let first = place.build(&[FILE]);
    fs::remove_file(place.path("hello.tar")).unwrap();
    let second = place.build(&[FILE]);
    assert_eq!(second.stdout, first.stdout);
    let blobs = || fs::read_dir(place.path("store/blobs/sha256")).unwrap().count();
    let before = blobs();
    fs::write(place.path("project/bin/hello"), "changed").unwrap();
    assert_ne!(place.digests(&[FILE]), [String::from_utf8(first.stdout).unwrap()]);
    assert_eq!(blobs() - before, 3, "a layer, a configuration and a manifest");
}

#[test]
fn a_bad_output_fails_before_the_build() {
    let place = Place::new();
    place.recipe("copy missing /\n");
    let said = place.error(&["type=oci,nme=x,dest=hello.tar"]);
    assert!(said.contains("type=oci has no option `nme`") && said.contains("did you mean `name`?"), "{said}");
    assert!(place.error(&["type=tar,dest=x"]).contains("unknown exporter `tar`"), "it has more than it was given");
    let said = place.error(&[FILE]);
    assert!(said.contains("error: cannot copy missing: "), "{said}");
    assert!(!place.path("hello.tar").exists() && !place.path("store").exists());
}

#[test]
fn all_outputs_are_written_or_none() {
    let place = Place::new();
    fs::write(place.path("project/etc.tar"), vec![b'x'; 1 << 20]).unwrap();
    let said = place.error(&[FILE, STORE]);
    assert!(said.contains("cannot export to type="), "{said}");
    assert!(!place.path("hello.tar").exists());
    let store = EmbeddedStore::open_existing(place.path("store")).unwrap().unwrap();
    assert!(store.image(&NAME.parse::<ImageName>().unwrap()).unwrap().is_none());
}

#[test]
fn it_embeds_nothing_of_the_command() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{lib}"]);
    let output = cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.lines().any(|line| line == "longshore_core"), "{tree}");
    for name in ["longshore_cli", "longshore_external", "longshore_distribution", "clap", "indicatif", "ureq"] {
        assert!(!tree.lines().any(|line| line == name), "it builds {name}");
    }
}
