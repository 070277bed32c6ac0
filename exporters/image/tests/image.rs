//! Names, media types, and options that do not fit.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;

use longshore_core::content::{ContentStore, ImageStore, MemoryStore, StoredImage, read};
use longshore_core::oci::{MANIFEST_LIMIT, MediaType, parse_index, parse_manifest};
use longshore_core::{BuildResult, Error, ErrorKind, ExporterRegistry, Image, OutputSpec, Response, Session, Store};
use longshore_exporter_image::ImageExporter;
use longshore_testkit::sample::{self, ExistingOptions};

fn export_to(store: &Arc<MemoryStore>, output: &str, images: Vec<Image>) -> Result<Response, Error> {
    let registry = ExporterRegistry::default().with(ImageExporter);
    let session = Session::new(&registry);
    let spec = OutputSpec::parse(output).unwrap().unwrap();
    let result = BuildResult::new(images);
    Ok(session.resolve(&[spec])?.export(&result, Store::Images(store.clone()))?.remove(0))
}

fn names(store: &MemoryStore) -> Vec<String> {
    store.images().unwrap().into_iter().map(|(name, _)| name.to_string()).collect()
}

#[test]
fn an_image_gets_the_names_that_the_options_say() {
    let expected = |texts: &[&str], digest: &str| -> Vec<String> {
        texts.iter().map(|text| text.replace("DIGEST", digest)).collect()
    };
    for (options, texts) in [
        ("name=app:1", &["docker.io/library/app:1"][..]),
        ("\"name=b:2,a:1\"", &["docker.io/library/b:2", "docker.io/library/a:1"]),
        ("name=*", &["example.com/own:1", "example.com/own:2"]),
        ("", &[]),
        ("name=app:1,name-canonical=true", &["docker.io/library/app:1", "docker.io/library/app:1@DIGEST"]),
        ("name=app:1,dangling-name-prefix=cache", &["docker.io/library/app:1", "docker.io/library/cache@DIGEST"]),
        (
            "name=app:1,dangling-name-prefix=cache,name-canonical=true",
            &["docker.io/library/app:1", "docker.io/library/cache@DIGEST", "docker.io/library/app:1@DIGEST"],
        ),
        ("dangling-name-prefix=cache,name-canonical=true", &["docker.io/library/cache@DIGEST"]),
        ("name=app:1,dangling-name-prefix=cache,dangling-name-empty-only=true", &["docker.io/library/app:1"]),
        ("name=app:1,dangling-name-prefix=cache,danging-name-empty-only=true", &["docker.io/library/app:1"]),
        ("dangling-name-prefix=cache,dangling-name-empty-only=true", &["docker.io/library/cache@DIGEST"]),
    ] {
        let store = Arc::new(MemoryStore::default());
        let names_of_image = ["example.com/own:1", "example.com/own:2"].map(|name| name.parse().unwrap());
        let image = sample::image(1, 2).with_names(names_of_image.to_vec());
        let response =
            export_to(&store, &["type=image", options].join(if options.is_empty() { "" } else { "," }), vec![image])
                .unwrap();
        let image = &response.images[0];
        let expected = expected(texts, &image.root.digest.to_string());
        assert_eq!(image.names, expected, "{options}");
        let mut sorted = expected;
        sorted.sort();
        assert_eq!(names(&store), sorted, "{options}");
        let all_are = store.images().unwrap().iter().all(|(_, stored)| stored.root.digest == image.root.digest);
        assert!(all_are && image.config.is_some() && store.info(&image.root.digest).unwrap().is_some(), "{options}");
    }
}

#[test]
fn media_types_are_those_that_were_asked_for() {
    let kinds =
        [(0, &MediaType::MANIFEST, &MediaType::DOCKER_MANIFEST), (2, &MediaType::INDEX, &MediaType::DOCKER_LIST)];
    for (platforms, oci, docker) in kinds {
        let existing = |docker| {
            let options = ExistingOptions { platforms, docker, ..ExistingOptions::default() };
            vec![sample::existing(1, &options)]
        };
        let made = || vec![if platforms == 0 { sample::image(1, 2) } else { sample::multi_platform(1, platforms) }];
        for (option, images, expected) in [
            ("", made(), oci),
            (",oci-mediatypes=true", made(), oci),
            (",oci-mediatypes=false", made(), docker),
            ("", existing(true), docker),
            (",oci-mediatypes=false", existing(true), docker),
            (",oci-mediatypes=true", existing(true), oci),
            ("", existing(false), oci),
            (",oci-mediatypes=true", existing(false), oci),
            (",oci-mediatypes=false", existing(false), docker),
        ] {
            let store = Arc::new(MemoryStore::default());
            let response = export_to(&store, &format!("type=image,name=app:1{option}"), images).unwrap();
            let root = &response.images[0].root;
            assert_eq!(&root.media_type, expected, "{option}");
            let bytes = read(store.as_ref(), root, MANIFEST_LIMIT).unwrap();
            let manifest = if root.media_type.is_index() {
                let child = parse_index(root, &bytes).unwrap().manifests.remove(0);
                parse_manifest(&child, &read(store.as_ref(), &child, MANIFEST_LIMIT).unwrap()).unwrap()
            } else {
                parse_manifest(root, &bytes).unwrap()
            };
            let is_docker = expected.as_str().contains("docker");
            for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
                assert_eq!(blob.media_type.as_str().contains("docker"), is_docker, "{option}: {}", blob.media_type);
            }
        }
    }
}

