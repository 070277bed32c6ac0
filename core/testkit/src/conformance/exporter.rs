//! The contract of exporters.

use std::path::Path;
use std::sync::Arc;

use longshore_core::content::{MemoryStore, read};
use longshore_core::oci::{MANIFEST_LIMIT, parse_manifest};
use longshore_core::options::Attrs;
use longshore_core::{
    BuildResult, Cancel, Dest, ErrorKind, Existing, ExporterInfo, Image, ImageContent, OutputSpec, Store,
};

use super::case::ExporterCase;
use super::trial::{Manner, Trial};
use super::words::{assert_line, assert_options, assert_word, typo};
use crate::causes::full;
use crate::faults::{Fault, FaultyProvider, HalfwayTar, ON_PURPOSE};
use crate::sample::{self, CountingTar, ExistingOptions, LargeTar, MemoryTar, TarOptions};

/// Checks every line of the contract of [`Exporter`](longshore_core::Exporter) that can be seen from
/// outside, through a [`Session`](longshore_core::Session).
///
/// # Panics
/// A case failed: the message names each that did.
pub fn exporter(case: &ExporterCase<'_>) {
    super::run("exporter", EXPORTER_CASES.iter().map(|(name, check)| (*name, || check(case))));
}

/// Returns a result with `images`, giving each a name.
fn named(mut images: Vec<Image>) -> BuildResult {
    for (at, image) in images.iter_mut().enumerate().filter(|(_, image)| image.names.is_empty()) {
        image.names = vec![format!("registry.example/suite:{at}").parse().expect("a name")];
    }
    sample::result(images)
}

/// A case of [`exporter`].
pub type ExporterCheck = fn(&ExporterCase<'_>);

/// The cases of [`exporter`], by name.
pub const EXPORTER_CASES: &[(&str, ExporterCheck)] = &[
    ("its info is well formed", its_info_is_well_formed),
    ("an unknown option is refused", an_unknown_option_is_refused),
    ("resolving does no I/O", resolving_does_no_io),
    ("a plan reads and writes nothing", a_plan_reads_and_writes_nothing),
    ("odd images are exported", odd_images_are_exported),
    ("the response says what was written", the_response_says_what_was_written),
    ("exporting again changes nothing", exporting_again_changes_nothing),
    ("jobs and stores do not change bytes", jobs_and_stores_do_not_change_bytes),
    ("outputs do not change each other", outputs_do_not_change_each_other),
    ("layers are read once", layers_are_read_once),
    ("a failing sibling leaves nothing", a_failing_sibling_leaves_nothing),
    ("a layer that breaks leaves nothing", a_layer_that_breaks_leaves_nothing),
    ("a corrupt blob leaves nothing", a_corrupt_blob_leaves_nothing),
    ("a cancelled run leaves nothing", a_cancelled_run_leaves_nothing),
    ("existing images pass verbatim", existing_images_pass_verbatim),
    ("images keep their own layers", images_keep_their_own_layers),
];

fn built(seed: u64) -> BuildResult {
    named(vec![sample::image(seed, 3)])
}

/// Returns a result with layers of several blocks, one of which is read from `stream`.
fn with_layer(stream: Arc<dyn longshore_core::layer::TarStream>) -> BuildResult {
    let layers = vec![sample::tar_layer(2, TarOptions::default()), sample::layer_of(stream)];
    named(vec![sample::image_of(layers)])
}

fn large() -> Arc<LargeTar> {
    Arc::new(LargeTar::new(1, 9 << 20))
}

fn existing_of(image: &Image) -> &Existing {
    match &image.content {
        ImageContent::Existing(existing) => existing,
        ImageContent::Built(_) => panic!("the sample exists"),
    }
}

fn info(trial: &Trial<'_>) -> ExporterInfo {
    trial.registry.get(&trial.spec().kind).expect("the exporter of the output").info()
}

/// Runs `check` with an empty destination, and with one that an earlier run wrote.
fn over_nothing_and_over_something(case: &ExporterCase<'_>, check: impl Fn(&Trial<'_>)) {
    check(&Trial::new(case));
    let trial = Trial::new(case);
    trial.export(&built(99), Manner::default());
    check(&trial);
}

