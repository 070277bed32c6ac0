//! `import` reads a pipe and `docker-archive:` a file: both accept the same archives and find the same images.

use longshore_core::content::MemoryStore;
use longshore_core::image::take_apart;
use longshore_core::oci::{Descriptor, Digest, ImageConfig, Index, Manifest, MediaType, Platform, json};
use longshore_core::{FrontendContext, FrontendRegistry, ImageContent, Result, Source, Work};
use longshore_frontend_archive::{ArchiveFrontend, Import, Imported};
use longshore_testkit::Warnings;
use longshore_testkit::sample::{ExistingOptions, TarOptions, tar_bytes};

use super::{Files, NAME, docker, existing, layout, replaced, tar, with, with_links, without};

/// The roots of the images that were read, their names, and the warnings.
type Read = (Vec<Digest>, Vec<String>, Vec<String>);

fn imported(archive: &[u8]) -> Result<Read> {
    imported_by(|import| import.archive(archive))
}

fn imported_by(import: impl Fn(Import<'_>) -> Result<Vec<Imported>>) -> Result<Read> {
    let (work, warnings) = Warnings::listen();
    let imported = import(Import { store: &MemoryStore::default(), name: None, work: &work })?;
    let mut roots: Vec<Digest> = imported.iter().map(|imported| imported.image.root.digest.clone()).collect();
    roots.dedup();
    let names = imported.iter().map(|imported: &Imported| imported.name.to_string()).collect();
    Ok((roots, names, warnings.messages()))
}

fn exported(scheme: &str, archive: &[u8]) -> Result<Read> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    std::fs::write(&path, archive).unwrap();
    images_of(scheme, path.to_str().unwrap())
}

fn images_of(scheme: &str, value: &str) -> Result<Read> {
    let (work, warnings) = Warnings::listen();
    let frontends = FrontendRegistry::default().with(ArchiveFrontend);
    let source = Source::new(scheme, value);
    let images = frontends.resolve(&source)?.build(&FrontendContext::new(&frontends, work.clone()))?;
    let names = images.iter().flat_map(|image| &image.names).map(ToString::to_string).collect();
    let root = |content| match content {
        ImageContent::Existing(existing) => {
            take_apart(&existing, &Work::default()).unwrap();
            existing.root.digest
        }
        ImageContent::Built(_) => unreachable!("the images of an archive exist"),
    };
    let roots = images.into_iter().map(|image| root(image.content)).collect();
    Ok((roots, names, warnings.messages()))
}

/// Unpacks an archive as the directory of a layout.
fn directory(files: &Files) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    directory
}

/// Reads a layout with each of the commands and sources that can.
fn all(files: &Files) -> [Result<Read>; 5] {
    let archive = tar(files);
    let directory = directory(files);
    let [import, docker] = both(&archive);
    [
        import,
        docker,
        exported("oci-archive", &archive),
        images_of("oci", directory.path().to_str().unwrap()),
        imported_by(|import| import.directory(directory.path())),
    ]
}

fn both(archive: &[u8]) -> [Result<Read>; 2] {
    [imported(archive), exported("docker-archive", archive)]
}

