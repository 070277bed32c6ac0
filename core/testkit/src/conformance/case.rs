//! Facts that a suite needs about the exporter it checks.

use std::path::Path;
use std::sync::Arc;

use longshore_core::{ExporterRegistry, OutputSpec, Pusher, Store};

/// What the suite needs to know about an exporter.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ExporterCase<'a> {
    /// The exporter, alone or among others; the suite adds [`FailingExporter`](crate::faults::FailingExporter).
    pub exporters: &'a dyn Fn() -> ExporterRegistry,
    /// Returns an output of it in this directory, which exists and is empty. No option may change the
    /// bytes of an existing image, or give it a name that only one image can have; every image of the
    /// suite brings a name for `name=*`.
    pub spec: &'a dyn Fn(&Path) -> OutputSpec,
    /// Whether it writes images rather than the files in them.
    pub images: bool,
    /// Checks what one export put into the directory, for example with [`validate`](crate::validate).
    pub check: &'a dyn Fn(&Path),
    /// The store that it exports to, if it does not write to the directory itself.
    pub store: Option<StoreCase<'a>>,
    /// The registry that it pushes to, if it does not write to the directory itself.
    pub registry: Option<RegistryCase<'a>>,
}

impl<'a> ExporterCase<'a> {
    /// Creates a case of an exporter that writes images to its destination.
    pub fn new(
        exporters: &'a dyn Fn() -> ExporterRegistry,
        spec: &'a dyn Fn(&Path) -> OutputSpec,
        check: &'a dyn Fn(&Path),
    ) -> Self {
        Self { exporters, spec, images: true, check, store: None, registry: None }
    }

    /// Sets whether it writes images rather than the files in them.
    #[must_use]
    pub fn with_images(mut self, images: bool) -> Self {
        self.images = images;
        self
    }

    /// Sets the store that it exports to.
    #[must_use]
    pub fn with_store(mut self, store: StoreCase<'a>) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets the registry that it pushes to.
    #[must_use]
    pub fn with_registry(mut self, registry: RegistryCase<'a>) -> Self {
        self.registry = Some(registry);
        self
    }
}

impl std::fmt::Debug for StoreCase<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreCase").finish_non_exhaustive()
    }
}

/// An exporter whose images go into a store, which the suite puts into the directory of the output.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct StoreCase<'a> {
    /// Opens the store of this directory.
    pub open: &'a dyn Fn(&Path) -> Store,
    /// Returns one line per visible thing in that store, after a first one for the store.
    pub visible: &'a dyn Fn(&Path) -> Vec<String>,
}

impl<'a> StoreCase<'a> {
    /// Creates a case from how a store is opened, and how what is visible in it is listed.
    pub fn new(open: &'a dyn Fn(&Path) -> Store, visible: &'a dyn Fn(&Path) -> Vec<String>) -> Self {
        Self { open, visible }
    }
}

/// An exporter whose images go to registries; the suite stands for one with the directory of the output.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RegistryCase<'a> {
    /// Pushes to the registry of this directory, whatever registry a name says.
    pub pusher: &'a dyn Fn(&Path) -> Arc<dyn Pusher>,
    /// Returns one line per thing in that registry that a tag leads to, after a first one for the registry.
    pub visible: &'a dyn Fn(&Path) -> Vec<String>,
}

impl<'a> RegistryCase<'a> {
    /// Creates a case from what pushes to a registry, and how what its tags lead to is listed.
    pub fn new(pusher: &'a dyn Fn(&Path) -> Arc<dyn Pusher>, visible: &'a dyn Fn(&Path) -> Vec<String>) -> Self {
        Self { pusher, visible }
    }
}

impl std::fmt::Debug for RegistryCase<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryCase").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ExporterCase<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExporterCase").field("images", &self.images).finish_non_exhaustive()
    }
}
