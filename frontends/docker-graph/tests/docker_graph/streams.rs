//! Layers have the bytes that dockerd was given.

use longshore_core::ErrorKind;
use longshore_core::oci::Digest;
use longshore_testkit::docker::{BuiltImage, GraphDriver, SplitEntry, odd_tars, split};
use longshore_testkit::sample;

use super::{Data, artifact, assert_error, failed_export, layers, read, tar_source};

/// The image in `data` has these archives as layers, byte for byte.
fn assert_layers(data: &Data, image: &BuiltImage, tars: &[Vec<u8>], what: &str) {
    let opened = data.open(&format!(":{}", image.id)).unwrap();
    assert_eq!(opened.len(), 1);
    let artifact = artifact(&opened[0]);
    assert_eq!(artifact.config.to_bytes().unwrap(), image.config, "{what}");
    assert_eq!(artifact.layers.len(), tars.len(), "{what}");
    for (layer, tar) in artifact.layers.iter().zip(tars) {
        assert_eq!(layer.diff_id(), Some(&Digest::of(tar)), "{what}");
        assert_eq!(tar_source(layer).size, Some(tar.len() as u64), "{what}");
        assert!(read(layer).unwrap() == *tar, "{what}");
        // It can be read again.
        assert!(read(layer).unwrap() == *tar, "{what}");
    }
}

#[test]
fn layers_are_what_they_were() {
    for driver in GraphDriver::ALL {
        let (data, image) = Data::with_image(driver);
        assert_layers(&data, &image, &layers(), driver.name());
    }
}

#[test]
fn odd_archives_are_what_they_were() {
    for driver in GraphDriver::ALL {
        let data = Data::new(driver);
        for (what, tar) in odd_tars(7) {
            let tars = [tar];
            assert_layers(&data, &data.root.build(&tars), &tars, &format!("{} {what}", driver.name()));
        }
        // One on top of the other, without those that dockerd would not extract there.
        let tars: Vec<_> = odd_tars(8).into_iter().map(|(_, tar)| tar).collect();
        assert_layers(&data, &data.root.build(&tars), &tars, driver.name());
    }
}

#[test]
fn many_reads_are_independent() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let opened = data.open(":app:1").unwrap();
    let tars = layers();
    std::thread::scope(|scope| {
        for (layer, tar) in artifact(&opened[0]).layers.iter().zip(&tars).cycle().take(12) {
            scope.spawn(move || assert!(read(layer).unwrap() == *tar));
        }
    });
    assert_eq!(opened[0].names.len(), 1);
    assert_eq!(image.layers.len(), 3);
}

#[test]
fn an_image_without_layers() {
    let data = Data::new(GraphDriver::Overlay2);
    assert_layers(&data, &data.root.build(&[]), &[], "no layers");
}

/// The list of a tar-split as it is in `data` for the first layer, changed.
fn rewrite(data: &Data, image: &BuiltImage, tar: &[u8], change: impl Fn(&mut SplitEntry)) {
    let mut list = split(tar);
    list.entries.iter_mut().for_each(change);
    std::fs::write(data.layer(image, 0).join("tar-split.json.gz"), list.gzip()).unwrap();
}

#[test]
fn links_with_a_size_have_no_content() {
    let data = Data::new(GraphDriver::Overlay2);
    let (_, tar) = odd_tars(7).into_iter().find(|(what, _)| *what == "names from here and from the root").unwrap();
    let image = data.root.build(std::slice::from_ref(&tar));
    // dockerd notes the size in the header, and the checksum of what it has read: nothing.
    rewrite(&data, &image, &tar, |entry| {
        if let SplitEntry::File { name, size, checksum } = entry
            && name.ends_with(b"again")
        {
            (*size, *checksum) = (50, Some(0));
        }
    });
    assert_layers(&data, &image, &[tar], "links");
}

#[test]
fn names_with_two_dots_are_cleaned_as_dockerd_does() {
    let data = Data::new(GraphDriver::Overlay2);
    let tar = sample::tar_bytes(3, sample::TarOptions::default());
    let image = data.root.build(std::slice::from_ref(&tar));
    let put_before = |before: &'static [u8]| {
        rewrite(&data, &image, &tar, |entry| {
            if let SplitEntry::File { name, .. } = entry {
                *name = [before, name].concat();
            }
        });
    };
    put_before(b"nowhere/./../");
    assert_layers(&data, &image, std::slice::from_ref(&tar), "inside");
    put_before(b"a/../../");
    let error = failed_export(&data, &format!(":{}", image.id));
    assert_error(&error, ErrorKind::Corrupt, "its name points outside the layer", "");
}

#[test]
fn what_registries_have_is_told() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let blobs = [1, 2].map(|at| Digest::of(&[at]));
    let diff_id = &image.layers[0].diff_id;
    data.root.set_registry_digest(diff_id, &blobs[0], "docker.io/library/app");
    data.root.set_registry_digest(diff_id, &blobs[1], "registry.example:5000/x/app");
    let opened = data.open(":app:1").unwrap();
    let seen = |at: usize| tar_source(&artifact(&opened[0]).layers[at]).stream.seen().unwrap();
    let digests: Vec<Digest> = seen(0).into_iter().map(|blob| blob.digest).collect();
    assert_eq!(digests, [blobs[1].clone(), blobs[0].clone()]);
    assert!(format!("{:?}", seen(0)[0].origin).contains("registry.example:5000"));
    assert_eq!(seen(1), []);
}

#[test]
fn the_parent_is_told() {
    let (data, image) = Data::with_image(GraphDriver::Vfs);
    let parent = data.root.build(&layers()[..1]);
    data.root.set_parent(&image.id, &parent.id);
    let opened = data.open(":app:1").unwrap();
    let told = opened[0].metadata.get(longshore_core::DOCKER_PARENT).unwrap();
    assert_eq!(*told, parent.id.to_string().into_bytes());
}
