//! What only `type=tar` promises: merged files in the order of a walk.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use longshore_core::archive::{Entry, EntryKind, Reader, Writer};
use longshore_core::attestation::{Attestation, AttestationKind};
use longshore_core::compression::decoder;
use longshore_core::layer::{DirSource, Layer, LayerSource, Rules, TarSource};
use longshore_core::oci::{Digest, History, ImageConfig, Platform};
use longshore_core::{
    Artifact, BuildResult, Built, Error, ExporterRegistry, Image, ImageContent, OutputSpec, Session, Store,
};
use longshore_exporter_tar::TarExporter;
use longshore_testkit::sample::{self, ExistingOptions, MemoryTar};

fn try_tar(result: &BuildResult, options: &str) -> Result<Vec<u8>, Error> {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("a.tar");
    let exporters = ExporterRegistry::default().with(TarExporter);
    let spec = OutputSpec::parse(format!("type=tar,dest={},{options}", dest.display()).trim_end_matches(',')).unwrap();
    let resolved = Session::new(&exporters).resolve(&[spec.unwrap()])?;
    resolved.export(result, Store::Spool).map_err(|failure| failure.error)?;
    Ok(fs::read(dest).unwrap())
}

fn tar(images: Vec<Image>, options: &str) -> Vec<(Entry, Vec<u8>)> {
    let bytes = try_tar(&BuildResult::new(images), options).unwrap_or_else(|error| panic!("{}", error.with_causes()));
    read(&bytes)
}

fn read(bytes: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(decoder(bytes).unwrap().1);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        found.push((entry, content));
    }
    found
}

