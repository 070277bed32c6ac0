//! Pushes everything except the tags: registries concurrently, the largest blobs first, children before parents.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use longshore_content::{BlobMeta, Cancel, Origin, Provider, PushBlob, for_each, read};
use longshore_oci::{Context, Descriptor, Digest, ErrorKind, MANIFEST_LIMIT, Result};

use super::{Push, Repository};
use crate::image::{ImageBlob, NamedImage, say_left_out};

/// A blob, and the repositories of one registry that need it. It is sent to the first, and the others can mount it
/// from there.
struct Parcel<'i, 'a> {
    blob: &'i ImageBlob<'a>,
    to: Vec<&'i Repository>,
}

pub(super) fn send<'a>(push: &Push<'a>, images: &[NamedImage<'a>]) -> Result<()> {
    let mut registries: IndexMap<String, Vec<&Repository>> = IndexMap::new();
    for (origin, repository) in &push.repositories {
        registries.entry(origin.registry.clone()).or_default().push(repository);
    }
    let cancel = &push.cx.work().cancel;
    for_each(registries.into_values().collect(), usize::MAX, cancel, |repositories: Vec<&Repository>| {
        send_to_registry(push, images, &repositories, cancel)
    })
}

fn send_to_registry<'a>(
    push: &Push<'a>,
    images: &[NamedImage<'a>],
    repositories: &[&Repository],
    cancel: &Cancel,
) -> Result<()> {
    let jobs = repositories.first().map_or(1, |repository| repository.session.jobs().get());
    for_each(parcels(images, repositories), jobs, cancel, |parcel| deliver(push, &parcel))?;
    for level in manifests(push, images, repositories).0 {
        for_each(level, jobs, cancel, |(repository, blob): (&Repository, &ImageBlob<'_>)| {
            repository.attempt(put(push, images, repository, blob))
        })?;
    }
    Ok(())
}

/// Puts a manifest. If the registry lacks parts that it was known to have, they are delivered again first, once:
/// registries remove parts that nothing refers to yet.
fn put(push: &Push<'_>, images: &[NamedImage<'_>], repository: &Repository, blob: &ImageBlob<'_>) -> Result<()> {
    let work = push.cx.work();
    let session = &repository.session;
    let bytes = read(blob.provider.provider(), &blob.descriptor, MANIFEST_LIMIT)?;
    match session.manifest(&blob.descriptor, &bytes, work) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let digest = &blob.descriptor.digest;
            work.progress.warn(format!("{}: checking the parts of {digest} again", error.with_causes()));
        }
        done => return done.map(drop),
    }
    let is_index = blob.descriptor.media_type.is_index();
    let find = |part: &Digest, as_manifest: bool| {
        let mut all = images.iter().flat_map(|named| &named.image.blobs);
        all.find(|blob| blob.descriptor.digest == *part && is_manifest(blob) == as_manifest)
    };
    for part in blob.references.iter().flat_map(|part| [find(part, false), find(part, true)]).flatten() {
        // To the registry, every entry of an index is a manifest, whatever its type.
        let is_listed = is_index && part.descriptor.size <= MANIFEST_LIMIT;
        if is_manifest(part) || is_listed {
            let bytes = read(part.provider.provider(), &part.descriptor, MANIFEST_LIMIT)?;
            session.manifest(&part.descriptor, &bytes, work)?;
        } else {
            deliver(push, &Parcel { blob: part, to: vec![repository] })?;
        }
    }
    let again = session.manifest(&blob.descriptor, &bytes, work);
    again.attempt(|| "all parts of the manifest were delivered again".to_owned()).map(drop)
}

/// Returns all blobs except manifests, each once, the largest first, so that the longest upload does not start last.
fn parcels<'i, 'a>(images: &'i [NamedImage<'a>], repositories: &[&'i Repository]) -> Vec<Parcel<'i, 'a>> {
    let mut parcels: IndexMap<&Digest, Parcel<'i, 'a>> = IndexMap::new();
    for repository in repositories {
        let blobs = repository.images.iter().filter_map(|at| images.get(*at)).flat_map(|named| &named.image.blobs);
        for blob in blobs.filter(|blob| !is_manifest(blob)) {
            let parcel = parcels.entry(&blob.descriptor.digest).or_insert_with(|| Parcel { blob, to: Vec::new() });
            if !parcel.to.iter().any(|other| std::ptr::eq(*other, *repository)) {
                parcel.to.push(repository);
            }
        }
    }
    let mut parcels: Vec<_> = parcels.into_values().collect();
    parcels.sort_by_key(|parcel| std::cmp::Reverse(parcel.blob.descriptor.size));
    parcels
}

fn is_manifest(blob: &ImageBlob<'_>) -> bool {
    blob.descriptor.media_type.is_manifest() || blob.descriptor.media_type.is_index()
}

