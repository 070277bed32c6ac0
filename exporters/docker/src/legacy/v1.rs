//! Layers of image format v1, and their IDs.

use std::collections::BTreeMap;

use longshore_core::content::chain_ids;
use longshore_core::oci::Digest;
use longshore_core::{Error, Result};
use serde_json::value::{RawValue, to_raw_value};

use super::config::V1Image;
use super::json;

/// A layer in image format v1: an image of its own, with a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct V1Layer {
    /// 64 hex digits: the name of its directory.
    pub(crate) id: String,
    /// The file `json` of that directory.
    pub(crate) json: Vec<u8>,
}

/// Returns the layers of an image with this configuration and these layers, the base first.
///
/// An ID is the hash of the layer's metadata, its chain ID and the ID below it. The metadata of the top layer is
/// the configuration; lower layers have none.
///
/// # Errors
/// A configuration that Docker cannot read.
pub(crate) fn layers(config: &[u8], diff_ids: &[Digest]) -> Result<Vec<V1Layer>> {
    let top = V1Image::parse(config)?;
    let mut layers: Vec<V1Layer> = Vec::with_capacity(diff_ids.len());
    for (index, chain_id) in chain_ids(diff_ids).into_iter().enumerate() {
        let is_top = index + 1 == diff_ids.len();
        let mut image = if is_top { top.clone() } else { V1Image::below() };
        let parent = layers.last().map(|below| below.id.as_str());
        image.id = id(&image, &chain_id, parent)?;
        image.parent = parent.unwrap_or_default().to_owned();
        // Docker sets this after computing the ID, so it does not count for layers below the top one.
        image.os.clone_from(&top.os);
        layers.push(V1Layer { json: json::document(&image)?, id: image.id });
    }
    Ok(layers)
}

