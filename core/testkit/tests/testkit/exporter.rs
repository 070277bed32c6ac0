//! The suite of exporters over the smallest one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_testkit::conformance::{self, ExporterCase};
use longshore_testkit::validate;

use crate::tiny::{HastyExporter, TinyExporter};

fn registry() -> ExporterRegistry {
    ExporterRegistry::default().with(TinyExporter)
}

fn spec(place: &Path, name: &str, options: &str) -> OutputSpec {
    OutputSpec::parse(&format!("type=tiny,dest={}{options}", place.join(name).display())).unwrap().unwrap()
}

#[test]
fn archive() {
    conformance::exporter(&ExporterCase::new(&registry, &|place| spec(place, "image.tar", ""), &|place| {
        drop(validate::layout_tar(&place.join("image.tar")).unwrap())
    }));
}

#[test]
fn directory() {
    conformance::exporter(&ExporterCase::new(
        &registry,
        &|place| spec(place, "layout", ",tar=false,compression=zstd"),
        &|place| drop(validate::layout_dir(&place.join("layout")).unwrap()),
    ));
}
/// A suite that everything passes proves nothing.
#[test]
fn a_hasty_exporter_fails() {
    let case = ExporterCase::new(
        &|| ExporterRegistry::default().with(HastyExporter),
        &|place| OutputSpec::parse(&format!("type=hasty,dest={}/out", place.display())).unwrap().unwrap(),
        &|_| {},
    )
    .with_images(false);
    let passes = ["resolving does no I/O", "odd images are exported", "the response says what was written"];
    // Those that only exporters of images are asked.
    let skipped = ["layers are read once", "existing images pass verbatim", "images keep their own layers"];
    for (name, check) in conformance::EXPORTER_CASES {
        let passed = catch_unwind(AssertUnwindSafe(|| check(&case))).is_ok();
        assert_eq!(passed, passes.contains(name) || skipped.contains(name), "{name}");
    }
    let panic = catch_unwind(AssertUnwindSafe(|| conformance::exporter(&case))).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("- a failing sibling leaves nothing: "), "{message}");
}
