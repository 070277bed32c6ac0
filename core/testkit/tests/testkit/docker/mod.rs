//! What dockerd would have written.

mod root;
mod split;

use std::io::Read;

use base64::prelude::{BASE64_STANDARD, Engine};
use longshore_testkit::docker::odd_tars;
use longshore_testkit::sample::{self, TarOptions};
use serde_json::{Value, json};

/// Archives of all kinds, by name.
fn tars() -> Vec<(String, Vec<u8>)> {
    let sample = |seed| {
        let options = TarOptions { whiteouts: seed % 2 == 0, devices: seed % 3 == 0, ..TarOptions::default() };
        (format!("sample {seed}"), sample::tar_bytes(seed, options))
    };
    let odd = odd_tars(1).into_iter().map(|(name, tar)| (name.to_owned(), tar));
    (0..4).map(sample).chain(odd).collect()
}

fn entries(gzip: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(gzip).read_to_string(&mut text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn decoded(base64: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(base64.as_str().unwrap()).unwrap()
}

fn name(entry: &Value) -> Vec<u8> {
    entry.get("name_raw").map_or_else(|| entry["name"].as_str().unwrap_or_default().into(), decoded)
}

/// The archive again, with the contents that `content` has.
fn join(entries: &[Value], mut content: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut tar = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        assert_eq!(entry["position"], position);
        if entry["type"] == 2 {
            tar.extend(decoded(&entry["payload"]));
        } else if let Some(size) = entry.get("size") {
            let content = content(&name(entry));
            assert_eq!(content.len(), size.as_u64().unwrap() as usize);
            assert_eq!(decoded(&entry["payload"]).len(), 8);
            tar.extend(content);
        } else {
            assert_eq!((&entry["type"], &entry["payload"]), (&json!(1), &Value::Null));
        }
    }
    tar
}
