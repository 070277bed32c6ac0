//! Frontends that are programs of their own: what they describe becomes an image, and a lie an error.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use longshore_core::archive::{Entry, Writer};
use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::oci::{Digest, MediaType};
use longshore_core::{
    BuildResult, Error, ErrorKind, ExporterRegistry, FrontendContext, FrontendRegistry, Image, OutputSpec, Session,
    Source, Store, Work,
};
use longshore_exporter_oci::OciExporter;
use longshore_external::{ExternalFrontend, Plugin};
use longshore_testkit::conformance::{FrontendCase, frontend};
use longshore_testkit::{validate, write_executable};
use tempfile::TempDir;

/// A frontend in shell: the source `shelf:DIR` has the layers that the file `DIR/layers` describes.
fn frontends(place: &Path) -> FrontendRegistry {
    let path = place.join("longshore-frontend-shelf");
    let script = r#"#!/bin/sh
read -r hello; echo '{"hello":{"version":1}}'
read -r request
case $request in
*'"describe"'*) echo '{"frontend":{"summary":"what is on a shelf","syntax":"shelf:DIR"}}' ;;
*) value=$(printf %s "$request" | sed 's/.*"value":"\([^"]*\)".*/\1/')
if [ -f "$value/layers" ]; then printf '{"built":{"images":[{"layers":[%s]}]}}\n' "$(cat "$value/layers")"
else printf '{"failed":{"kind":"not_found","message":"there is no shelf %s"}}\n' "$value"; fi ;;
esac
"#;
    write_executable(&path, script);
    FrontendRegistry::default().with(ExternalFrontend::new("shelf", Plugin::new(path)).unwrap())
}

fn tar(name: &str) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    let text = "content ".repeat(10_000);
    tar.append(&Entry::file(name, 0o644, text.len() as u64), &mut text.as_bytes()).unwrap();
    tar.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // A level that is not the default: another blob than Longshore would make.
    Encoding::new(Algorithm::Gzip, Some(1)).unwrap().encode(bytes).unwrap()
}

/// Writes a blob into `place`, and returns how it is described.
fn blob(place: &Path, bytes: &[u8], media_type: &str) -> String {
    let path = place.join("blob");
    fs::write(&path, bytes).unwrap();
    describe(&path, &Digest::of(bytes).to_string(), bytes.len(), media_type)
}

fn describe(path: &Path, digest: &str, size: usize, media_type: &str) -> String {
    let path = path.display();
    format!(
        r#"{{"blob":{{"path":"{path}","descriptor":{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}}}}}"#
    )
}

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        let shelf = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(shelf.path("shelf/tree/d")).unwrap();
        fs::write(shelf.path("shelf/tree/d/f"), "f").unwrap();
        fs::write(shelf.path("shelf/layer.tar"), tar("in-tar")).unwrap();
        shelf
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn build(&self, layers: &str) -> Result<Vec<Image>, Error> {
        fs::write(self.path("shelf/layers"), layers).unwrap();
        let frontends = frontends(self.0.path());
        let source = Source::new("shelf", self.path("shelf").to_str().unwrap());
        FrontendContext::new(&frontends, Work::default()).open(&source)
    }
}

fn export(images: Vec<Image>, dest: &Path) -> Result<(), Error> {
    let exporters = ExporterRegistry::default().with(OciExporter);
    let spec = OutputSpec::parse(&format!("type=oci,dest={}", dest.display())).unwrap().unwrap();
    let exported = Session::new(&exporters).resolve(&[spec])?.export(&BuildResult::new(images), Store::Spool);
    exported.map(drop).map_err(|failure| failure.error)
}

