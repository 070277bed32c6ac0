//! The contents of `longshore`: the only list of exporters, frontends and kinds of stores.

use longshore_containerd::ContainerdStores;
use longshore_core::content::StoreRegistry;
use longshore_core::{ExporterRegistry, FrontendRegistry};
use longshore_distribution::Client;
use longshore_exporter_docker::DockerExporter;
use longshore_exporter_image::ImageExporter;
use longshore_exporter_local::LocalExporter;
use longshore_exporter_oci::OciExporter;
use longshore_exporter_registry::RegistryExporter;
use longshore_exporter_tar::TarExporter;
use longshore_frontend_archive::ArchiveFrontend;
use longshore_frontend_containerd::ContainerdFrontend;
use longshore_frontend_docker_daemon::DockerDaemonFrontend;
use longshore_frontend_docker_graph::DockerGraphFrontend;
use longshore_frontend_registry::RegistryFrontend;
use longshore_frontend_rootfs::RootfsFrontend;
use longshore_frontend_store::StoreFrontend;
use longshore_store::EmbeddedStores;

/// Returns the exporters, in the order of the reference page.
pub(crate) fn exporters() -> ExporterRegistry {
    ExporterRegistry::default()
        .with(DockerExporter)
        .with(ImageExporter)
        .with(LocalExporter)
        .with(OciExporter)
        .with(RegistryExporter)
        .with(TarExporter)
}

/// Returns the frontends, in the order of the reference page. `client` reads from registries.
pub(crate) fn frontends(client: &Client) -> FrontendRegistry {
    FrontendRegistry::default()
        .with(RootfsFrontend)
        .with(ArchiveFrontend)
        .with(StoreFrontend)
        .with(DockerDaemonFrontend)
        .with(ContainerdFrontend)
        .with(DockerGraphFrontend)
        .with(RegistryFrontend::new(client.clone()))
}

/// Returns the kinds of image stores. A path without a scheme uses the first one.
pub(crate) fn stores() -> StoreRegistry {
    StoreRegistry::default().with(EmbeddedStores).with(ContainerdStores)
}
