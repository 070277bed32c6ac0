//! Layers that go to a registry while they are made.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Push, Repository};
use crate::content::Provider;
use crate::error::{Error, ErrorKind, Result};
use crate::image::layers::LayerOutlet;
use crate::layer::{LayerStream, MadeLayer};
use crate::push::Transfer;

/// Sends layers to the first repository; the others of the same registry can mount them from there.
pub(super) struct Outlet<'p> {
    repository: &'p Repository,
    transfer: Transfer<'p>,
}

impl<'p> Outlet<'p> {
    /// `None` where layers have to be kept: to be sent to a second registry, or because a repository is
    /// not for all of the images.
    pub(super) fn new(push: &'p Push<'_>) -> Option<Self> {
        if !push.cx.is_for_one_output() {
            push.cx.progress().warn("push-streaming: another output needs the layers: they are kept");
            return None;
        }
        let (origin, repository) = push.repositories.first()?;
        let serves_all = |other: &Repository| other.images == repository.images;
        let is_one = push.repositories.iter().all(|(at, other)| at.registry == origin.registry && serves_all(other));
        if !is_one {
            let reason = "push-streaming: layers for several registries or repositories are kept in the store";
            push.cx.progress().warn(reason);
            return None;
        }
        Some(Self { repository, transfer: push.transfer() })
    }
}

impl LayerOutlet for Outlet<'_> {
    fn take(&self, layer: &LayerStream<'_>) -> Result<Option<(MadeLayer, Arc<dyn Provider>)>> {
        let latest: Mutex<Option<MadeLayer>> = Mutex::default();
        let made = || latest.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || Error::new(ErrorKind::Other, format!("layer {} was not made", layer.name()));
        let make = |out: &mut (dyn std::io::Write + Send)| {
            let new = layer.write_to(out)?;
            let descriptor = new.blob(layer.encoding()).cloned().ok_or_else(missing)?;
            *made() = Some(new);
            Ok(descriptor)
        };
        let sent = self.repository.session.stream(&layer.name(), &make, &self.transfer);
        match self.repository.attempt(sent)? {
            Some(_) => Ok(Some((made().take().ok_or_else(missing)?, self.repository.session.provider(&self.transfer)))),
            None => Ok(None),
        }
    }
}