fn its_info_is_well_formed(case: &ExporterCase<'_>) {
    let info = info(&Trial::new(case));
    assert_word("type", &info.kind);
    assert_line("summary", &info.summary);
    assert_options(&info.options);
}

fn an_unknown_option_is_refused(case: &ExporterCase<'_>) {
    let trial = Trial::new(case);
    let spec = trial.spec();
    let refused = |key: &str| {
        let mut attrs = spec.attrs.clone();
        attrs.insert(key, "x", Some(7));
        let error = trial.registry.resolve(&spec.kind, &attrs).map(drop).expect_err("an unknown option");
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
        assert!(error.message().contains(key), "the error does not name `{key}`: {error}");
        assert!(error.message().contains("column 7"), "the error does not say where: {error}");
        error.hint().unwrap_or_else(|| panic!("`{key}`: no hint")).to_owned()
    };
    refused("no-such-option");
    for option in info(&trial).options {
        let typo = typo(&option.key);
        let hint = refused(&typo);
        assert!(hint.contains(&*option.key), "`{typo}`: the hint is `{hint}`");
    }
}

fn resolving_does_no_io(case: &ExporterCase<'_>) {
    let trial = Trial::new(case);
    let before = trial.listing();
    let spec = trial.spec();
    let destinations: Vec<_> =
        (0..3).map(|_| trial.registry.resolve(&spec.kind, &spec.attrs).expect("good options").destination()).collect();
    assert!(destinations.iter().all(|each| *each == destinations[0]), "{destinations:?}");
    trial.session(&Manner::default()).resolve(&[spec]).map(drop).expect("a good output");
    assert_eq!(trial.listing(), before);
}

fn a_plan_reads_and_writes_nothing(case: &ExporterCase<'_>) {
    let trial = Trial::new(case);
    let before = trial.listing();
    let counting = CountingTar::new(large());
    let result = with_layer(counting.clone());
    let resolved = trial.session(&Manner::default()).resolve(&[trial.spec()]).expect("a good output");
    let plans = resolved.plan(&result).expect("a plan");
    assert_eq!(resolved.plan(&result).expect("a plan"), plans, "a second time");
    assert_eq!(counting.opens(), 0, "layers opened for a plan");
    assert_eq!(trial.listing(), before);
    let lines = &plans[0].lines;
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.is_empty() && !line.contains('\n')), "{lines:?}");
}

fn odd_images_are_exported(case: &ExporterCase<'_>) {
    let twice = sample::tar_layer(3, TarOptions::default());
    let compressed = TarOptions { compression: longshore_core::compression::Algorithm::Zstd, ..TarOptions::default() };
    let images = [
        sample::image_of(Vec::new()),
        sample::image_of(vec![sample::empty_layer()]),
        sample::image_of(vec![twice.clone(), sample::empty_layer(), twice]),
        sample::image_of(vec![sample::tar_layer(4, compressed)]),
        sample::multi_platform(5, 1),
    ];
    for image in images {
        Trial::new(case).export(&named(vec![image]), Manner::default());
    }
    if case.images {
        Trial::new(case).export(&named(vec![sample::multi_platform(6, 3)]), Manner::default());
    }
}

fn the_response_says_what_was_written(case: &ExporterCase<'_>) {
    let trial = Trial::new(case);
    let response = trial.export(&built(1), Manner::default());
    if let Some(Dest::Path(path)) = trial.spec().dest {
        assert!(path.exists(), "nothing at {}", path.display());
        let said = response.destination.expect("a destination");
        let (said, asked) = (Path::new(&said).canonicalize(), path.canonicalize());
        assert_eq!(said.expect("an existing path"), asked.expect("an existing path"));
    }
    if case.images {
        assert_eq!(response.images.len(), 1, "images of the response");
        assert!(response.images[0].config.is_some(), "the configuration of an image for one platform");
    }
}

fn exporting_again_changes_nothing(case: &ExporterCase<'_>) {
    for result in [built(1), named(vec![sample::existing(1, &ExistingOptions::default())])] {
        let trial = Trial::new(case);
        let first = trial.export(&result, Manner::default());
        let listing = trial.listing();
        let second = trial.export(&result, Manner::default());
        assert_eq!(second, first, "responses");
        assert_eq!(trial.listing(), listing);
    }
}

