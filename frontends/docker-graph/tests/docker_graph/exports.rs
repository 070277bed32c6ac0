//! Images leave with their ID and their diffIDs.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use longshore_core::compression::Algorithm;
use longshore_core::content::{ContentStore, MemoryStore};
use longshore_core::image::{Detail, Inspection, as_existing, inspect, verify};
use longshore_core::oci::{Digest, Manifest, MediaType, json};
use longshore_core::{BuildResult, ErrorKind, Existing, Image, ImageContent, Store, Work};
use longshore_testkit::docker::{BuiltImage, GraphDriver, odd_tars};
use longshore_testkit::validate::{self, ValidatedImage};

use super::{Data, artifact, assert_error, export, export_result, failed_export, layers};

fn existing(image: &Image) -> Existing {
    match &image.content {
        ImageContent::Built(built) => as_existing(built).unwrap().unwrap(),
        ImageContent::Existing(_) => panic!("it is being made"),
    }
}

/// The one image in the archive that was exported to `directory`.
fn validated(directory: &Path) -> ValidatedImage {
    let mut images = validate::layout_tar(&directory.join("out.tar")).unwrap().images;
    assert_eq!(images.len(), 1);
    images.remove(0)
}

fn assert_same(found: &ValidatedImage, image: &BuiltImage, what: &str) {
    assert_eq!(found.config, image.id, "{what}");
    let diff_ids = found.layers.iter().map(|layer| &layer.diff_id);
    assert!(diff_ids.eq(image.layers.iter().map(|layer| &layer.diff_id)), "{what}");
}

#[test]
fn uncompressed_layers_go_straight_to_the_destination() {
    for driver in GraphDriver::ALL {
        let (data, image) = Data::with_image(driver);
        let (directory, store) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::default()));
        let images = data.open(":app:1").unwrap();
        let root = existing(&images[0]).root;
        let given = Store::Given(store.clone());
        let response = export(images, directory.path(), "compression=uncompressed,name=*", given).unwrap();
        assert_eq!(response.images[0].root.digest, root.digest, "{driver:?}");
        let found = validated(directory.path());
        assert_same(&found, &image, driver.name());
        assert_eq!(found.root, root.digest);
        for layer in &image.layers {
            assert_eq!(store.info(&layer.diff_id).unwrap(), None, "{driver:?}");
        }
        assert!(store.info(&image.id).unwrap().is_some(), "the config is small and may be there");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn compressed_layers_keep_their_diff_ids() {
    for driver in GraphDriver::ALL {
        let (data, image) = Data::with_image(driver);
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::default());
        export(data.open(":app:1").unwrap(), directory.path(), "compression=gzip", Store::Given(store)).unwrap();
        let found = validated(directory.path());
        assert_same(&found, &image, driver.name());
        assert!(found.layers.iter().all(|layer| layer.media_type.as_str().ends_with("tar+gzip")));
    }
}

/// Layers that dockerd takes and the tar reader refuses: no bytes at all, and a PAX header with an empty path,
/// which restores the path of the header. They are exported as bytes, which have the right diffID.
const ONLY_BYTES: [&str; 2] = ["no bytes", "PAX headers"];

#[test]
fn odd_layers_can_be_exported() {
    let data = Data::new(GraphDriver::Overlay2);
    for (what, tar) in odd_tars(9) {
        let image = data.root.build(std::slice::from_ref(&tar));
        for options in ["compression=uncompressed", "compression=gzip"] {
            let directory = tempfile::tempdir().unwrap();
            let images = data.open(&format!(":{}", image.id)).unwrap();
            let exported = export(images, directory.path(), options, Store::Spool);
            // Nothing, compressed, would be nothing.
            if what == "no bytes" && options.ends_with("gzip") {
                assert_error(&exported.unwrap_err(), ErrorKind::InvalidInput, image.layers[0].diff_id.hex(), "");
                continue;
            }
            let found = exported.unwrap().images.remove(0);
            assert_eq!(found.config.as_ref(), Some(&image.id), "{what} {options}");
            match validate::layout_tar(&directory.path().join("out.tar")) {
                Ok(mut found) => assert_same(&found.images.remove(0), &image, &format!("{what} {options}")),
                // Docker takes them.
                Err(invalid) if what == "names from here and from the root" => {
                    assert!(invalid.problems.iter().all(|one| one.ends_with("leads out of the layer")), "{invalid}");
                }
                Err(invalid) => assert!(ONLY_BYTES.contains(&what), "{what} {options}: {invalid}"),
            }
        }
    }
}

