//! The blobs of an engine that keeps its images in containerd, read there instead of from an archive.

use std::path::Path;

use longshore_containerd::{Address, ContainerdStore};
use longshore_core::image::stored_images;
use longshore_core::{Context, Error, ErrorKind, Image, ImageContent, Result};
use longshore_docker_engine::{Engine, Inspected, Keeps};

/// Docker's namespace.
const NAMESPACE: &str = "moby";

/// Where the containerd of an engine listens: one that is shared with other programs, or one that dockerd started.
const SOCKETS: [&str; 2] = ["/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock"];

/// Returns the image `found` with its blobs in containerd; `None` if it is to be read from the engine.
///
/// # Errors
/// Only if `socket` names a containerd: an engine that keeps no images in containerd, and what cannot be read there.
pub(crate) fn in_containerd(
    socket: Option<&str>,
    engine: &Engine,
    found: &Inspected,
    reference: &str,
) -> Result<Option<Vec<Image>>> {
    let keeps_blobs = engine.keeps()? == Keeps::Blobs;
    if let Some(socket) = socket {
        if !keeps_blobs {
            let error = Error::new(ErrorKind::Unsupported, "the engine does not keep its images in containerd");
            return Err(error.with_hint("leave out containerd="));
        }
        return open(socket, found, reference).map(Some);
    }
    if !keeps_blobs || !engine.endpoint().to_string().starts_with("unix://") {
        return Ok(None);
    }
    // Nobody asked for it: what cannot be read there is read from the engine.
    Ok(SOCKETS.into_iter().filter(|path| Path::new(path).exists()).find_map(|path| open(path, found, reference).ok()))
}

fn open(socket: &str, found: &Inspected, reference: &str) -> Result<Vec<Image>> {
    let read = || {
        let address = Address::default().with_socket(socket)?.with_namespace(NAMESPACE)?;
        let images = stored_images(&ContainerdStore::open_existing(&address)?, reference, false, true)?;
        let is_found =
            |image: &Image| matches!(&image.content, ImageContent::Existing(image) if image.root.digest == found.id);
        match images.iter().all(is_found) {
            true => Ok(images),
            false => Err(Error::new(ErrorKind::NotFound, format!("it has another image of the name {reference}"))),
        }
    };
    read().attempt(|| format!("cannot read the blobs of {reference} in the containerd at {socket}"))
}