/// What archivers, desktops and version control leave in an archive. Some begin as layers in other formats do.
#[test]
fn odd_files_are_ignored_by_both_readers() {
    let image = existing(1, &ExistingOptions::default());
    let new = layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]);
    let (mut old, links, _) = docker(false);
    old.retain(|(path, _)| path != "repositories");
    let large = vec![b'B'; (1 << 20) + 1];
    let upper = format!("blobs/sha256/{}", "A".repeat(64));
    // Nothing refers to them, so that their content does not matter.
    let damaged = Digest::of(b"something else").layout_path();
    let large_damaged = format!("blobs/sha512/{}", "0f".repeat(64));
    let beside = format!("{}.tar.gz", image.root.digest.layout_path());
    let odd: [(&str, &[u8]); 16] = [
        ("blobs/sha256/._0", b"\0\x05\x16\x07"),
        ("blobs/sha256/.gitkeep", b""),
        (".DS_Store", b"\0\0\0\x01Bud1"),
        ("blobs/Thumbs.db", b"x"),
        ("blobs/sha256/a/b", b"x"),
        ("blobs/md5/00000000000000000000000000000000", b"x"),
        ("blobs/sha256", b"a file in place of a directory"),
        (&upper, b"x"),
        (&beside, b"\x1f\x8b"),
        ("README.xz", b"\xfd7zXZ\0"),
        ("notes.bz2", b"BZh9"),
        ("large.bz2", &[b"BZh9", &large[..]].concat()),
        ("blobs/sha256/large.tar.gz", &large),
        ("VERSION", b"1.0"),
        (&damaged, b"\x1f\x8b"),
        (&large_damaged, &large),
    ];
    for good in [tar(&new), with_links(&old, &links)] {
        let [expected, also] = both(&good).map(Result::unwrap);
        assert_eq!(expected, also);
        for (path, content) in odd {
            let odd = tar(&vec![(path.to_owned(), content.to_vec())]);
            // An archive ends in two empty blocks.
            let archive = [&odd[..odd.len() - 1024], &good].concat();
            for found in both(&archive) {
                assert_eq!(found.unwrap_or_else(|error| panic!("{path}: {}", error.with_causes())), expected, "{path}");
            }
        }
    }
}

/// The index of a layout may list anything (image-spec, image-layout.md, "index.json file"): one unknown entry made the
/// whole layout unusable.
#[test]
fn entries_of_a_layout_that_are_no_images_are_left_out() {
    let image = existing(1, &ExistingOptions::default());
    let note = Descriptor::of(MediaType::from("application/vnd.example.notes+json".to_owned()), b"{}");
    // One under the name of the image, one without any.
    let others = [note.clone().annotated(NAME, "example.com/app:1"), note.clone()];
    let listed =
        |entries: &[Descriptor]| with(&layout(&[&image], entries.to_vec()), &[(&note.digest.layout_path(), b"{}")]);
    let named = image.root.clone().annotated(NAME, "example.com/app:1");
    let expected = (vec![image.root.digest.clone()], vec!["example.com/app:1".to_owned()]);
    let named = std::slice::from_ref(&named);
    for entries in [[&others[..1], named].concat(), [named, &others].concat()] {
        for found in all(&listed(&entries)) {
            let (roots, names, warnings) = found.unwrap();
            assert_eq!((roots, names), expected);
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains("`application/vnd.example.notes+json`"), "{warnings:?}");
        }
    }
    for found in all(&listed(&others)) {
        let error = found.unwrap_err().with_causes();
        assert!(error.ends_with("there is no image in it"), "{error}");
    }
    let path = directory(&listed(&others));
    let error = images_of("oci", &format!("{}:example.com/app:1", path.path().display())).unwrap_err().with_causes();
    assert!(error.ends_with("`example.com/app:1` is a `application/vnd.example.notes+json`, not an image"), "{error}");
}

/// A tarball of Docker 25 without its index, and the manifest that its layout should have.
fn docker_25() -> (Files, Manifest) {
    let layer = tar_bytes(3, TarOptions::default());
    let mut config = ImageConfig::new(&Platform::new("linux", "s390x", None));
    config.set_diff_ids(vec![Digest::of(&layer); 2]);
    let config = config.to_bytes().unwrap();
    let descriptor = Descriptor::of(MediaType::layer(longshore_core::compression::Algorithm::Uncompressed), &layer);
    let manifest = Manifest::new(Descriptor::of(MediaType::CONFIG, &config), vec![descriptor; 2]);
    let [config_path, layer_path] = [&config, &layer].map(|bytes| Digest::of(bytes).layout_path());
    let described = serde_json::json!([{
        "Config": config_path, "RepoTags": ["example.com/app:25"], "Layers": [layer_path, layer_path],
    }]);
    let files = vec![
        (config_path, config),
        (layer_path, layer),
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("manifest.json".to_owned(), described.to_string().into_bytes()),
    ];
    (files, manifest)
}