fn layer(entries: &[(&str, Option<&str>)]) -> Arc<Layer> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    for (path, content) in entries {
        let (entry, content) = match content {
            None => (Entry::new(*path, EntryKind::Directory, 0o750), ""),
            Some(text) if text.starts_with("-> ") => {
                (Entry { link: text[3..].into(), ..Entry::new(*path, EntryKind::Symlink, 0o777) }, "")
            }
            Some(text) if text.starts_with("== ") => {
                (Entry { link: text[3..].into(), ..Entry::new(*path, EntryKind::HardLink, 0o644) }, "")
            }
            Some(text) => (Entry::file(*path, 0o644, text.len() as u64), *text),
        };
        writer.append(&Entry { mtime: 1000, ..entry }, &mut content.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let source = TarSource::new(Arc::new(MemoryTar::new("a layer", bytes)), Rules::default());
    Arc::new(Layer::new(LayerSource::Tar(source), History::default()))
}

fn image(layers: Vec<Arc<Layer>>) -> Image {
    let config = ImageConfig::with_defaults(&Platform::new("linux", "amd64", None));
    Image::new(ImageContent::Built(Built::Single(Artifact::new(layers, config))))
}

fn platforms(all: &[(&str, Vec<Arc<Layer>>)]) -> Image {
    let artifact = |(platform, layers): &(&str, Vec<Arc<Layer>>)| {
        let platform: Platform = platform.parse().unwrap();
        let config = ImageConfig::with_defaults(&platform);
        (platform, Artifact::new(layers.clone(), config))
    };
    Image::new(ImageContent::Built(Built::Platforms(all.iter().map(artifact).collect())))
}

fn paths(found: &[(Entry, Vec<u8>)]) -> Vec<String> {
    found.iter().map(|(entry, _)| entry.display()).collect()
}

/// Whiteouts are applied, later files replace earlier ones, and names come in the order of a walk.
#[test]
fn layers_are_merged_in_the_order_of_a_walk() {
    let base =
        layer(&[("b", None), ("b/old", Some("old")), ("b/kept", Some("kept")), ("a", Some("1")), ("b-c", Some("x"))]);
    let top = layer(&[("b/.wh.old", Some("")), ("a", Some("2")), ("b/new", Some("== a")), ("z", Some("-> /b"))]);
    let found = tar(vec![image(vec![base, top])], "");
    assert_eq!(paths(&found), ["a", "b", "b/kept", "b/new", "b-c", "z"]);
    assert_eq!(found[0].1, b"2");
    assert_eq!((found[3].0.kind, &found[3].0.link[..]), (EntryKind::HardLink, &b"a"[..]));
    assert_eq!((found[1].0.mode, found[1].0.mtime), (0o750, 1000));
    assert_eq!(&found[5].0.link[..], b"/b", "a link of a single platform stays");
}

/// D `testTarExporterMulti`: a directory for each platform, in which absolute links stay.
#[test]
fn tar_exporter_multi() {
    let one = || vec![layer(&[("f", Some("1")), ("h", Some("== f")), ("l", Some("-> /f"))])];
    let image = || platforms(&[("linux/amd64", one()), ("linux/arm/v7", one())]);
    let found = tar(vec![image()], "");
    let expected = ["linux_amd64", "linux_amd64/f", "linux_amd64/h", "linux_amd64/l"];
    let second = ["linux_arm_v7", "linux_arm_v7/f", "linux_arm_v7/h", "linux_arm_v7/l"];
    assert_eq!(paths(&found), [expected, second].concat());
    assert_eq!(&found[2].0.link[..], b"linux_amd64/f");
    assert_eq!(&found[7].0.link[..], b"/linux_arm_v7/f");
    assert_eq!(found[0].0.mtime, 0);
    let single = tar(vec![image_of(one())], "platform-split=true");
    assert_eq!(paths(&single)[0], "linux_amd64");
    let error = try_tar(&BuildResult::new(vec![image()]), "platform-split=false").unwrap_err().with_causes();
    let expected = "cannot overwrite f from linux/amd64 with linux/arm/v7 when split option is disabled";
    assert!(error.contains(expected), "{error}");
}

fn image_of(layers: Vec<Arc<Layer>>) -> Image {
    image(layers)
}

#[test]
fn platforms_without_conflicts_are_merged() {
    let one = layer(&[("d", None), ("d/one", Some("1"))]);
    let two = layer(&[("d", None), ("d/two", Some("2"))]);
    let image = platforms(&[("linux/amd64", vec![one]), ("linux/arm64", vec![two])]);
    let found = tar(vec![image], "platform-split=false");
    assert_eq!(paths(&found), ["d", "d/one", "d/two"]);
}

/// C `testSourceDateEpochTarExporter`: every time is the epoch, and there is no entry for the root.
#[test]
fn source_date_epoch_tar_exporter() {
    let files = || vec![image(vec![layer(&[("d", None), ("d/f", Some("1"))])])];
    let found = tar(files(), "source-date-epoch=77");
    assert_eq!(found.iter().map(|(entry, _)| entry.mtime).collect::<Vec<_>>(), [77, 77]);
    let result = BuildResult::new(files()).with_epoch("99".parse().ok());
    assert!(read(&try_tar(&result, "").unwrap()).iter().all(|(entry, _)| entry.mtime == 99));
    assert!(read(&try_tar(&result, "source-date-epoch=").unwrap()).iter().all(|(entry, _)| entry.mtime == 1000));
}

#[test]
fn files_are_selected_and_changed() {
    let files = || {
        let all = [("bin", None), ("bin/x", Some("1")), ("doc", None), ("doc/a.md", Some("2")), ("doc/b", Some("3"))];
        vec![image(vec![layer(&all)])]
    };
    let found = |options: &str| paths(&tar(files(), options));
    assert_eq!(found("include=**/*.md"), ["doc", "doc/a.md"]);
    assert_eq!(found("exclude=doc"), ["bin", "bin/x"]);
    assert_eq!(found("\"include=doc,bin\",exclude=**/b"), ["bin", "bin/x", "doc", "doc/a.md"]);
    let changed = tar(files(), "chown=7:8,\"chmod=u=rwX,go=\"");
    assert!(changed.iter().all(|(entry, _)| (entry.uid, entry.gid) == (7, 8)));
    assert_eq!(changed.iter().map(|(entry, _)| entry.mode).collect::<Vec<_>>(), [0o700, 0o600, 0o700, 0o600, 0o600]);
}

/// A hard link whose first name is left out is a file of its own.
#[test]
fn the_first_name_that_is_there_has_the_content() {
    let files = image(vec![layer(&[("a", Some("content")), ("b", Some("== a")), ("c", Some("== a"))])]);
    let found = tar(vec![files], "exclude=a");
    assert_eq!(paths(&found), ["b", "c"]);
    assert_eq!((found[0].0.kind, &found[0].1[..]), (EntryKind::File, &b"content"[..]));
    assert_eq!((found[1].0.kind, &found[1].0.link[..]), (EntryKind::HardLink, &b"b"[..]));
}

/// One directory is written as it is read; the same through the merged tree.
#[test]
fn a_directory_alone_gives_the_same_archive_as_in_layers() {
    let place = tempfile::tempdir().unwrap();
    for seed in 0..20 {
        let path = place.path().join(seed.to_string());
        sample::Tree::new(seed).write(&path).unwrap();
        let directory = || {
            let source = DirSource::new(&path, Rules::default());
            Arc::new(Layer::new(LayerSource::Dir(source), History::default()))
        };
        let alone = try_tar(&BuildResult::new(vec![image(vec![directory()])]), "").unwrap();
        let merged = try_tar(&BuildResult::new(vec![image(vec![layer(&[]), directory()])]), "").unwrap();
        assert!(alone == merged, "seed {seed}");
    }
}

#[test]
fn compression_changes_nothing_else() {
    let result = BuildResult::new(vec![sample::image(3, 3)]);
    let plain = try_tar(&result, "").unwrap();
    for compression in ["gzip", "zstd"] {
        let mut found = Vec::new();
        let bytes = try_tar(&result, &format!("compression={compression}")).unwrap();
        assert!(bytes.len() < plain.len());
        decoder(&bytes[..]).unwrap().1.read_to_end(&mut found).unwrap();
        assert!(found == plain, "{compression}");
    }
}

/// C `testExportAttestations*/tar`: statements with the digests of all files.
#[test]
fn export_attestations_tar() {
    let sbom = || Attestation::parse(&AttestationKind::Sbom, br#"{"spdxVersion":"SPDX-2.3"}"#).unwrap();
    let files = || layer(&[("d", None), ("d/f", Some("content"))]);
    let image = platforms(&[("linux/amd64", vec![files()]), ("linux/arm64", vec![files()])]).with_attestation(sbom());
    let found = tar(vec![image], "attestation-prefix=x-");
    let (entry, content) = &found[3];
    assert_eq!((entry.display(), entry.mode), ("linux_amd64/x-sbom.spdx.json".to_owned(), 0o600));
    let text = std::str::from_utf8(content).unwrap();
    let hex = Digest::of(b"content").hex().to_owned();
    assert!(text.contains("\"name\": \"d/f\"") && text.contains(&hex), "{text}");
    let one = layer(&[("one", Some("1"))]);
    let two = layer(&[("two", Some("2"))]);
    let merged = platforms(&[("linux/amd64", vec![one]), ("linux/arm64", vec![two])]).with_attestation(sbom());
    let found = paths(&tar(vec![merged], "platform-split=false"));
    assert_eq!(found, ["one", "sbom.spdx.linux_amd64.json", "two", "sbom.spdx.linux_arm64.json"]);
    let taken = image_of_one(&[("sbom.spdx.json", Some("mine"))]).with_attestation(sbom());
    let error = try_tar(&BuildResult::new(vec![taken]), "").unwrap_err().with_causes();
    assert!(error.contains("the image has a file sbom.spdx.json"), "{error}");
}

fn image_of_one(entries: &[(&str, Option<&str>)]) -> Image {
    image(vec![layer(entries)])
}

/// Two statements of one kind are two files.
#[test]
fn statements_of_one_kind_are_numbered() {
    let review = |kind: &str| {
        let kind = AttestationKind::parse(kind).unwrap();
        Attestation::parse(&kind, br#"{"ok":true}"#).unwrap()
    };
    let image = image_of(vec![layer(&[("f", Some("1"))])]);
    let image = image.with_attestation(review("https://a.example/v1")).with_attestation(review("https://b.example/v1"));
    assert_eq!(paths(&tar(vec![image], "")), ["f", "attestation.json", "attestation-2.json"]);
}

/// Two versions of an operating system are two platforms.
#[test]
fn directories_tell_platforms_apart() {
    let windows = |version: &str| {
        let platform: Platform = "windows/amd64".parse().unwrap();
        Platform { os_version: Some(version.to_owned()), ..platform }
    };
    let artifacts = ["10.0.1", "10.0.2"].map(|version| {
        let platform = windows(version);
        (platform.clone(), Artifact::new(vec![layer(&[("f", Some(version))])], ImageConfig::with_defaults(&platform)))
    });
    let twins = Image::new(ImageContent::Built(Built::Platforms(artifacts.into_iter().collect())));
    let expected =
        ["windows(10.0.1)_amd64", "windows(10.0.1)_amd64/f", "windows(10.0.2)_amd64", "windows(10.0.2)_amd64/f"];
    assert_eq!(paths(&tar(vec![twins], "")), expected);
}

/// What `docker export` and `crane export` are for, without a container.
#[test]
fn images_that_exist_are_merged_too() {
    for platforms in [0, 2] {
        let existing = sample::existing(4, &ExistingOptions { platforms, ..ExistingOptions::default() });
        let found = tar(vec![existing], "");
        assert!(found.len() > 10);
        assert_eq!(paths(&found)[0].starts_with("linux_amd64"), platforms == 2);
    }
}

#[test]
fn the_files_of_one_image_are_written() {
    let two = vec![sample::image(1, 1), sample::image(2, 1)];
    let error = try_tar(&BuildResult::new(two), "").unwrap_err().with_causes();
    assert!(error.contains("the files of 2 images would be mixed"), "{error}");
    assert!(!Path::new("a.tar").exists());
}