/// Returns the ID of an image that does not have its ID and its parent yet.
fn id(image: &V1Image, chain_id: &Digest, parent: Option<&str>) -> Result<String> {
    let cannot = |error: serde_json::Error| Error::input("cannot compute the ID of a v1 layer").with_source(error);
    let mut fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&json::document(image)?).map_err(cannot)?;
    fields.insert("layer_id".into(), to_raw_value(chain_id).map_err(cannot)?);
    if let Some(parent) = parent {
        fields.insert("parent".into(), to_raw_value(&format!("sha256:{parent}")).map_err(cannot)?);
    }
    Ok(Digest::of(&json::document(&fields)?).hex().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{EVERYTHING, ONE, REPEATS, TWO, config, diff_ids};
    use super::*;

    const NULLS: &str = r#"{"comment":null,"container":null,"container_config":null,"docker_version":null,"author":null,"config":{"Hostname":null,"Tty":null,"Env":null,"Cmd":null,"Healthcheck":null,"Volumes":null,"Labels":null,"StopTimeout":null,"Shell":null,"Entrypoint":[],"OnBuild":null,"ExposedPorts":null},"Size":null,"created":null,"architecture":"amd64","os":"linux",@}"#;
    const EMPTY: &str = r#"{"architecture":"amd64","os":"linux","config":{"Healthcheck":{},"Shell":[],"Cmd":[]},"created":"2000-01-01T00:00:00Z",@}"#;

    /// The ID of a layer, and the hash of its `json`.
    type Saved = (&'static str, &'static str);

    /// What dockerd 20.10 saved of these configurations.
    const CASES: [(&str, &str, &[Saved]); 6] = [
        (
            ONE,
            "a",
            &[(
                "6ef7264dc11865d5194d51dcc9534e86fac0be10e1dfdeee6fbb42b1a9be9ecb",
                "8aea0fd19331baebc3bd94a82acc281d1057df464bc3cf33f9a2ab9a5eb7224b",
            )],
        ),
        (
            TWO,
            "ab",
            &[
                (
                    "7834722bd671f937423b3a5604c99bf8ffaac25d2a41960160d1b68af1c4007e",
                    "056e22ea231a6d1c192b3eddab329aa324ff4f7891b417f8b03b5b88b31ba074",
                ),
                (
                    "dedec9e218961afcfa5c82d7f5d84b11e1da69cc70e8db0d4645c2c672c721e0",
                    "824adf399a53803f498756bacd134c9cc056c3adb2fdba6f2888307b3b707487",
                ),
            ],
        ),
        (
            REPEATS,
            "abaa",
            &[
                (
                    "7834722bd671f937423b3a5604c99bf8ffaac25d2a41960160d1b68af1c4007e",
                    "056e22ea231a6d1c192b3eddab329aa324ff4f7891b417f8b03b5b88b31ba074",
                ),
                (
                    "b76094ee9b9f9539c0a94ba4df3eddcc932658b367925d01e37dff6c3399e793",
                    "42e85b3cce2d31d932e394cf82dd3e9fdcb0d156ca564937e5faa997c1489b98",
                ),
                (
                    "1ffc74833b0a42b29de8aafaba4469bca043efb8afd549d6e9eab495c6878089",
                    "181b3880493ac374827781dbe2ebf51cbb2405a5355abd6834c3f4abfde06951",
                ),
                (
                    "e9943f56bb7252725143fdd943ed6be8ea48dc9531067d89c053e323f07804a2",
                    "8c2ea4a6912c14d027bfde3308baf3d3253a16c10b0545bfdbf0d236f097ddee",
                ),
            ],
        ),
        (
            EVERYTHING,
            "cab",
            &[
                (
                    "1684613125246915575c29ad3adb10f965c070449b36d77b30aae4695c92e82d",
                    "d29e4db7bccb3e8602ef4e6ca14c2ef9b7fe145bd494c489c085e9abb88485bc",
                ),
                (
                    "ef1a218c2cfb471ebc865442e0d93eea419f0866bfbd6f85a2b37836e020246e",
                    "4d96d444778807edb8735b7af0c75166c58c96e07b6242000b79b6c305bdfda1",
                ),
                (
                    "599a5970f4224f3491d8124e2a0a1b8815c758a55984bb6f6fe8a96c11276f05",
                    "cd7cdaed32075d6d9d1cbca7fd991f1efcaa7645d1bab4d8180e9969415684d3",
                ),
            ],
        ),
        (
            NULLS,
            "a",
            &[(
                "b8845c425b520b9f8dca5a4b086617e8b3d846055cbb377a2f294ecd171613cb",
                "04cd06718a973b45f170197e750eab2b372dad324f40a5239e22cd579550bf80",
            )],
        ),
        (
            EMPTY,
            "a",
            &[(
                "c970618f17fbaa86a787f2aeb46cdbe4f66748b12b279fd1600309b0fb2cbd73",
                "bdf086e375894695c5a81e212125c8b9bd70508a40a880f7743efa3cb83c563e",
            )],
        ),
    ];

    #[test]
    fn layers_are_those_that_docker_saves() {
        for (text, names, expected) in CASES {
            let layers = layers(&config(text, names), &diff_ids(names)).unwrap();
            let hashes = layers.iter().map(|layer| Digest::of(&layer.json));
            let found: Vec<_> = layers.iter().map(|layer| layer.id.as_str()).zip(hashes).collect();
            let found: Vec<_> = found.iter().map(|(id, hash)| (*id, hash.hex())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn layers_below_the_top_say_only_where_they_are_and_what_runs_them() {
        let layers = layers(&config(REPEATS, "ab"), &diff_ids("ab")).unwrap();
        let expected = concat!(
            r#"{"id":"7834722bd671f937423b3a5604c99bf8ffaac25d2a41960160d1b68af1c4007e","#,
            r#""created":"1970-01-01T00:00:00Z","container_config":{"Hostname":"","Domainname":"","User":"","#,
            r#""AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"#,
            r#""StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","#,
            r#""Entrypoint":null,"OnBuild":null,"Labels":null},"os":"linux"}"#,
        );
        assert_eq!(String::from_utf8(layers[0].json.clone()).unwrap(), expected);
        let above = String::from_utf8(layers[1].json.clone()).unwrap();
        assert!(above.starts_with(&format!(r#"{{"id":"{}","parent":"{}","#, layers[1].id, layers[0].id)), "{above}");
    }

    #[test]
    fn no_layers_make_none() {
        assert_eq!(layers(&config(ONE, ""), &[]).unwrap(), []);
    }
}
