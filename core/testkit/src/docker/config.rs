//! Image configurations as Docker writes them.

use longshore_core::oci::{Digest, json};
use serde_json::{Value, json};

use super::root::AddedLayer;

/// The creation time of all images of the kit.
const CREATED: &str = "2021-03-04T05:06:07.123456789Z";

/// An image that [`DockerRoot::build`](super::DockerRoot::build) has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The digest of its configuration.
    pub id: Digest,
    /// Its configuration, byte for byte.
    pub config: Vec<u8>,
    /// Its layers, the base first.
    pub layers: Vec<AddedLayer>,
}

/// Returns a configuration for `linux/amd64`, with one history step per layer.
pub(super) fn config(layers: &[AddedLayer]) -> Vec<u8> {
    let history = (0..layers.len()).map(|at| {
        let created_by = format!("/bin/sh -c #(nop) ADD file:{at} in / ");
        json!({ "created": CREATED, "created_by": created_by })
    });
    let mut config = json!({
        "architecture": "amd64",
        "config": run_config(),
        "created": CREATED,
        "docker_version": "20.10.24",
        "history": history.collect::<Vec<_>>(),
        "os": "linux",
        "rootfs": { "type": "layers" },
    });
    if !layers.is_empty() {
        let diff_ids = layers.iter().map(|layer| &layer.diff_id);
        config["rootfs"]["diff_ids"] = json!(diff_ids.collect::<Vec<_>>());
    }
    json::compact(&config).expect("a configuration is JSON")
}

/// Returns the run configuration. Go writes maps sorted by key, but this is not a map.
fn run_config() -> Value {
    json!({
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": ["PATH=/usr/bin", "ODD=<&>é"],
        "Cmd": ["/usr/bin/tool", "--serve"],
        "Image": "",
        "Volumes": null,
        "WorkingDir": "",
        "Entrypoint": null,
        "OnBuild": null,
        "Labels": null,
    })
}