fn deliver(push: &Push<'_>, Parcel { blob, to }: &Parcel<'_, '_>) -> Result<()> {
    let ImageBlob { descriptor, provider, .. } = blob;
    let work = push.cx.work();
    if descriptor.is_foreign() {
        say_left_out(descriptor, "push", &work.progress);
        return Ok(());
    }
    let store = push.cx.store();
    let known = store.info(&descriptor.digest)?;
    let mut origins = provider.provider().origins(&descriptor.digest)?;
    origins.extend(known.iter().flat_map(|info| info.meta.origins.clone()));
    // The store's copy was verified there, and may be nearer than the image's source.
    let (provider, is_verified): (&dyn Provider, bool) = match known {
        Some(_) => (store, true),
        None => (provider.provider(), false),
    };
    for repository in to {
        let origin = repository.session.origin();
        let blob = PushBlob::new(descriptor, provider).with_origins(&origins).with_verified(is_verified);
        repository.attempt(repository.session.blob(&blob, work))?;
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    learn(push, descriptor, known.map(|info| info.meta.origins), &origins)
}

/// Records which repository has a blob, so that later pushes can mount it.
fn learn(push: &Push<'_>, descriptor: &Descriptor, known: Option<Vec<Origin>>, origins: &[Origin]) -> Result<()> {
    match known {
        Some(known) if origins.iter().any(|origin| !known.contains(origin)) => {
            let meta = BlobMeta::default().with_origins(origins.to_vec());
            match push.cx.store().update(&descriptor.digest, meta) {
                // It was removed in the meantime.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                updated => updated,
            }
        }
        _ => Ok(()),
    }
}

/// Manifests in levels, each of which refers only to earlier ones. Referrers of an image come after it, one after
/// another, as some refer to each other.
type Levels<'i, 'a> = Vec<Vec<(&'i Repository, &'i ImageBlob<'a>)>>;

/// Returns the manifests of all repositories to put now, and those to put when the run publishes: without a tag, it
/// is the root that makes an image visible.
fn manifests<'i, 'a>(
    push: &Push<'a>,
    images: &'i [NamedImage<'a>],
    repositories: &[&'i Repository],
) -> (Levels<'i, 'a>, Levels<'i, 'a>) {
    let held = if push.options.is_by_digest() { roots(images) } else { HashSet::new() };
    let (mut now, mut late) = (Levels::new(), Levels::new());
    for repository in repositories {
        let mut seen = HashSet::new();
        for named in repository.images.iter().filter_map(|at| images.get(*at)) {
            let levels = levels_of(named);
            let root = &named.image.root.digest;
            let root_level = levels.iter().find(|(_, blob)| blob.descriptor.digest == *root).map(|(level, _)| *level);
            let first_late = root_level.filter(|_| held.contains(root)).unwrap_or(usize::MAX);
            for (level, blob) in levels {
                if seen.insert(&blob.descriptor.digest) {
                    let (levels, at) =
                        if level < first_late { (&mut now, level) } else { (&mut late, level - first_late) };
                    if levels.len() <= at {
                        levels.resize_with(at + 1, Vec::new);
                    }
                    levels[at].push((repository, blob));
                }
            }
        }
    }
    (now, late)
}

/// A manifest to put when the run publishes.
#[derive(Debug)]
pub(super) struct LateManifest {
    /// The repository, by index.
    pub(super) repository: usize,
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
}

/// Returns the manifests to put when the run publishes, in levels.
pub(super) fn late(push: &Push<'_>, images: &[NamedImage<'_>]) -> Result<Vec<Vec<LateManifest>>> {
    let repositories: Vec<&Repository> = push.repositories.values().collect();
    let number = |repository: &Repository| repositories.iter().position(|other| std::ptr::eq(*other, repository));
    let mut all = Vec::new();
    for level in manifests(push, images, &repositories).1 {
        let mut read_level = Vec::new();
        for (repository, blob) in level {
            let bytes = read(blob.provider.provider(), &blob.descriptor, MANIFEST_LIMIT)?;
            let descriptor = blob.descriptor.clone();
            read_level.extend(number(repository).map(|repository| LateManifest { repository, descriptor, bytes }));
        }
        all.push(read_level);
    }
    Ok(all)
}

fn levels_of<'i, 'a>(named: &'i NamedImage<'a>) -> Vec<(usize, &'i ImageBlob<'a>)> {
    let image = &named.image;
    let tops: HashSet<&Digest> = [&image.root].into_iter().chain(&image.referrers).map(|top| &top.digest).collect();
    let mut levels: HashMap<&Digest, usize> = HashMap::new();
    let mut lowest = 0;
    let mut all = Vec::new();
    for blob in image.blobs.iter().filter(|blob| is_manifest(blob)) {
        let below = blob.references.iter().filter_map(|child| levels.get(child)).max();
        let level = below.map_or(0, |below| below + 1).max(lowest);
        levels.insert(&blob.descriptor.digest, level);
        all.push((level, blob));
        if tops.contains(&blob.descriptor.digest) {
            lowest = level + 1;
        }
    }
    all
}

/// Returns the roots to put last, because they make an image visible. A root that is part of another image is
/// not among them.
fn roots<'i>(images: &'i [NamedImage<'_>]) -> HashSet<&'i Digest> {
    let parts: HashSet<&Digest> =
        images.iter().flat_map(|named| &named.image.blobs).flat_map(|b| &b.references).collect();
    images.iter().map(|named| &named.image.root.digest).filter(|root| !parts.contains(root)).collect()
}
