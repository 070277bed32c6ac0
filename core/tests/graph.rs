//! The graph of an image: what is visited, what is read, and which image is chosen.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "graph/kinds.rs"]
mod kinds;
#[path = "graph/reads.rs"]
mod reads;

use longshore_core::compose::{Edits, SourceImages, compose};
use longshore_core::image::{Graph, artifact_for, layers_for};
use longshore_core::oci::{Digest, Platform};
use longshore_core::{Existing, Image, ImageContent};
use longshore_testkit::conformance::platform_picker;

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn image(existing: &Existing) -> Image {
    Image::new(ImageContent::Existing(existing.clone()))
}

#[test]
fn the_graph_chooses_a_platform() {
    platform_picker(&|existing, wanted, work| {
        let graph = Graph::of(existing, work);
        let chosen = graph.platform(&platform(wanted))?;
        Ok(graph.image(&chosen)?.0.manifest.config.digest.clone())
    });
}

#[test]
fn unpacking_chooses_a_platform() {
    platform_picker(&|existing, wanted, work| Ok(layers_for(existing, &platform(wanted), work)?.config));
}

#[test]
fn taking_apart_for_a_platform_chooses_it() {
    platform_picker(&|existing, wanted, work| {
        let artifact = artifact_for(&image(existing), &platform(wanted), work)?;
        Ok(Digest::of(&artifact.config.to_bytes()?))
    });
}

#[test]
fn composing_chooses_a_platform() {
    platform_picker(&|existing, wanted, work| {
        let sources = vec![SourceImages::new("image", vec![image(existing)])];
        let composed = compose(sources, &[platform(wanted)], &Edits::default(), work)?.remove(0);
        let ImageContent::Existing(narrowed) = composed.content else { panic!("it was taken apart") };
        let graph = Graph::of(&narrowed, work);
        Ok(graph.image(&narrowed.root)?.0.manifest.config.digest.clone())
    });
}
