//! probe
use longshore_core::*;
use longshore_testkit::sample::{self, ExistingOptions};
use longshore_testkit::validate;

#[test]
fn probe_recompress_many() {
    let place = tempfile::tempdir().unwrap();
    let images: Vec<_> = (0..6).map(|s| sample::existing(100 + s * 1000, &ExistingOptions::default())).collect();
    let result = sample::result(images);
    let before: Vec<Vec<String>> = result.images.iter().map(|i| match &i.content {
        ImageContent::Existing(e) => validate::image(e.provider.as_ref(), &e.root).unwrap().images[0].layers.iter().map(|l| l.diff_id.short().to_owned()).collect(),
        _ => unreachable!(),
    }).collect();
    let registry = ExporterRegistry::default().with(crate::tiny::TinyExporter);
    let spec = OutputSpec::parse(&format!("type=tiny,force-compression=true,dest={}", place.path().join("a.tar").display())).unwrap().unwrap();
    Session::new(&registry, Store::Spool).resolve(&[spec]).unwrap().export(&result).unwrap();
    let after: Vec<Vec<String>> = validate::layout_tar(&place.path().join("a.tar")).unwrap().images.iter().map(|i| i.layers.iter().map(|l| l.diff_id.short().to_owned()).collect()).collect();
    assert_eq!(before, after);
}
