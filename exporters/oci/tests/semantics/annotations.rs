//! Annotations: four targets, for all platforms and for one, from options and from the frontend.

use std::collections::BTreeMap;

use longshore_core::oci::{Descriptor, Index, Manifest, MediaType};
use longshore_core::{Built, ImageContent};
use longshore_testkit::sample::{self, ExistingOptions};

use super::{export, refusal};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// C `testExportAnnotations`.
#[test]
fn export_annotations() {
    let options = "annotation.Gm=generic,annotation[linux/arm64].pm=one,annotation-manifest.both=generic,\
                   annotation-manifest[linux/amd64].both=amd64,annotation-index.Gi=index,annotation-index-descriptor.gid=x,\
                   annotation-manifest-descriptor.gmd=all,annotation-manifest-descriptor[linux/arm64/v8].pmd=arm64";
    let layout = export(vec![sample::multi_platform(3, 2)], options);
    layout.check_complete();
    assert_eq!(layout.entry().annotations.get("gid").unwrap(), "x");
    let index = layout.index();
    assert_eq!(index.annotations, map(&[("Gi", "index")]));
    let [amd64, arm64] = &index.manifests[..] else { panic!("two platforms") };
    assert_eq!(amd64.annotations, map(&[("gmd", "all")]));
    assert_eq!(arm64.annotations, map(&[("gmd", "all"), ("pmd", "arm64")]));
    let annotations = |listed: &Descriptor| layout.read::<Manifest>(&listed.digest).annotations;
    assert_eq!(annotations(amd64), map(&[("Gm", "generic"), ("both", "amd64")]));
    assert_eq!(annotations(arm64), map(&[("Gm", "generic"), ("both", "generic"), ("pm", "one")]));
}

#[test]
fn options_go_over_the_annotations_of_the_frontend() {
    let mut image = sample::multi_platform(3, 2);
    image.index_annotations = map(&[("a", "frontend"), ("b", "frontend")]);
    image.index_descriptor_annotations = map(&[("c", "frontend")]);
    let ImageContent::Built(Built::Platforms(platforms)) = &mut image.content else { panic!("it is built") };
    for artifact in platforms.values_mut() {
        artifact.annotations = map(&[("m", "frontend"), ("n", "frontend")]);
        artifact.descriptor_annotations = map(&[("d", "frontend")]);
    }
    let layout = export(vec![image], "annotation-index.a=option,annotation[linux/amd64].m=option");
    let index = layout.index();
    assert_eq!(index.annotations, map(&[("a", "option"), ("b", "frontend")]));
    assert_eq!(layout.entry().annotations.get("c").unwrap(), "frontend");
    let manifests = index.manifests.iter();
    let found: Vec<_> = manifests.map(|listed| layout.read::<Manifest>(&listed.digest).annotations).collect();
    let frontend = map(&[("m", "frontend"), ("n", "frontend")]);
    assert_eq!(found, [map(&[("m", "option"), ("n", "frontend")]), frontend]);
    assert!(index.manifests.iter().all(|listed| listed.annotations == map(&[("d", "frontend")])));
}

/// Options with `-manifest` won over those without, wherever they were written.
#[test]
fn the_later_of_two_spellings_counts() {
    for (options, expected) in [
        ("annotation-manifest.a=first,annotation.a=later", "later"),
        ("annotation.a=first,annotation-manifest.a=later", "later"),
        ("annotation[linux/amd64].a=one,annotation-manifest.a=all", "one"),
        ("annotation-manifest[linux/amd64].a=first,annotation[linux/amd64].a=later", "later"),
    ] {
        let layout = export(vec![sample::image(1, 1)], options);
        assert_eq!(layout.manifest().annotations, map(&[("a", expected)]), "{options}");
    }
}

/// C `testExportAnnotationsMediaTypes`, and what a single manifest has no place for.
#[test]
fn export_annotations_media_types() {
    let one = || vec![sample::image(1, 1)];
    let layout = export(one(), "annotation.a=1,annotation-manifest-descriptor.b=2");
    assert_eq!(layout.manifest().annotations, map(&[("a", "1")]));
    assert_eq!(layout.entry().annotations.get("b").unwrap(), "2");
    assert_eq!(layout.entry().media_type.as_str(), "application/vnd.oci.image.manifest.v1+json");
    let docker = export(one(), "annotation.a=1,oci-mediatypes=false");
    assert_eq!(docker.manifest().annotations, map(&[("a", "1")]));
    for (options, expected) in [
        ("annotation-index.a=1", "index annotations not supported for single platform export"),
        ("annotation-index-descriptor.a=1", "index annotations not supported for single platform export"),
        ("annotation[linux/s390x].a=1", "invalid annotation: no platform linux/s390x found in source"),
        ("oci-mediatypes=false,annotation-index.a=1", "cannot export annotations with \"oci-mediatypes=false\""),
        (
            "oci-mediatypes=false,annotation-manifest-descriptor.a=1",
            "cannot export annotations with \"oci-mediatypes=false\"",
        ),
        ("annotation-index[linux/amd64].a=1", "expected annotation-index.KEY"),
        ("anotation.a=1", "has no option `anotation.a`"),
    ] {
        let found = refusal(one(), options);
        assert!(found.contains(expected), "{options}: {found}");
    }
}