/// Adds an index that lists `manifest`.
fn listing(files: &Files, manifest: &[u8]) -> Files {
    let entry = Descriptor::of(MediaType::MANIFEST, manifest).annotated(NAME, "example.com/app:25");
    let index = json::compact(&Index::new(vec![entry.clone()])).unwrap();
    with(files, &[(&entry.digest.layout_path(), manifest), ("index.json", &index)])
}

#[test]
fn a_layout_that_lacks_what_manifest_json_has_does_not_count() {
    let (files, manifest) = docker_25();
    // The manifest that is made is the one that Docker should have written.
    let expected =
        (vec![Digest::of(&json::indented(&manifest).unwrap())], vec!["example.com/app:25".to_owned()], vec![]);
    let bare = Manifest { layers: Vec::new(), ..manifest.clone() };
    let bare = json::compact(&bare).unwrap();
    let null = String::from_utf8(bare.clone()).unwrap().replace(r#""layers":[]"#, r#""layers":null"#).into_bytes();
    let lacking = [
        with(&files, &[("index.json", br#"{"schemaVersion":2,"manifests":null}"#)]),
        with(&files, &[("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)]),
        listing(&files, &bare),
        listing(&files, &null),
    ];
    for files in &lacking {
        for found in both(&tar(files)) {
            assert_eq!(found.unwrap(), expected);
        }
        let error = exported("oci-archive", &tar(files)).unwrap_err();
        assert_eq!(error.hint(), Some("read it as docker-archive:FILE"), "{}", error.with_causes());
    }
    // A layout that is whole counts, whatever `manifest.json` is.
    let whole = listing(&files, &json::compact(&manifest).unwrap());
    let root = vec![Digest::of(&json::compact(&manifest).unwrap())];
    for broken in
        [whole.clone(), replaced(&whole, "manifest.json", |_| b"{".to_vec()), without(&whole, "manifest.json")]
    {
        assert!(both(&tar(&broken)).map(Result::unwrap).iter().all(|found| found.0 == root));
    }
    // Without layers in both, it is an image without layers.
    let scratch = json::compact(&Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), Vec::new())).unwrap();
    let described = format!(r#"[{{"Config":"{}","RepoTags":[],"Layers":null}}]"#, Digest::of(b"{}").layout_path());
    let files = with(&listing(&files, &scratch), &[(&Digest::of(b"{}").layout_path(), b"{}")]);
    let files = replaced(&files, "manifest.json", |_| described.clone().into_bytes());
    assert_eq!(imported(&tar(&files)).unwrap().0, [Digest::of(&scratch)]);
}

/// A tarball of two images whose index lists one of them.
#[test]
fn an_image_that_only_manifest_json_has_is_not_lost() {
    let (first, manifest) = docker_25();
    let (first_root, first) = (json::compact(&manifest).unwrap(), listing(&first, &json::compact(&manifest).unwrap()));
    let layer = tar_bytes(8, TarOptions::default());
    let mut config = ImageConfig::new(&Platform::new("linux", "ppc64le", None));
    config.set_diff_ids(vec![Digest::of(&layer)]);
    let config = config.to_bytes().unwrap();
    let [config_path, layer_path] = [&config, &layer].map(|bytes| Digest::of(bytes).layout_path());
    let second =
        serde_json::json!({"Config": config_path, "RepoTags": ["example.com/second:1"], "Layers": [layer_path]});
    let files = with(&first, &[(&config_path, &config), (&layer_path, &layer)]);
    let described = |edit: &dyn Fn(&mut Vec<serde_json::Value>)| {
        replaced(&files, "manifest.json", |content| {
            let mut items: Vec<serde_json::Value> = serde_json::from_slice(content).unwrap();
            edit(&mut items);
            serde_json::to_vec(&items).unwrap()
        })
    };
    for found in both(&tar(&described(&|items| items.push(second.clone())))) {
        let (roots, names, _) = found.unwrap();
        assert_eq!((roots.len(), names), (2, vec!["example.com/app:25".to_owned(), "example.com/second:1".to_owned()]));
    }
    // Either description would lose an image.
    for found in both(&tar(&described(&|items| *items = vec![second.clone()]))) {
        let error = found.unwrap_err();
        assert!(error.with_causes().ends_with("list different images"), "{}", error.with_causes());
        assert!(error.hint().unwrap().contains(&Digest::of(&config).to_string()), "{error:?}");
    }
    // The index may list more than Docker's manifest can say.
    for found in both(&tar(&described(&Vec::clear))) {
        assert_eq!(found.unwrap().0, [Digest::of(&first_root)]);
    }
}

/// Docker's manifest lists one platform of an index.
#[test]
fn a_nested_index_has_the_images_of_manifest_json() {
    let (files, manifest) = docker_25();
    let manifest = json::compact(&manifest).unwrap();
    let other = Descriptor::new(MediaType::MANIFEST, Digest::of(b"not in the archive"), 18);
    let entries = vec![Descriptor::of(MediaType::MANIFEST, &manifest), other];
    let nested = json::compact(&Index::new(entries)).unwrap();
    let entry = Descriptor::of(MediaType::INDEX, &nested).annotated(NAME, "example.com/app:25");
    let index = json::compact(&Index::new(vec![entry.clone()])).unwrap();
    let nested_path = entry.digest.layout_path();
    let manifest_path = Digest::of(&manifest).layout_path();
    let files = with(&files, &[(&nested_path, &nested), (&manifest_path, &manifest), ("index.json", &index)]);
    for found in both(&tar(&files)) {
        assert_eq!(found.unwrap().0, std::slice::from_ref(&entry.digest));
    }
}

#[test]
fn an_archive_without_an_image_is_an_error_of_both_readers() {
    let (files, _) = docker_25();
    let empty = with(&files, &[("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)]);
    let (old, _, _) = docker(false);
    for archive in [
        without(&empty, "manifest.json"),
        replaced(&empty, "manifest.json", |_| b"[]".to_vec()),
        replaced(&old, "manifest.json", |_| b"[]".to_vec()),
    ] {
        for read in both(&tar(&archive)) {
            let error = read.unwrap_err().with_causes();
            assert!(error.ends_with("there is no image in it"), "{error}");
        }
    }
    let error = exported("oci-archive", &tar(&without(&empty, "manifest.json"))).unwrap_err().with_causes();
    assert!(error.ends_with("there is no image in it"), "{error}");
}

#[test]
fn tags_that_are_no_names_are_left_out() {
    let (old, links, _) = docker(true);
    for (tags, kept) in [
        (&["<none>:<none>", "app:1"][..], &["docker.io/library/app:1"][..]),
        (&["App:1", "app:v 1", "example.com/app:2", "example.com/app:2"], &["example.com/app:2"]),
        (&["", "example.com/x@sha256:1", "y:3"], &["docker.io/library/y:3"]),
    ] {
        let tagged = replaced(&old, "manifest.json", |content| {
            let mut items: serde_json::Value = serde_json::from_slice(content).unwrap();
            items[0]["RepoTags"] = tags.iter().copied().collect();
            items.to_string().into_bytes()
        });
        for found in both(&with_links(&tagged, &links)) {
            let (_, names, warnings) = found.unwrap();
            assert_eq!(names, kept);
            let unique: std::collections::BTreeSet<_> = tags.iter().collect();
            assert_eq!(warnings.len(), unique.len() - 1, "{warnings:?}");
            assert!(warnings.iter().all(|warning| warning.starts_with("left out a name of the source: ")));
        }
    }
    let image = existing(1, &ExistingOptions::default());
    let annotated = ["APP:1", "app:2"].map(|name| image.root.clone().annotated(NAME, name)).to_vec();
    for found in both(&tar(&layout(&[&image], annotated))) {
        let (roots, names, warnings) = found.unwrap();
        assert_eq!((roots, names), (vec![image.root.digest.clone()], vec!["docker.io/library/app:2".to_owned()]));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
}
