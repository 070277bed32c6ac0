//! The same exporter, linked in and as an executable: it passes the same suite, and writes the same bytes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use longshore_core::{BuildResult, ExporterRegistry, OutputSpec, Response, Session, Store};
use longshore_exporter_oci::OciExporter;
use longshore_exporter_tar::TarExporter;
use longshore_external::{ExternalExporter, Plugin};
use longshore_testkit::conformance::{ExporterCase, exporter};
use longshore_testkit::{sample, validate};

/// An executable that cargo built beside this test.
fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap();
    path.ancestors().nth(2).unwrap().join("examples").join(name)
}

fn external(kind: &str) -> ExporterRegistry {
    let plugin = Plugin::new(example(&format!("longshore-exporter-{kind}")));
    ExporterRegistry::default().with(ExternalExporter::new(kind, plugin).unwrap())
}

fn spec(text: &str) -> OutputSpec {
    OutputSpec::parse(text).unwrap().unwrap()
}

#[test]
fn an_executable_that_writes_images_passes_the_suite() {
    exporter(&ExporterCase::new(
        &|| external("oci"),
        &|root: &Path| spec(&format!("type=oci,name=*,dest={}", root.join("a.tar").display())),
        &|root: &Path| validate::layout_tar(&root.join("a.tar")).map(drop).unwrap(),
    ));
}

#[test]
fn an_executable_that_writes_files_passes_the_suite() {
    let check = |root: &Path| assert!(fs::metadata(root.join("a.tar")).unwrap().len() > 0);
    let spec = |root: &Path| spec(&format!("type=tar,dest={}", root.join("a.tar").display()));
    exporter(&ExporterCase::new(&|| external("tar"), &spec, &check).with_images(false));
}

fn export(exporters: &ExporterRegistry, result: &BuildResult, options: &str) -> (Vec<u8>, Response) {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("output");
    let spec = spec(&format!("{options},dest={}", dest.display()));
    let resolved = Session::new(exporters).resolve(&[spec]).unwrap();
    let mut responses =
        resolved.export(result, Store::Spool).unwrap_or_else(|failure| panic!("{}", failure.error.with_causes()));
    let mut response = responses.remove(0);
    response.destination = None;
    (fs::read(dest).unwrap(), response)
}

#[test]
fn both_write_the_same_bytes_and_say_the_same() {
    let linked = || ExporterRegistry::default().with(OciExporter).with(TarExporter);
    let image = |seed| sample::image(seed, 3);
    let two = || BuildResult::new(vec![image(1), image(2)]);
    for (kind, result, options) in [
        ("oci", two(), "type=oci"),
        ("oci", two(), "type=oci,compression=zstd,compression-level=7"),
        ("oci", BuildResult::new(vec![image(3)]), "type=oci,name=example.com/app:1,oci-mediatypes=false"),
        ("oci", BuildResult::new(vec![image(3)]), "type=oci,name=app,annotation.Some.Key=x,source-date-epoch=1000"),
        ("oci", BuildResult::new(vec![image(3)]), "type=oci,name=app,annotation-manifest.a=1,annotation.a=2"),
        ("oci", BuildResult::new(vec![image(3)]), "type=oci,name=app,annotation.a=2,annotation-manifest.a=1"),
        ("tar", BuildResult::new(vec![image(4)]), "type=tar"),
        (
            "tar",
            BuildResult::new(vec![image(4)]),
            "type=tar,include=**/*a*,chown=1:2,source-date-epoch=7,compression=gzip",
        ),
    ] {
        let (own, others) = (export(&linked(), &result, options), export(&external(kind), &result, options));
        assert_eq!(own.1, others.1, "{options}");
        assert!(own.0 == others.0, "{options}: other bytes");
    }
}

#[test]
fn both_describe_themselves_alike_and_refuse_the_same() {
    let linked = ExporterRegistry::default().with(OciExporter).with(TarExporter);
    for kind in ["oci", "tar"] {
        let external = external(kind);
        let mut info = external.get(kind).unwrap().info();
        assert!(info.program.take().is_some());
        assert_eq!(info, linked.get(kind).unwrap().info());
        for options in ["no-such=1", "compression=lz4", "compression=gzip,compression-level=99", "name"] {
            let spec = spec(&format!("type={kind},{options}=,dest=/tmp/x"));
            let refused = |exporters: &ExporterRegistry| {
                let error = exporters.resolve(kind, &spec.attrs).err()?;
                Some((error.kind(), error.with_causes(), error.hint().map(str::to_owned)))
            };
            assert_eq!(refused(&external), refused(&linked), "{kind}, {options}");
        }
    }
}