fn jobs_and_stores_do_not_change_bytes(case: &ExporterCase<'_>) {
    let used = Arc::new(MemoryStore::default());
    let stores = [Store::Spool, Store::Given(used.clone()), Store::Given(used)];
    let results = [with_layer(large()), named(vec![sample::existing(2, &ExistingOptions::default())])];
    for result in &results {
        let mut first = None;
        for (jobs, store) in [1, 2, 8].into_iter().zip(stores.clone()) {
            let trial = Trial::new(case);
            trial.export(result, Manner { jobs, store, ..Manner::default() });
            let listing = trial.listing();
            assert_eq!(&listing, first.get_or_insert_with(|| listing.clone()), "with {jobs} jobs");
        }
    }
}

fn outputs_do_not_change_each_other(case: &ExporterCase<'_>) {
    let alone = Trial::new(case);
    alone.export(&built(1), Manner::default());
    let trial = Trial::new(case);
    let specs = ["one", "two", "three"].map(|directory| trial.spec_in(directory));
    trial.export_all(&specs, &built(1), Manner::default());
    for directory in ["one", "two", "three"] {
        let path = trial.place().join(directory);
        // The permissions of the directory itself differ from those of a temporary one.
        assert_eq!(trial.listing_in(&path)[1..], alone.listing()[1..], "{directory}");
        (case.check)(&path);
    }
}

fn layers_are_read_once(case: &ExporterCase<'_>) {
    if !case.images {
        return;
    }
    let trial = Trial::new(case);
    let mut specs = vec![trial.spec_in("one"), trial.spec_in("two")];
    if info(&trial).options.iter().any(|option| option.key == "compression") {
        let compressed = |algorithm: &str| {
            let mut spec = trial.spec_in(algorithm);
            let attrs: Attrs = spec.attrs.iter().map(|(key, attr)| (key.to_owned(), attr.value.clone())).collect();
            spec.attrs = attrs;
            spec.attrs.take("compression");
            spec.attrs.take("compression-level");
            spec.attrs.insert("compression", algorithm, None);
            spec
        };
        specs.extend(["uncompressed", "gzip", "zstd"].map(compressed));
    }
    let tars = [CountingTar::new(large()), CountingTar::new(Arc::new(MemoryTar::new("small", small_tar())))];
    let layers = tars.iter().map(|tar| sample::layer_of(tar.clone())).collect();
    trial.export_all(&specs, &named(vec![sample::image_of(layers)]), Manner::default());
    let opens = tars.map(|tar| tar.opens());
    assert_eq!(opens, [1, 1], "how often each layer was opened for {} outputs", specs.len());
}

fn small_tar() -> Vec<u8> {
    sample::tar_bytes(7, TarOptions::default())
}

fn a_failing_sibling_leaves_nothing(case: &ExporterCase<'_>) {
    for options in ["delay=0", "delay=300", "at=publish"] {
        over_nothing_and_over_something(case, |trial| {
            let failing = OutputSpec::parse(&format!("type=failing,{options}"));
            let failing = failing.expect("a good output").expect("an output");
            for specs in [[failing.clone(), trial.spec()], [trial.spec(), failing]] {
                let error = trial.fail(&specs, &built(1), Manner::default());
                assert!(full(&error).contains(ON_PURPOSE), "{options}: not the sibling's error: {}", full(&error));
            }
        });
    }
}

fn a_layer_that_breaks_leaves_nothing(case: &ExporterCase<'_>) {
    for after in [0, 100_000, 6 << 20] {
        over_nothing_and_over_something(case, |trial| {
            let result = with_layer(HalfwayTar::broken(large(), after));
            let error = trial.fail(&[trial.spec()], &result, Manner::default());
            assert!(full(&error).contains("on purpose"), "not the layer's error: {}", full(&error));
        });
    }
}

