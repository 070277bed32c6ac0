//! Layers that only their maker distributes.

use std::sync::Arc;

use longshore_core::compression::{Algorithm, detect};
use longshore_core::content::{MemoryStore, Provider};
use longshore_core::layer::{BlobSource, Layer, LayerSource};
use longshore_core::oci::{Descriptor, Digest, History, ImageConfig, MediaType, Platform};
use longshore_core::{Artifact, Built, Image, ImageContent};
use longshore_testkit::sample::{TarOptions, tar_bytes};

use super::{export, refusal};

const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const URL: &str = "https://example.com/layer";

fn image(is_there: bool) -> Image {
    let tar = tar_bytes(1, TarOptions::default());
    let store = MemoryStore::default();
    let media_type = MediaType::from(FOREIGN.to_owned());
    let descriptor = if is_there { store.put(media_type, &tar) } else { Descriptor::of(media_type, &tar) };
    let descriptor = Descriptor { urls: vec![URL.to_owned()], ..descriptor };
    let provider: Arc<dyn Provider> = Arc::new(store);
    let source = BlobSource::new(descriptor, Digest::of(&tar), provider);
    let layer = Arc::new(Layer::new(LayerSource::Blob(source), History::default()));
    let config = ImageConfig::with_defaults(&Platform::new("linux", "amd64", None));
    Image::new(ImageContent::Built(Built::Single(Artifact::new(vec![layer], config))))
}

/// C `testBuildExportWithForeignLayer/propagate=1`, which is the default here.
#[test]
fn foreign_layers_are_kept() {
    for options in ["", "prefer-nondist-layers=true"] {
        for is_there in [true, false] {
            let layout = export(vec![image(is_there)], options);
            let layer = layout.manifest().layers.remove(0);
            assert_eq!((layer.media_type.as_str(), &layer.urls[..]), (FOREIGN, &[URL.to_owned()][..]));
            assert_eq!(layout.has(&layer.digest), is_there);
        }
    }
}

/// C `testBuildExportWithForeignLayer/propagate=0`.
#[test]
fn foreign_layers_become_ordinary_ones() {
    let layout = export(vec![image(true)], "prefer-nondist-layers=false");
    let layer = layout.manifest().layers.remove(0);
    assert_eq!((layer.media_type.as_str(), layer.urls.len()), (PLAIN, 0));
    assert!(layout.has(&layer.digest));
    let found = refusal(vec![image(false)], "prefer-nondist-layers=false");
    assert!(found.contains("is only at its URLs, so it cannot become an ordinary layer"), "{found}");
}

/// Such a layer was compressed anew and lost its URLs, or was missing if it is only there.
#[test]
fn foreign_layers_are_not_recompressed() {
    for is_there in [true, false] {
        let existing = export(vec![image(is_there)], "");
        let before = existing.manifest().layers;
        for options in ["compression=zstd,force-compression=true", "source-date-epoch=1,rewrite-timestamp=true"] {
            for images in [vec![image(is_there)], existing.images()] {
                let layout = export(images, options);
                assert_eq!(layout.manifest().layers, before, "{options}");
                assert_eq!(layout.has(&before[0].digest), is_there);
            }
        }
    }
}

#[test]
fn foreign_layers_that_become_ordinary_ones_are_recompressed() {
    let options = "compression=zstd,force-compression=true,prefer-nondist-layers=false";
    let existing = [true, false].map(|is_there| export(vec![image(is_there)], ""));
    for images in [vec![image(true)], existing[0].images()] {
        let layout = export(images, options);
        layout.check_complete();
        let layer = layout.manifest().layers.remove(0);
        assert_eq!((layer.media_type, layer.urls.len()), (MediaType::layer(Algorithm::Zstd), 0));
        assert_eq!(detect(&layout.bytes(&layer.digest)).unwrap(), Algorithm::Zstd);
    }
    for images in [vec![image(false)], existing[1].images()] {
        let found = refusal(images, options);
        assert!(found.contains("is only at its URLs, so it cannot become an ordinary layer"), "{found}");
    }
}
