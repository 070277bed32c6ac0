//! The destination of the images of a result: an engine.
//!
//! An image is loaded without a name, and gets its names when the run publishes: an export that fails leaves none, and an
//! engine that kept an image without its layers never has a name on it.

mod archive;
mod present;
mod wanted;

use std::collections::HashSet;

use longshore_core::image::assemble_all;
use longshore_core::oci::{Digest, ImageName};
use longshore_core::{
    BuildResult, Cancel, Context, Error, ErrorKind, ExportContext, ExporterType, Response, Result, Staged, Transfer,
    Turn, Work,
};
use longshore_docker_engine::{Endpoint, Engine, EngineImage, Keeps};

use crate::options::DockerOptions;
use crate::{DockerExporter, export};
use wanted::Wanted;

/// Fails if the engine cannot be reached.
pub(crate) fn check(options: &DockerOptions, work: &Work) -> Result<()> {
    connect(options, &work.cancel).map(drop)
}

/// Returns the engine, and how it keeps images.
fn connect(options: &DockerOptions, cancel: &Cancel) -> Result<(Engine, Keeps)> {
    let connected = Endpoint::find(options.context()).and_then(|endpoint| {
        let engine = Engine::new(endpoint, cancel);
        engine.keeps().map(|keeps| (engine, keeps))
    });
    connected.map_err(|error| match (error.kind(), error.hint()) {
        (ErrorKind::Cancelled, _) => error,
        (_, None) => error.with_hint("dest=FILE writes a tarball for docker load"),
        (_, Some(hint)) => {
            let hint = format!("{hint}; or add dest=FILE for a tarball");
            error.with_hint(hint)
        }
    })
}

/// Loads the images of `result`, without names.
pub(crate) fn load<'a>(
    result: &BuildResult,
    options: &DockerOptions,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    export::say_nameless(result, options, cx)?;
    let (engine, keeps) = connect(options, &cx.work().cancel)?;
    let images = assemble_all(result, &options.image()?, cx)?;
    let images = images.into_iter().map(|image| Wanted::new(image, options, keeps, cx.work()));
    let images = images.collect::<Result<_>>()?;
    let mut loading = Loading { cx, engine, keeps, images, before: HashSet::new(), transfer: Transfer::default() };
    loading.load().attempt(|| format!("cannot load into the Docker Engine at {}", loading.engine.endpoint()))?;
    Ok(Box::new(loading))
}

/// Images that an engine has, or gets, and their names when they are published.
struct Loading<'a> {
    cx: &'a ExportContext<'a>,
    engine: Engine,
    keeps: Keeps,
    images: Vec<Wanted<'a>>,
    /// The images that the engine had: these stay if the run fails.
    before: HashSet<Digest>,
    transfer: Transfer,
}

impl Loading<'_> {
    fn load(&mut self) -> Result<()> {
        let listed = self.engine.images(self.keeps)?;
        self.before = listed.iter().map(|image| image.id.clone()).collect();
        let is_missing = |image: &Wanted<'_>| !image.is_in(&listed, self.keeps);
        if !self.images.iter().any(is_missing) {
            self.transfer.present = archive::layers(&self.images, |_| true);
            self.remember()?;
            return Ok(());
        }
        let present = present::find(&self.engine, self.keeps, &listed, &self.images, self.cx)?;
        match self.send(&present).and_then(|()| self.missing()) {
            Ok(None) => {}
            Err(error) if present.is_empty() || is_final(error.kind()) => return Err(error),
            Ok(Some(id)) if present.is_empty() => return Err(incomplete(&id)),
            // It may have lost a layer since it was asked.
            Ok(Some(_)) | Err(_) => self.load_whole()?,
        }
        self.remember()
    }

    /// Sends all layers.
    fn load_whole(&mut self) -> Result<()> {
        self.send(&HashSet::new())?;
        self.missing()?.map_or(Ok(()), |id| Err(incomplete(&id)))
    }

    fn send(&mut self, present: &HashSet<Digest>) -> Result<()> {
        let (sent, bytes) = archive::send(&self.engine, self.keeps, &self.images, present, self.cx.work());
        self.transfer.present = archive::layers(&self.images, |layer| present.contains(layer));
        self.transfer.sent.layers = archive::layers(&self.images, |layer| !present.contains(layer)).layers;
        // What was sent in vain was sent, too.
        self.transfer.sent.bytes += bytes;
        sent
    }

    /// Returns the first image that the engine does not have whole.
    fn missing(&self) -> Result<Option<Digest>> {
        let listed: Vec<EngineImage> = self.engine.images(self.keeps)?;
        let missing = self.images.iter().find(|image| !image.is_loaded(&listed, self.keeps));
        Ok(missing.map(|image| image.id.clone()))
    }

    /// Keeps the manifests in the store of the run: to the next run they say which blobs the engine has.
    fn remember(&self) -> Result<()> {
        let of_blobs = self.keeps != Keeps::Layers;
        let images = self.images.iter().filter(|_| of_blobs);
        images.flat_map(Wanted::manifests).try_for_each(|blob| archive::keep(blob, self.cx.store()))
    }

    /// Names an image. One that is gone is loaded again, once.
    fn tag(&mut self, id: &Digest, name: &ImageName) -> Result<()> {
        match self.engine.tag(id, name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.load_whole()?;
                self.engine.tag(id, name)
            }
            tagged => tagged,
        }
    }
}

/// Whether sending the whole image would fail, too.
fn is_final(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Cancelled | ErrorKind::NoSpace | ErrorKind::Denied | ErrorKind::Corrupt)
}

fn incomplete(id: &Digest) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the engine does not have image {id} after it was loaded"))
        .with_hint("something else may have removed it: see the log of the engine, and run it again")
}

impl Staged for Loading<'_> {
    fn turn(&self) -> Turn {
        Turn::Local
    }

    fn publish(mut self: Box<Self>) -> Result<Response> {
        let endpoint = self.engine.endpoint().clone();
        // As much as possible is published, whatever happens meanwhile.
        self.engine = Engine::new(endpoint.clone(), &Cancel::default());
        let names: Vec<_> = self.images.iter().map(|image| (image.id.clone(), image.names.clone())).collect();
        for (id, name) in names.iter().flat_map(|(id, names)| names.iter().map(move |name| (id, name))) {
            let tagged = self.tag(id, name);
            tagged.attempt(|| format!("cannot load into the Docker Engine at {endpoint}"))?;
        }
        let images = self.images.iter().map(Wanted::exported).collect();
        let (transfer, id) = (self.transfer, endpoint.to_string());
        // They are published, with names or without.
        self.images.clear();
        Ok(Response::new(DockerExporter::KIND, Some(id), images).with_transfer(transfer))
    }
}

impl Drop for Loading<'_> {
    /// Removes what an export that is not published has loaded.
    fn drop(&mut self) {
        let has_sent = self.transfer.sent.bytes > 0;
        let added = self.images.iter().filter(|image| has_sent && !self.before.contains(&image.id));
        let engine = Engine::new(self.engine.endpoint().clone(), &Cancel::default());
        for Wanted { id, .. } in added {
            // Whatever else named it since keeps it. An engine that is gone removes nothing.
            if let Ok(Some(found)) = engine.inspect(&id.to_string())
                && found.id == *id
                && found.tags.is_empty()
            {
                let _ = engine.remove(id);
            }
        }
    }
}