#[test]
fn referrers_travel_along() {
    let store = Arc::new(MemoryStore::default());
    let options = ExistingOptions { referrer: true, ..ExistingOptions::default() };
    export_to(&store, "type=image,name=app:1", vec![sample::existing(1, &options)]).unwrap();
    let StoredImage { referrers, .. } = store.image(&"app:1".parse().unwrap()).unwrap().unwrap();
    assert_eq!(referrers.len(), 1);
    assert!(store.info(&referrers[0].digest).unwrap().is_some());
}

#[test]
fn options_that_do_not_fit_are_refused_before_the_build() {
    let cases = [
        ("store=false", ErrorKind::InvalidOption, "exports nothing", "leave out store=false"),
        ("dangling-name-empty-only=true", ErrorKind::InvalidOption, "without a prefix", "dangling-name-prefix"),
        (
            "dangling-name-prefix=a,dangling-name-empty-only=true,danging-name-empty-only=false",
            ErrorKind::InvalidOption,
            "contradict each other",
            "give only one",
        ),
        ("dangling-name-prefix=UPPER", ErrorKind::InvalidOption, "dangling-name-prefix: `UPPER`", ""),
        ("push=true", ErrorKind::InvalidOption, "a push needs a name", "name=*"),
        ("push=true,store=false", ErrorKind::InvalidOption, "a push needs a name", "name=*"),
        ("push-by-digest=true", ErrorKind::InvalidOption, "without push=true does nothing", "add push=true"),
        ("registry.insecure=true", ErrorKind::InvalidOption, "without push=true does nothing", "add push=true"),
        (
            "name=a:1,push=true,push-by-digest=true",
            ErrorKind::InvalidOption,
            "can't push tagged ref",
            "leave out the tag",
        ),
        ("name=a,push=true,push-streaming=true", ErrorKind::InvalidOption, "the image store keeps", "add store=false"),
        ("name=app:1,push=true", ErrorKind::Unsupported, "cannot push to registries", ""),
        ("name=app:1,unpack=true", ErrorKind::Unsupported, "has no snapshots", "leave out unpack"),
        ("unpack=true,name=a,store=false", ErrorKind::InvalidOption, "needs the image store", "leave out store=false"),
        ("unpack=true", ErrorKind::InvalidOption, "without a name", "add name=NAME"),
        (
            "rewrite-timestamp=true",
            ErrorKind::InvalidOption,
            "without an epoch would change nothing",
            "source-date-epoch",
        ),
        (
            "oci-artifact=true,oci-mediatypes=false",
            ErrorKind::InvalidOption,
            "\"oci-artifact=true\" conflicts with \"oci-mediatypes=false\"",
            "leave out one of them",
        ),
        ("annotation-index.a=1", ErrorKind::InvalidOption, "index annotations not supported", "annotation.KEY"),
    ];
    for (options, kind, message, hint) in cases {
        let store = Arc::new(MemoryStore::default());
        let error = export_to(&store, &format!("type=image,{options}"), vec![sample::image(1, 1)]).unwrap_err();
        assert_eq!(error.kind(), kind, "{options}: {error}");
        assert!(error.with_causes().contains(message), "{options}: {}", error.with_causes());
        assert!(error.hint().unwrap_or_default().contains(hint), "{options}: {:?}", error.hint());
    }
    for options in ["push=false", "unpack=false,store=true", "rewrite-timestamp=false", "attestation-inline=true"] {
        let store = Arc::new(MemoryStore::default());
        export_to(&store, &format!("type=image,name=a,{options}"), vec![sample::image(1, 1)]).unwrap();
    }
}

#[test]
fn without_an_image_store_there_is_no_such_output() {
    let registry = ExporterRegistry::default().with(ImageExporter);
    let resolve = |output| Session::new(&registry).resolve(&[OutputSpec::parse(output).unwrap().unwrap()]);
    let result = sample::result(vec![sample::image(1, 1)]);
    for store in [Store::Spool, Store::Given(Arc::new(MemoryStore::default()))] {
        let resolved = resolve("type=image,name=a").unwrap();
        assert!(resolved.needs_image_store());
        assert_eq!(resolved.plan(&result).unwrap().len(), 1, "a plan needs no store");
        let checked = resolved.check_store(&store).unwrap_err();
        for error in [checked, resolved.export(&result, store).unwrap_err().error] {
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert_eq!(error.message(), "type=image: there is no image store in this run");
            assert!(error.hint().unwrap().starts_with("use an image store, or "), "{:?}", error.hint());
        }
    }
    let error = resolve("type=image,name=a,dest=x").unwrap_err();
    assert_eq!(error.message(), "type=image: it has no destination: leave out `dest`");
    assert!(!resolve("type=image,name=a,store=false,push=true").unwrap().needs_image_store());
}
