//! The suites that every exporter passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use longshore_core::content::copy;
use longshore_core::image::Graph;
use longshore_core::oci::ImageName;
use longshore_core::{Cancel, ExporterRegistry, OutputSpec, PushSession, Pusher, RegistryOptions, Result, Work};
use longshore_distribution::{Client, ClientOptions};
use longshore_exporter_registry::RegistryExporter;
use longshore_testkit::conformance::{ExporterCase, RegistryCase, exporter};
use longshore_testkit::registry::Registry;

/// The registries of the suite, by the directories that stand for them.
static REGISTRIES: Mutex<BTreeMap<PathBuf, Arc<Registry>>> = Mutex::new(BTreeMap::new());

/// The registry of a directory, or of the one above if that has one: then it is of the same run.
fn registry_of(place: &Path) -> Arc<Registry> {
    let mut registries = REGISTRIES.lock().unwrap();
    let above = place.parent().and_then(|above| registries.get(above).cloned());
    above.unwrap_or_else(|| registries.entry(place.to_owned()).or_insert_with(|| Arc::new(Registry::start())).clone())
}

/// Pushes to one registry, whatever names say. Each name has a pusher of its own: the suite puts two images
/// under one name, which one pusher refuses.
#[derive(Debug)]
struct Redirected {
    client: Client,
    host: String,
}

impl Pusher for Redirected {
    fn repository(&self, name: &ImageName, options: RegistryOptions) -> Result<Arc<dyn PushSession>> {
        self.client.pusher().repository(&format!("{}/{}", self.host, name.repository()).parse()?, options)
    }
}

fn pusher(place: &Path) -> Arc<dyn Pusher> {
    let client = Client::new(ClientOptions::default());
    Arc::new(Redirected { client, host: registry_of(place).host().to_owned() })
}

/// Every tag, and every blob that it leads to, checked.
fn visible(place: &Path) -> Vec<String> {
    let registry = registry_of(place);
    let client = Client::new(ClientOptions::default());
    let mut lines = vec!["registry".to_owned()];
    for repository in registry.repositories() {
        let name = format!("{}/{repository}", registry.host()).parse().unwrap();
        for tag in registry.tags(&repository) {
            let pull = client.repository(&name, Work::default()).unwrap();
            let root = pull.resolve(&tag).unwrap();
            for blob in Graph::at(&root, &pull, &Work::default()).walk().unwrap().blobs {
                copy(&pull, &blob.descriptor, &mut std::io::sink(), &Cancel::default(), None).unwrap();
                lines.push(format!("{repository}:{tag} {}", blob.descriptor.digest));
            }
        }
    }
    lines
}

fn suite(options: &str) {
    let spec = format!("type=registry,name=*{options}");
    exporter(
        &ExporterCase::new(
            &|| ExporterRegistry::default().with(RegistryExporter),
            &|_: &Path| OutputSpec::parse(&spec).unwrap().unwrap(),
            &|place: &Path| assert!(visible(place).len() > 1, "nothing has a tag"),
        )
        .with_registry(RegistryCase::new(&pusher, &visible)),
    );
}

#[test]
fn registry() {
    suite("");
}

#[test]
fn layers_that_are_not_kept() {
    suite(",push-streaming=true");
}
