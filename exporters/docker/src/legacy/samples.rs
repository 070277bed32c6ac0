//! Images loaded and saved by dockerd 20.10, for comparison with its output in tests.

use longshore_core::oci::{Digest, ImageName};

use super::plan::{SavedImage, SavedLayer};

/// Every key that Docker knows, some unknown ones, and odd values that it accepts.
pub(super) const EVERYTHING: &str = r##"{"Size":7,"id":"abc","parent":"sha256:0000000000000000000000000000000000000000000000000000000000000000","comment":"c <&> \u2028 \b\f\n\r\t\u0001\u007f é \"\\","container":"0123","docker_version":"20.10.24","author":"Ä <a@b>","unknown":1,"os.version":"1","os.features":["f"],"variant":"v2","architecture":"amd64","os":"linux","created":"2020-02-29T23:59:59.100000000-00:00",
 "container_config":{"Hostname":"h","Cmd":["/bin/sh","-c","#(nop) "],"OnBuild":[],"Env":[],"Labels":{},"Volumes":{},"ExposedPorts":{}},
 "config":{"Shell":["/bin/sh","-c"],"StopTimeout":0,"StopSignal":"SIGTERM","Labels":{"b":"<&>","a":"\u2029","c":null,"B":"x"},"OnBuild":["RUN a && b"],"MacAddress":"00:00:00:00:00:01","NetworkDisabled":true,"Entrypoint":"/entry point","WorkingDir":"/w","Volumes":{"/v2":{},"/v1":{"x":1},"/v0":null},"Image":"sha256:x","ArgsEscaped":true,"Healthcheck":{"Test":["CMD","true"],"Interval":30000000000,"Timeout":5,"StartPeriod":1,"StartInterval":9,"Retries":3},"Cmd":"one <string>","Env":["A=1",null,"B=<&>"],"StdinOnce":true,"OpenStdin":true,"Tty":true,"ExposedPorts":{"80/tcp":{},"443/tcp":{},"53/udp":null},"AttachStderr":true,"AttachStdout":true,"AttachStdin":true,"User":"u:g","Domainname":"d","Hostname":"h","Unknown":{"a":1}},@}"##;

pub(super) const TWO: &str =
    r#"{"architecture":"amd64","os":"linux","created":"2023-01-02T03:04:05.678901234+02:00","config":null,@}"#;

pub(super) const THREE: &str =
    r#"{"architecture":"amd64","os":"linux","created":"2011-01-02T00:00:00Z","config":{"Env":["S=1"]},@}"#;

pub(super) const ONE: &str = r#"{"architecture":"amd64","os":"linux","created":"2024-05-06T07:08:09.120Z","config":{"Cmd":["/a"]},@,"history":[{"created":"2024-05-06T07:08:09Z"}]}"#;

pub(super) const REPEATS: &str =
    r#"{"architecture":"amd64","os":"linux","created":"2023-01-02T03:04:05Z","config":{},@}"#;

/// Layers of one file each, by the name of that file.
pub(super) fn diff_ids(layers: &str) -> Vec<Digest> {
    let hex = |layer| match layer {
        'a' => "222eae8756318e08c6a0a394492d8900d738e70d3c207a3506c2647ecacf3388",
        'b' => "68e3f1577de38ccff842085cb35998edcf7f6b4c4475895fe4b6e7c212386490",
        'c' => "5758067f973e44a6915ab8f3e4d403926a0202b7ef69d1fc3ee8816297d82943",
        other => panic!("there is no layer {other}"),
    };
    layers.chars().map(|layer| format!("sha256:{}", hex(layer)).parse().unwrap()).collect()
}

/// Returns a configuration with `layers` in place of `@`.
pub(super) fn config(text: &str, layers: &str) -> Vec<u8> {
    let diff_ids: Vec<String> = diff_ids(layers).iter().map(|diff_id| format!("\"{diff_id}\"")).collect();
    let (before, after) = text.rsplit_once('@').unwrap();
    let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":[{}]}}"#, diff_ids.join(", "));
    format!("{before}{rootfs}{after}").into_bytes()
}

/// Returns an image with names.
pub(super) fn image(text: &str, layers: &str, names: &[&str]) -> SavedImage {
    let layers_of = |diff_id| SavedLayer { diff_id, foreign: None };
    SavedImage {
        config: config(text, layers),
        names: names.iter().map(|name| name.parse::<ImageName>().unwrap()).collect(),
        layers: diff_ids(layers).into_iter().map(layers_of).collect(),
        parent: None,
    }
}