#[test]
fn the_contract_of_frontends() {
    let place = tempfile::tempdir().unwrap();
    let source = |root: &Path| {
        fs::create_dir_all(root.join("tree/d")).unwrap();
        fs::write(root.join("layer.tar"), tar("in-tar")).unwrap();
        let (tree, archive) = (root.join("tree"), root.join("layer.tar"));
        let blob = blob(root, &gzip(&tar("in-blob")), GZIP);
        let layers = format!(r#"{{"directory":"{}"}},{{"tar":"{}"}},{blob}"#, tree.display(), archive.display());
        fs::write(root.join("layers"), layers).unwrap();
        format!("shelf:{}", root.display())
    };
    let missing = |root: &Path| (format!("shelf:{}", root.join("none").display()), "none".to_owned());
    frontend(&FrontendCase::new(&|| frontends(place.path()), &source, &missing));
}

/// A blob keeps its bytes, whatever Longshore would have made of the same files.
#[test]
fn directories_archives_and_blobs_become_the_layers_of_an_image() {
    let shelf = Shelf::new();
    let bytes = gzip(&tar("in-blob"));
    let (tree, archive) = (shelf.path("shelf/tree"), shelf.path("shelf/layer.tar"));
    let blob = blob(shelf.0.path(), &bytes, GZIP);
    let layers = format!(r#"{{"directory":"{}"}},{{"tar":"{}"}},{blob}"#, tree.display(), archive.display());
    let dest = shelf.path("a.tar");
    export(shelf.build(&layers).unwrap(), &dest).unwrap();
    let validated = validate::layout_tar(&dest).unwrap();
    let layers = &validated.images[0].layers;
    let diff_ids: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
    assert_eq!(diff_ids[1..], [&Digest::of(&tar("in-tar")), &Digest::of(&tar("in-blob"))]);
    assert_eq!((layers.len(), &layers[2].digest), (3, &Digest::of(&bytes)));
    assert_eq!(layers[2].media_type, MediaType::layer(Algorithm::Gzip));
}

#[test]
fn a_blob_that_is_not_what_it_says_is_refused() {
    let shelf = Shelf::new();
    let good = gzip(&tar("f"));
    let digest = Digest::of(&good).to_string();
    let path = shelf.path("blob");
    let other = Digest::of(b"other").to_string();
    let mut damaged = good.clone();
    damaged[100] ^= 1;
    let pipe = shelf.path("shelf");
    for (bytes, described, expected) in [
        (&good, describe(&path, &other, good.len(), GZIP), format!("blob {other} has the digest {digest}")),
        (&damaged, describe(&path, &digest, good.len(), GZIP), format!("blob {digest} has the digest sha256:")),
        (&good, describe(&path, &digest, good.len() + 1, GZIP), format!("expected {}", good.len() + 1)),
        (&good, describe(&path, &digest, good.len() - 1, GZIP), format!("expected {}", good.len() - 1)),
        (&good, describe(&path, &digest, good.len(), "text/plain"), "`text/plain` is not the media type".to_owned()),
        (
            &good,
            describe(&path, &digest, good.len(), "application/vnd.oci.image.layer.v1.tar"),
            "it is gzip, but its media type says uncompressed".to_owned(),
        ),
        (&good, describe(Path::new("blob"), &digest, good.len(), GZIP), "is not absolute".to_owned()),
        (&good, describe(&shelf.path("none"), &digest, good.len(), GZIP), "no such file".to_owned()),
        (&good, describe(&pipe, &digest, good.len(), GZIP), "is not a file".to_owned()),
        (&good, describe(&path, "sha256:0", good.len(), GZIP), "sent a line that is not right".to_owned()),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = shelf.build(&described).unwrap_err().with_causes();
        assert!(error.contains(&expected) && error.contains("longshore-frontend-shelf"), "{expected}: {error}");
    }
    let text = gzip(&[b'x'; 2000]);
    let error = shelf.build(&blob(shelf.0.path(), &text, GZIP)).unwrap_err().with_causes();
    assert!(error.contains("the layer") && error.contains("is not right"), "{error}");
}

/// A frontend may change a blob after it has returned its description.
#[test]
fn a_blob_that_changes_later_is_refused_when_it_is_copied() {
    let shelf = Shelf::new();
    let images = shelf.build(&blob(shelf.0.path(), &gzip(&tar("one")), GZIP)).unwrap();
    fs::write(shelf.path("blob"), gzip(&tar("two"))).unwrap();
    let error = export(images, &shelf.path("a.tar")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.with_causes());
    assert!(!shelf.path("a.tar").exists());
}
