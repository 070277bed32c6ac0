//! Two layouts of the same image: what differs must be listed.

use std::collections::BTreeSet;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use longshore_core::compression::decoder;
use longshore_core::oci::Digest;
use serde_json::Value;

use super::case::Case;
use super::differences::{Difference, OF_INDEX_JSON};
use super::layout::Layout;
use super::{cases, exported};
use crate::run::Workdir;

/// Documents are compared from the leaves up. A blob that may differ, such as a compressed layer, is put into the
/// documents above it as `BuildKit` has it, so that those must be equal byte for byte.
#[derive(Debug)]
pub struct Comparison<'a> {
    case: &'a Case,
    ours: &'a Layout,
    theirs: &'a Layout,
    put_in: Vec<PutIn>,
    differences: BTreeSet<&'static str>,
    /// The digests of ours that were compared.
    compared: BTreeSet<String>,
}

/// Our descriptor of a blob, and that of `BuildKit`.
#[derive(Debug)]
struct PutIn {
    ours: (String, u64),
    theirs: (String, u64),
}

impl<'a> Comparison<'a> {
    pub fn new(case: &'a Case, ours: &'a Layout, theirs: &'a Layout) -> Self {
        let (put_in, differences, compared) = Default::default();
        Self { case, ours, theirs, put_in, differences, compared }
    }

    /// Fails where anything differs. Returns how many descriptors were put in.
    pub fn finish(mut self) -> usize {
        self.blob(&self.ours.root(), &self.theirs.root());
        // One entry a name, of the same image.
        let theirs = OF_INDEX_JSON
            .iter()
            .fold(self.theirs.index_json(), |text, difference| text.replace(difference.theirs, difference.ours));
        self.assert_same("index.json", &self.put_into(self.ours.index_json()), &theirs);
        let [ours, theirs] = [self.ours, self.theirs].map(|layout| layout.manifest_json().unwrap_or_default());
        self.assert_same("manifest.json", &self.put_into(ours), &theirs);
        assert_eq!(self.compared.iter().collect::<Vec<_>>(), self.ours.blobs().iter().collect::<Vec<_>>());
        assert_eq!(self.compared.len(), self.theirs.blobs().len(), "{:?}", self.theirs.blobs());
        for difference in self.case.differences {
            assert!(self.differences.contains(difference.theirs), "there is no {difference:?} any more");
        }
        self.put_in.len()
    }

    /// A blob, and all below it.
    fn blob(&mut self, ours: &Value, theirs: &Value) {
        if !self.compared.insert(text(&ours["digest"])) {
            return;
        }
        assert_eq!(ours["mediaType"], theirs["mediaType"], "{}", self.case.name);
        let kind = text(&ours["mediaType"]);
        if is_layer(&kind) {
            assert_eq!(self.diff_id(self.ours, ours), self.diff_id(self.theirs, theirs), "{}: {ours}", self.case.name);
        } else {
            self.document(&kind, ours, theirs);
        }
        let put_in = PutIn { ours: identity(ours), theirs: identity(theirs) };
        if put_in.ours != put_in.theirs {
            self.put_in.push(put_in);
        }
    }

    fn document(&mut self, kind: &str, ours: &Value, theirs: &Value) {
        let [of_ours, of_theirs] = [(self.ours, ours), (self.theirs, theirs)].map(|(layout, descriptor)| {
            let bytes = String::from_utf8(layout.blob(descriptor)).unwrap();
            let value: Value = serde_json::from_str(&bytes).unwrap();
            (bytes, value)
        });
        let (below_ours, below_theirs) = (below(&of_ours.1), below(&of_theirs.1));
        let name = self.case.name;
        assert_eq!(below_ours.len(), below_theirs.len(), "{name}:\n{}\n{}", of_ours.0, of_theirs.0);
        for (ours, theirs) in below_ours.into_iter().zip(below_theirs) {
            self.blob(ours, theirs);
        }
        let mut text = self.put_into(of_ours.0);
        for pointer in self.case.put_in {
            if let (Some(ours), Some(theirs)) = (of_ours.1.pointer(pointer), of_theirs.1.pointer(pointer)) {
                text = text.replace(&ours.to_string(), &theirs.to_string());
            }
        }
        let theirs = self.without_differences(of_theirs.0);
        self.assert_same(kind, &text, &theirs);
    }

    /// A text of ours with `BuildKit`'s descriptors of the blobs below.
    fn put_into(&self, mut text: String) -> String {
        for PutIn { ours, theirs } in &self.put_in {
            let [ours_hex, hex] = [&ours.0, &theirs.0].map(|digest| digest.split_once(':').unwrap().1);
            text = text.replace(ours_hex, hex);
            // On one line, and in lists and elsewhere on several.
            for between in ["\",\"size\":", "\",\n      \"size\": ", "\",\n    \"size\": "] {
                text = text.replace(&format!("{hex}{between}{}", ours.1), &format!("{hex}{between}{}", theirs.1));
            }
        }
        text
    }

    fn without_differences(&mut self, mut text: String) -> String {
        for difference in self.case.differences {
            let Difference { theirs, ours, .. } = difference;
            if text.contains(theirs) {
                self.differences.insert(theirs);
                text = text.replace(theirs, ours);
            }
        }
        text
    }

    fn diff_id(&self, layout: &Layout, descriptor: &Value) -> Digest {
        let blob = layout.blob(descriptor);
        let mut tar = Vec::new();
        decoder(Box::new(&blob[..])).unwrap().1.read_to_end(&mut tar).unwrap();
        Digest::of(&tar)
    }

    fn assert_same(&self, what: &str, ours: &str, theirs: &str) {
        assert!(ours == theirs, "{}: {what}\nours:\n{ours}\nBuildKit's:\n{theirs}", self.case.name);
    }
}

/// The descriptors in a document, in the order in which those above name those before.
fn below(document: &Value) -> Vec<&Value> {
    let list = |key: &str| document[key].as_array().into_iter().flatten();
    let one = |key: &str| Some(&document[key]).filter(|descriptor| descriptor["digest"].is_string());
    list("manifests").chain(list("layers")).chain(one("config")).chain(one("subject")).collect()
}

fn is_layer(media_type: &str) -> bool {
    media_type.contains("image.layer.") || media_type.contains("image.rootfs.")
}

fn identity(descriptor: &Value) -> (String, u64) {
    (text(&descriptor["digest"]), descriptor["size"].as_u64().unwrap())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text")).to_owned()
}

#[test]
fn the_comparison_sees_what_differs() {
    let work = Workdir::new();
    let case = Case { output: &["compression-level=1"], ..cases::GZIP };
    case.write_context(&work.path("context"));
    let exported = |name: &str, case: Case| Layout::unpack(&exported::export(&case, &work), &work.path(name));
    let ours = exported("ours", case);
    let same = exported("same", Case { output: &["compression-level=9"], ..case });
    // Both layers with files, and the documents above them.
    assert_eq!(Comparison::new(&case, &ours, &same).finish(), 4);
    let config = r#"{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}"#;
    let others = [
        exported("other config", Case { config, ..case }),
        exported("other types", Case { output: &["oci-mediatypes=false"], ..case }),
        exported("other name", Case { names: &["example.com/app:2"], ..case }),
        exported("other layers", Case { steps: &case.steps[2..], ..case }),
        exported("other platforms", Case { platforms: &["linux/amd64", "linux/arm64"], ..case }),
    ];
    for other in &others {
        let compared = catch_unwind(AssertUnwindSafe(|| Comparison::new(&case, &ours, other).finish()));
        assert!(compared.is_err(), "{other:?} is the same as {ours:?}");
    }
}