#[test]
fn an_epoch_does_not_change_an_image_that_is_there() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    for options in ["compression=uncompressed", "compression=gzip"] {
        let directory = tempfile::tempdir().unwrap();
        // Before and after what the configuration says.
        for epoch in ["1000000000", "1900000000"] {
            let images = data.open(":app:1").unwrap();
            let result = BuildResult::new(images).with_epoch(Some(epoch.parse().unwrap()));
            let exported = export_result(&result, directory.path(), options, Store::Spool);
            exported.unwrap();
            let created = validated(directory.path());
            assert_same(&created, &image, &format!("{options} {epoch}"));
        }
    }
}

#[test]
fn images_that_share_layers() {
    let data = Data::new(GraphDriver::Overlay2);
    let [base, _, _] = layers().try_into().unwrap();
    let other = layers().remove(1);
    let images = [data.root.build(std::slice::from_ref(&base)), data.root.build(&[base, other])];
    data.root.tag("base:1", &images[0].id);
    data.root.tag("derived:1", &images[1].id);
    let opened = data.open("").unwrap();
    let [first, second] = [0, 1].map(|at| artifact(&opened[at]).layers[0].clone());
    assert!(Arc::ptr_eq(&first, &second), "a layer that is shared is opened once");
    for options in ["compression=uncompressed", "compression=gzip"] {
        let directory = tempfile::tempdir().unwrap();
        export(data.open("").unwrap(), directory.path(), &format!("{options},name=*"), Store::Spool).unwrap();
        let found = validate::layout_tar(&directory.path().join("out.tar")).unwrap().images;
        assert_eq!(found.len(), 2);
        found.iter().zip(&images).for_each(|(found, image)| assert_same(found, image, options));
    }
}

/// Bytes, files, bytes of content and the biggest files of a layer.
type Told = (u64, u64, u64, Vec<(String, u64)>);

/// What is told of each layer.
fn told(inspection: &Inspection) -> Vec<Told> {
    let layer = |layer: &longshore_core::image::InspectedLayer| {
        let contents = layer.contents.as_ref().unwrap();
        let biggest = contents.biggest.iter().map(|file| (file.path.clone(), file.size)).collect();
        (layer.size, contents.files, contents.content, biggest)
    };
    inspection.manifests[0].layers.iter().map(layer).collect()
}

#[test]
fn inspecting_reads_no_file() {
    for driver in GraphDriver::ALL {
        let (data, image) = Data::with_image(driver);
        (0..3).for_each(|at| fs::remove_dir_all(data.files(&image, at)).unwrap());
        let existing = existing(&data.open(":app:1").unwrap()[0]);
        let found = inspect(&existing, Detail::Files, &Work::default()).unwrap();
        // The same archives, read whole.
        let store = MemoryStore::default();
        let descriptors =
            layers().iter().map(|tar| store.put(MediaType::layer(Algorithm::Uncompressed), tar)).collect();
        let config = store.put(MediaType::CONFIG, &image.config);
        let manifest = Manifest::new(config, descriptors);
        let root = store.put(MediaType::MANIFEST, &json::indented(&manifest).unwrap());
        let whole = Existing::new(root.clone(), Arc::new(store));
        assert_eq!(existing.root.digest, root.digest);
        assert_eq!(told(&found), told(&inspect(&whole, Detail::Files, &Work::default()).unwrap()), "{driver:?}");
        assert!(told(&found).iter().all(|(size, files, content, biggest)| {
            *size > *content && *files > 40 && biggest.len() == 5 && biggest[0].1 > 5000
        }));
        // To verify is to read.
        let found = verify(&existing, &Work::default()).unwrap();
        assert!(found.problems[0].contains("are missing"), "{:?}", found.problems);
        assert_error(&failed_export(&data, ":app:1"), ErrorKind::NotFound, "are missing", "");
    }
}

#[test]
fn verifying_finds_nothing_wrong() {
    for driver in GraphDriver::ALL {
        let (data, image) = Data::with_image(driver);
        let existing = existing(&data.open(":app:1").unwrap()[0]);
        let found = verify(&existing, &Work::default()).unwrap();
        assert_eq!(found.problems, [""; 0]);
        let validated = validate::image(existing.provider.as_ref(), &existing.root).unwrap();
        assert_same(&validated.images[0], &image, driver.name());
        assert_eq!(Digest::of(&image.config), image.id);
    }
}
