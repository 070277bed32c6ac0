//! Layers whose tar-split is gone.

use std::fs;

use longshore_core::archive::Reader;
use longshore_core::image::as_existing;
use longshore_core::layer::LayerSource;
use longshore_core::oci::{Digest, ImageConfig, json};
use longshore_core::{ErrorKind, ImageContent, Store};
use longshore_testkit::Warnings;
use longshore_testkit::docker::GraphDriver;
use longshore_testkit::validate;

use super::{Data, artifact, assert_error, export, layers};

#[test]
fn without_tar_split_it_must_be_asked_for() {
    for driver in GraphDriver::ALL {
        let (data, image) = Data::with_image(driver);
        fs::remove_file(data.layer(&image, 1).join("tar-split.json.gz")).unwrap();
        let words = format!("layer {} has no tar-split", image.layers[1].diff_id);
        for rest in [":app:1", ":app:1,regenerate=false"] {
            assert_error(&data.open(rest).unwrap_err(), ErrorKind::Corrupt, &words, "regenerate=true");
        }
        if driver.keeps_whole_trees() {
            let error = data.open(":app:1,regenerate=true").unwrap_err();
            assert_error(&error, ErrorKind::Corrupt, &words, "cannot be told apart from those of the layers below");
        }
    }
}

#[test]
fn layers_are_made_anew() {
    for driver in [GraphDriver::Overlay2, GraphDriver::Aufs, GraphDriver::FuseOverlayfs] {
        for options in ["compression=uncompressed", "compression=gzip"] {
            let (data, image) = Data::with_image(driver);
            fs::remove_file(data.layer(&image, 1).join("tar-split.json.gz")).unwrap();
            let (work, warnings) = Warnings::listen();
            let images = data.open_in(":app:1,regenerate=true", work).unwrap();
            let expected = format!("image {}: layers are rebuilt, so its ID changes", image.id);
            assert_eq!(warnings.messages(), [expected]);
            let ImageContent::Built(built) = &images[0].content else { panic!("it is being made") };
            assert!(as_existing(built).unwrap().is_none(), "nobody knows its digest yet");
            let sources = artifact(&images[0]).layers.iter().map(|layer| matches!(layer.source, LayerSource::Dir(_)));
            assert_eq!(sources.collect::<Vec<_>>(), [false, true, false]);

            let directory = tempfile::tempdir().unwrap();
            export(images, directory.path(), options, Store::Spool).unwrap();
            let layout = directory.path().join("out.tar");
            let found = validate::layout_tar(&layout).unwrap().images.remove(0);
            assert_ne!(found.config, image.id);
            let changed = found.layers.iter().zip(&image.layers).map(|(new, old)| new.diff_id != old.diff_id);
            assert_eq!(changed.collect::<Vec<_>>(), [false, true, false], "{driver:?}");
            assert_config(&layout, &found, &image.config);
            assert_eq!(files_of(&layout, &found.layers[0]), archive_files(&layers()[0]));
            assert_contents(driver, &files_of(&layout, &found.layers[1]));
        }
    }
}

/// The config says what it said, but for the diffIDs.
fn assert_config(layout: &std::path::Path, found: &validate::ValidatedImage, before: &[u8]) {
    let config = ImageConfig::parse(&blob(layout, &found.config)).unwrap();
    let before = ImageConfig::parse(before).unwrap();
    assert_eq!(config.history().unwrap(), before.history().unwrap());
    let run_config = |config: &ImageConfig| json::compact(&config.run_config().unwrap()).unwrap();
    assert_eq!(run_config(&config), run_config(&before));
    let diff_ids: Vec<_> = found.layers.iter().map(|layer| layer.diff_id.clone()).collect();
    assert_eq!(config.diff_ids().unwrap(), diff_ids);
}

/// What was on the disk is there; the kit leaves whiteouts out of overlay2, as only root can make them.
fn assert_contents(driver: GraphDriver, files: &[(String, u64)]) {
    let has = |path: &str| files.iter().any(|(found, _)| found.trim_start_matches("./") == path);
    let expected = archive_files(&layers()[1]);
    let file = expected.iter().find(|(path, size)| path.contains("file-") && *size > 0).unwrap();
    assert!(files.contains(file), "{files:?}");
    assert!(has("opt/data"));
    assert_eq!(has("etc/.wh.removed"), driver != GraphDriver::Overlay2, "{files:?}");
}

fn blob(layout: &std::path::Path, digest: &Digest) -> Vec<u8> {
    let mut reader = Reader::new(fs::File::open(layout).unwrap());
    while let Some(entry) = reader.next_entry().unwrap() {
        if entry.display() == digest.layout_path() {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
            return bytes;
        }
    }
    panic!("{digest} is not there")
}

fn files_of(layout: &std::path::Path, layer: &validate::ValidatedLayer) -> Vec<(String, u64)> {
    archive_files(&blob(layout, &layer.digest))
}

/// Paths and sizes in an archive.
fn archive_files(archive: &[u8]) -> Vec<(String, u64)> {
    let mut reader = Reader::new(longshore_core::compression::decoder(archive).unwrap().1);
    let mut files = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        files.push((entry.display(), entry.size));
    }
    files
}
