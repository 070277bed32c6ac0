//! Compression of layers that exist, and media types.

use std::sync::Arc;

use longshore_core::compression::{Algorithm, Encoding, detect};
use longshore_core::content::MemoryStore;
use longshore_core::layer::{BlobSource, Layer, LayerSource};
use longshore_core::oci::{Descriptor, Digest, History, ImageConfig, MediaType, Platform};
use longshore_core::{Artifact, Built, Image, ImageContent};
use longshore_testkit::sample::{TarOptions, tar_bytes, tar_layer};

use super::export;

/// An image of a layer that exists, compressed so, and a new one.
fn mixed(algorithm: Algorithm, level: Option<i32>, annotations: &[(&str, &str)]) -> (Image, Descriptor) {
    let tar = tar_bytes(1, TarOptions::default());
    let store = MemoryStore::default();
    let blob = Encoding::new(algorithm, level).unwrap().encode(&tar).unwrap();
    let mut descriptor = store.put(MediaType::layer(algorithm), &blob);
    for (key, value) in annotations {
        descriptor = descriptor.annotated(key, *value);
    }
    let source = BlobSource::new(descriptor.clone(), Digest::of(&tar), Arc::new(store));
    let base = Arc::new(Layer::new(LayerSource::Blob(source), History::default()));
    let config = ImageConfig::with_defaults(&Platform::new("linux", "amd64", None));
    let artifact = Artifact::new(vec![base, tar_layer(2, TarOptions::default())], config);
    (Image::new(ImageContent::Built(Built::Single(artifact))), descriptor)
}

/// C `testBuildExportWithUncompressed`.
#[test]
fn build_export_with_uncompressed() {
    let (image, base) = mixed(Algorithm::Uncompressed, None, &[]);
    let layout = export(vec![image.clone()], "");
    let layers = layout.manifest().layers;
    assert_eq!(layers[0], base);
    assert_eq!(layers[1].media_type.as_str(), "application/vnd.oci.image.layer.v1.tar+gzip");
    let forced = export(vec![image], "force-compression=true");
    forced.check_complete();
    for layer in forced.manifest().layers {
        assert_eq!(layer.media_type.as_str(), "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(detect(&forced.bytes(&layer.digest)).unwrap(), Algorithm::Gzip);
    }
}

/// BuildKit takes a gzip layer of any level for one of the level that was asked for.
#[test]
fn force_compression_respects_the_level() {
    let (image, base) = mixed(Algorithm::Gzip, Some(1), &[]);
    let of_level = |level: i32| {
        let options = format!("compression=gzip,compression-level={level},force-compression=true");
        export(vec![image.clone()], &options).manifest().layers.remove(0)
    };
    let expected = |level| {
        let tar = tar_bytes(1, TarOptions::default());
        let blob = Encoding::new(Algorithm::Gzip, Some(level)).unwrap().encode(&tar).unwrap();
        Digest::of(&blob)
    };
    assert_eq!(of_level(9).digest, expected(9));
    assert_ne!(of_level(9).digest, base.digest);
    assert_eq!(of_level(1).digest, expected(1));
}

/// C `testBuildExportZstd`.
#[test]
fn build_export_zstd() {
    let (image, _) = mixed(Algorithm::Gzip, None, &[]);
    let layer = |options: &str| export(vec![image.clone()], options).manifest().layers.remove(1);
    let (oci, docker) = (layer("compression=zstd"), layer("compression=zstd,oci-mediatypes=false"));
    assert_eq!(oci.media_type.as_str(), "application/vnd.oci.image.layer.v1.tar+zstd");
    assert_eq!(docker.media_type.as_str(), "application/vnd.docker.image.rootfs.diff.tar.zstd");
    assert_eq!(docker.digest, oci.digest);
}

/// Annotations of layers survive, but those of stores; Docker's types have none.
#[test]
fn annotations_of_layers() {
    let annotations = [
        ("example.kept", "yes"),
        ("containerd.io/uncompressed", "sha256:0"),
        ("buildkit/createdat", "2020-02-02T02:02:02Z"),
        ("containerd.io/distribution.source.docker.io", "library/app"),
    ];
    let (image, _) = mixed(Algorithm::Gzip, None, &annotations);
    let found = |options: &str| export(vec![image.clone()], options).manifest().layers.remove(0).annotations;
    assert_eq!(found("").into_iter().collect::<Vec<_>>(), [("example.kept".to_owned(), "yes".to_owned())]);
    assert!(found("oci-mediatypes=false").is_empty());
}