/// An index that exists keeps its manifests where only the index, or a descriptor in it, is annotated.
#[test]
fn an_existing_index_is_annotated_without_other_manifests() {
    let image = || sample::existing(5, &ExistingOptions { platforms: 2, ..ExistingOptions::default() });
    let before = export(vec![image()], "").index();
    let layout = export(vec![image()], "annotation-index.a=1,annotation-manifest-descriptor[linux/arm64].b=2");
    layout.check_complete();
    let after: Index = layout.index();
    assert_eq!(after.annotations, map(&[("a", "1")]));
    assert_eq!(after.unknown, before.unknown, "fields that nobody knows stay");
    let digests = |index: &Index| index.manifests.iter().map(|listed| listed.digest.clone()).collect::<Vec<_>>();
    assert_eq!(digests(&after), digests(&before));
    assert_eq!(after.manifests[0].annotations, before.manifests[0].annotations);
    assert_eq!(after.manifests[1].annotations.get("b").unwrap(), "2");
    let found = refusal(vec![image()], "annotation-manifest-descriptor[linux/s390x].b=2");
    assert!(found.contains("no platform linux/s390x found in source"), "{found}");
}

/// The annotations of an index were left out where its manifests changed.
#[test]
fn the_manifests_of_an_existing_index_are_annotated() {
    let image = || sample::existing(5, &ExistingOptions { platforms: 2, ..ExistingOptions::default() });
    let annotated = export(vec![image()], "annotation-index.kept=yes");
    let layout = export(annotated.images(), "annotation[linux/arm64].a=1");
    layout.check_complete();
    let index = layout.index();
    assert_eq!(index.annotations, map(&[("kept", "yes")]));
    let manifests: Vec<Manifest> = index.manifests.iter().map(|listed| layout.read(&listed.digest)).collect();
    assert_eq!(manifests[0].annotations, map(&[("example.sample", "existing")]));
    assert_eq!(manifests[1].annotations, map(&[("a", "1"), ("example.sample", "existing")]));
}

/// A manifest list of Docker got annotations, which its type does not have.
#[test]
fn dockers_manifest_lists_are_not_annotated() {
    let list = || sample::existing(5, &ExistingOptions { platforms: 2, docker: true, ..ExistingOptions::default() });
    let expected = "cannot export annotations with \"oci-mediatypes=false\"";
    for options in ["annotation-index.a=1", "annotation-manifest-descriptor.a=1", "annotation-index-descriptor.a=1"] {
        let found = refusal(vec![list()], options);
        assert!(found.contains(expected), "{options}: {found}");
    }
    let mut image = list();
    image.index_annotations = map(&[("a", "frontend")]);
    let found = refusal(vec![image], "");
    assert!(found.contains(expected), "{found}");
    // Converted, it has a place for them.
    let layout = export(vec![list()], "annotation-index.a=1,oci-mediatypes=true");
    layout.check_complete();
    assert_eq!((layout.entry().media_type, layout.index().annotations), (MediaType::INDEX, map(&[("a", "1")])));
}

/// An index that becomes a manifest list of Docker kept its annotations.
#[test]
fn annotations_of_an_index_are_left_out_of_dockers_lists() {
    let options = ExistingOptions { platforms: 2, ..ExistingOptions::default() };
    let annotated = "annotation-index.a=1,annotation-manifest-descriptor.b=2,annotation-index-descriptor.c=3";
    let annotated = export(vec![sample::existing(5, &options)], annotated);
    let layout = export(annotated.images(), "oci-mediatypes=false");
    layout.check_complete();
    assert_eq!(layout.entry().media_type, MediaType::DOCKER_LIST);
    let list = layout.index();
    assert!(list.annotations.is_empty() && list.manifests.iter().all(|listed| listed.annotations.is_empty()));
    let manifest: Manifest = layout.read(&list.manifests[0].digest);
    assert_eq!(manifest.annotations, map(&[("example.sample", "existing")]));
    let expected = "the annotations of an index and its entries are left out";
    assert_eq!(layout.warnings.iter().filter(|text| text.starts_with(expected)).count(), 1, "{:?}", layout.warnings);
}