fn a_corrupt_blob_leaves_nothing(case: &ExporterCase<'_>) {
    let sample = sample::existing(3, &ExistingOptions::default());
    let existing = existing_of(&sample);
    let root = &existing.root;
    let document = read(existing.provider.as_ref(), root, MANIFEST_LIMIT).expect("the manifest of the sample");
    let manifest = parse_manifest(root, &document).expect("the manifest of the sample");
    let mut digests = vec![root.digest.clone()];
    digests.extend(manifest.layers.into_iter().map(|layer| layer.digest));
    if case.images {
        digests.push(manifest.config.digest);
    }
    for digest in digests {
        for fault in [Fault::Flipped, Fault::Cut, Fault::Longer, Fault::Missing] {
            let provider = FaultyProvider::new(existing.provider.clone(), digest.clone(), fault);
            let image = Image::new(ImageContent::Existing(existing.clone().with_provider(provider)));
            let trial = Trial::new(case);
            let error = trial.fail(&[trial.spec()], &named(vec![image]), Manner::default());
            let expected = if fault == Fault::Missing { ErrorKind::NotFound } else { ErrorKind::Corrupt };
            assert_eq!(error.kind(), expected, "{fault:?} {digest}: {}", full(&error));
        }
    }
}

fn a_cancelled_run_leaves_nothing(case: &ExporterCase<'_>) {
    over_nothing_and_over_something(case, |trial| {
        let cancelled = Manner::default();
        cancelled.cancel.cancel();
        let error = trial.fail(&[trial.spec()], &built(1), cancelled);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "cancelled before: {}", full(&error));
        for after in [0, 100_000, 8 << 20] {
            let cancel = Cancel::default();
            let from_layer = cancel.clone();
            let tar = HalfwayTar::new(large(), after, move || {
                from_layer.cancel();
                Ok(())
            });
            let manner = Manner { cancel, ..Manner::default() };
            let error = trial.fail(&[trial.spec()], &with_layer(tar), manner);
            assert_eq!(error.kind(), ErrorKind::Cancelled, "cancelled after {after} bytes: {}", full(&error));
        }
    });
}

fn existing_images_pass_verbatim(case: &ExporterCase<'_>) {
    let docker = ExistingOptions { docker: true, ..ExistingOptions::default() };
    let index = ExistingOptions { platforms: 2, ..ExistingOptions::default() };
    let referrer = ExistingOptions { referrer: true, ..ExistingOptions::default() };
    let of_docker = ExistingOptions { platforms: 2, docker: true, ..ExistingOptions::default() };
    // The manifest in the artifact was mistaken for a blob, and the image for one without layers.
    let carrier = ExistingOptions { platforms: 2, carrier: true, ..ExistingOptions::default() };
    for options in [ExistingOptions::default(), docker, index, referrer, of_docker, carrier] {
        if !case.images {
            return;
        }
        let trial = Trial::new(case);
        let result = named(vec![sample::existing(4, &options)]);
        let response = trial.export(&result, Manner::default());
        let root = &existing_of(&result.images[0]).root;
        let written = &response.images[0].root;
        assert_eq!((&written.digest, &written.media_type), (&root.digest, &root.media_type), "{options:?}");
    }
}

/// An image that is taken apart must not get layers of one taken apart before it.
fn images_keep_their_own_layers(case: &ExporterCase<'_>) {
    let trial = Trial::new(case);
    if !case.images || !info(&trial).options.iter().any(|option| option.key == "force-compression") {
        return;
    }
    let roots = |trial: &Trial<'_>, seeds: &[u64]| {
        let mut spec = trial.spec();
        spec.attrs.take("force-compression");
        spec.attrs.insert("force-compression", "true", None);
        let images = seeds.iter().map(|seed| sample::existing(*seed, &ExistingOptions::default()));
        let response = trial.export_all(&[spec], &named(images.collect()), Manner::default()).remove(0);
        response.images.into_iter().map(|image| image.root.digest).collect::<Vec<_>>()
    };
    let seeds = [1000, 2000, 3000, 4000];
    let alone: Vec<_> = seeds.iter().flat_map(|seed| roots(&Trial::new(case), &[*seed])).collect();
    assert_eq!(roots(&trial, &seeds), alone, "all in one run, and each alone");
}
