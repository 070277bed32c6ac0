//! The entries of a layer, read from its source: nothing is built or stored.

use std::io::Read;

use longshore_content::{Cancel, Hashing, Work, read_ahead};
use longshore_oci::{Context, Digest, Error, Hasher, Result};

use super::{BlobSource, Layer, LayerSource, directory, tar_stream};
use crate::archive::{Entry, Reader};
use crate::compression::decoder;

/// A callback for each entry.
pub(super) type Visit<'a> = dyn FnMut(Entry, &mut dyn Read) -> Result<()> + 'a;

/// A callback for each entry of an archive, with the offset of its header in the archive.
pub(crate) type VisitAt<'a> = dyn FnMut(Entry, u64, &mut dyn Read) -> Result<()> + 'a;

impl Layer {
    /// Calls `visit` with each entry of the layer and the content of the entry, in the order of its tar stream:
    /// the same entries that the built layer has.
    ///
    /// Contents are read in place, from a directory, an archive or a blob. Content that `visit` does not read
    /// is skipped. A file of a directory that changes its size is noticed only by reading it to its end.
    ///
    /// A known diffID is verified after the last entry: results derived from the entries are valid only if this
    /// returns `Ok`.
    ///
    /// # Errors
    /// Errors of the source; [`Corrupt`](crate::ErrorKind::Corrupt) for a layer that does not match its diffID;
    /// errors of `visit`, unchanged.
    ///
    /// # Examples
    /// ```
    /// use std::path::Path;
    ///
    /// use longshore_core::layer::{DirSource, Layer, LayerSource, Rules};
    /// use longshore_core::{Result, Work};
    ///
    /// /// The bytes of all files that a directory would have as a layer.
    /// fn size(path: &Path) -> Result<u64> {
    ///     let source = DirSource::new(path, Rules::default());
    ///     let layer = Layer::new(LayerSource::Dir(source), Default::default());
    ///     let mut size = 0;
    ///     layer.entries(&Work::default(), &mut |entry, _content| {
    ///         size += entry.size;
    ///         Ok(())
    ///     })?;
    ///     Ok(size)
    /// }
    /// # let directory = tempfile::tempdir()?;
    /// # std::fs::write(directory.path().join("a"), "four")?;
    /// # assert_eq!(size(directory.path())?, 4);
    /// # Ok::<(), longshore_core::Error>(())
    /// ```
    pub fn entries(&self, work: &Work, visit: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<()>) -> Result<()> {
        let mut is_of_visit = false;
        let mut visit = |entry: Entry, content: &mut dyn Read| {
            let visited = visit(entry, content);
            is_of_visit = visited.is_err();
            visited
        };
        let read = match &self.source {
            // The walk names unreadable files itself.
            LayerSource::Dir(source) => return directory::entries(source, &work.progress, &work.cancel, &mut visit),
            LayerSource::Tar(source) => tar_stream::entries(source, &work.cancel, &mut visit),
            LayerSource::Blob(source) => source.entries(work, &mut visit),
        };
        if is_of_visit { read } else { read.attempt(|| format!("cannot read layer {}", self.name())) }
    }
}

impl BlobSource {
    /// Calls `visit` with each entry of the layer, as [`Layer::entries`], and verifies its diffID, which covers
    /// every byte that is used: the digest of the blob is not verified as well. The blob is decompressed and
    /// hashed on a thread of its own.
    ///
    /// # Errors
    /// As [`Layer::entries`].
    pub fn entries(&self, work: &Work, visit: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<()>) -> Result<()> {
        self.entries_at(work, &mut |entry, _, content| visit(entry, content))
    }

    /// Like [`entries`](Self::entries), for callers whose errors state the place of an entry.
    pub(crate) fn entries_at(&self, work: &Work, visit: &mut VisitAt<'_>) -> Result<()> {
        let (_, tar) = decoder(self.provider.open(&self.descriptor.digest, 0)?)?;
        checked(tar, &self.diff_id, &work.cancel, visit).map(drop)
    }
}

/// Visits the entries of an archive and verifies the digest of its bytes; returns false if it is empty.
pub(super) fn checked(
    input: impl Read + Send,
    diff_id: &Digest,
    cancel: &Cancel,
    visit: &mut VisitAt<'_>,
) -> Result<bool> {
    let mut hashing = Hashing { inner: input, hasher: Hasher::new(diff_id.algorithm()), cancel };
    let has_bytes = read_ahead(&mut hashing, |tar| parsed(tar, cancel, visit))?;
    let found = hashing.hasher.finish();
    if found != *diff_id {
        return Err(Error::corrupt(format!("it has the diffID {found}, expected {diff_id}")));
    }
    Ok(has_bytes)
}

/// Visits the entries of an archive and reads it to its end; returns false if it is empty.
pub(super) fn parsed(input: impl Read, cancel: &Cancel, visit: &mut VisitAt<'_>) -> Result<bool> {
    let mut reader = Reader::new(input);
    while let Some(entry) = reader.next_entry()? {
        cancel.check()?;
        visit(entry, reader.offset(), &mut reader)?;
    }
    let has_bytes = !reader.is_empty();
    reader.drain()?;
    Ok(has_bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use longshore_content::{MemoryStore, Provider};
    use longshore_oci::{ErrorKind, History, MediaType};
    use longshore_testkit::sample;
    use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

    use super::super::{DirSource, Rules, TarSource, TarStream, Variant, Whiteouts, Workshop};
    use super::*;
    use crate::archive::EntryKind;
    use crate::compression::{Algorithm, Encoding};
    use crate::tree::Patterns;

    /// An entry and the digest of its content.
    type Found = Vec<(Entry, Digest)>;

    fn content(content: &mut dyn Read) -> Result<Digest> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        Ok(Digest::of(&bytes))
    }

    fn entries(layer: &Layer) -> Result<Found> {
        let mut found = Vec::new();
        layer.entries(&Work::default(), &mut |entry, from| {
            found.push((entry, content(from)?));
            Ok(())
        })?;
        Ok(found)
    }

    /// Returns the entries of the tar stream that is made of a layer.
    fn made(layer: &Layer) -> Found {
        let store = MemoryStore::default();
        let work = Work::default();
        let plain = Encoding::new(Algorithm::Uncompressed, None).unwrap();
        let made = Workshop { store: &store, work: &work }.make(layer, &[Variant::new(plain)]).unwrap();
        let mut reader = Reader::new(store.open(&made[0].descriptor.digest, 0).unwrap());
        let mut found = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            found.push((entry, content(&mut reader).unwrap()));
        }
        found
    }

    fn layer(source: LayerSource) -> Layer {
        Layer { source, history: History::default() }
    }

    fn directory(path: &Path, whiteouts: Whiteouts, rules: Rules) -> Layer {
        layer(LayerSource::Dir(DirSource { path: path.to_owned(), whiteouts, rules }))
    }

    #[derive(Debug)]
    struct Memory(Vec<u8>);

    impl TarStream for Memory {
        fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
            Ok(Box::new(&self.0[..]))
        }

        fn name(&self) -> String {
            "memory".to_owned()
        }
    }

    fn tar(bytes: &[u8], diff_id: Option<Digest>, rules: Rules) -> Layer {
        layer(LayerSource::Tar(TarSource { stream: Arc::new(Memory(bytes.to_vec())), diff_id, size: None, rules }))
    }

    fn blob(tar: &[u8], algorithm: Algorithm, diff_id: Digest) -> Layer {
        let store = MemoryStore::default();
        let bytes = Encoding::new(algorithm, None).unwrap().encode(tar).unwrap();
        let descriptor = store.put(MediaType::layer(algorithm), &bytes);
        layer(LayerSource::Blob(BlobSource { descriptor, diff_id, provider: Arc::new(store) }))
    }

    fn rules(excludes: &str) -> Rules {
        let excludes = Patterns::new([excludes, "!**/file-07"]).unwrap();
        Rules { owner: Some((7, 8)), excludes, destination: b"opt/app".to_vec() }
    }

    #[test]
    fn entries_are_those_of_the_made_stream() {
        let place = tempfile::tempdir().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let mut layers = Vec::new();
        for seed in 0..3 {
            let path = place.path().join(seed.to_string());
            let tree = sample::Tree::new(seed);
            if is_root { tree.with_devices() } else { tree }.write(&path).unwrap();
            layers.push(directory(&path, Whiteouts::Plain, Rules::default()));
            layers.push(directory(&path, Whiteouts::Plain, rules("data")));
            let bytes = sample::tar_bytes(seed, sample::TarOptions { devices: true, ..Default::default() });
            let diff_id = Digest::of(&bytes);
            layers.push(tar(&bytes, None, Rules::default()));
            layers.push(tar(&bytes, Some(diff_id.clone()), Rules::default()));
            layers.push(tar(&bytes, None, rules("opt/data/*-00?")));
            let gzip = Encoding::new(Algorithm::Gzip, None).unwrap().encode(&bytes).unwrap();
            layers.push(tar(&gzip, None, Rules::default()));
            for algorithm in [Algorithm::Uncompressed, Algorithm::Gzip, Algorithm::Zstd] {
                layers.push(blob(&bytes, algorithm, diff_id.clone()));
            }
        }
        for layer in &layers {
            let found = entries(layer).unwrap();
            assert!(found.len() > 20, "{}: {} entries", layer.name(), found.len());
            assert_eq!(found, made(layer), "{:?}", layer.source);
            let mut unread = Vec::new();
            let visited = layer.entries(&Work::default(), &mut |entry, _| {
                unread.push(entry);
                Ok(())
            });
            visited.unwrap();
            assert!(unread.iter().eq(found.iter().map(|(entry, _)| entry)), "{:?}", layer.source);
        }
    }

    #[test]
    fn whiteouts_of_an_overlay_are_those_of_the_made_stream() {
        let place = tempfile::tempdir().unwrap();
        let opaque = place.path().join("a/opaque");
        fs::create_dir_all(&opaque).unwrap();
        fs::write(opaque.join("new"), "new").unwrap();
        let mut expected = vec!["a", "a/opaque", "a/opaque/new"];
        match setxattr(&opaque, "user.overlay.opaque", b"y", XattrFlags::empty()) {
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            set => {
                set.unwrap();
                expected.insert(2, "a/opaque/.wh..wh..opq");
            }
        }
        let gone = place.path().join("gone");
        if mknodat(CWD, &gone, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).is_ok() {
            expected.push(".wh.gone");
        }
        let layer = directory(place.path(), Whiteouts::Overlay, Rules::default());
        let found = entries(&layer).unwrap();
        assert_eq!(found, made(&layer));
        let paths: Vec<String> = found.iter().map(|(entry, _)| entry.display()).collect();
        assert_eq!(paths, expected);
        assert!(found.iter().skip(3).all(|(entry, _)| entry.kind == EntryKind::File));
    }

    #[test]
    fn a_wrong_diff_id_is_found_at_the_end() {
        let bytes = sample::tar_bytes(1, sample::TarOptions::default());
        let wrong = Digest::of(b"another layer");
        for layer in [
            tar(&bytes, Some(wrong.clone()), Rules::default()),
            blob(&bytes, Algorithm::Gzip, wrong.clone()),
            blob(&bytes, Algorithm::Uncompressed, wrong),
        ] {
            let mut visited = 0;
            let read = layer.entries(&Work::default(), &mut |_, _| {
                visited += 1;
                Ok(())
            });
            let error = read.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.message().contains(&layer.name()), "{error}");
            assert_eq!(visited, made(&tar(&bytes, None, Rules::default())).len());
        }
    }

    #[test]
    fn an_error_of_the_visit_ends_it_and_keeps_its_words() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a"), "a").unwrap();
        fs::write(place.path().join("b"), "b").unwrap();
        let bytes = sample::tar_bytes(1, sample::TarOptions::default());
        for layer in [
            directory(place.path(), Whiteouts::Plain, Rules::default()),
            tar(&bytes, None, Rules::default()),
            tar(&bytes, None, rules("etc")),
            blob(&bytes, Algorithm::Zstd, Digest::of(&bytes)),
        ] {
            let mut visited = 0;
            let read = layer.entries(&Work::default(), &mut |_, _| {
                visited += 1;
                Err(Error::input("enough"))
            });
            assert_eq!((read.unwrap_err().message(), visited), ("enough", 1));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let place = tempfile::tempdir().unwrap();
        let missing = directory(&place.path().join("missing"), Whiteouts::Plain, Rules::default());
        let empty = tar(b"", None, Rules::default());
        let cut = tar(&sample::tar_bytes(1, sample::TarOptions::default())[..1000], None, Rules::default());
        for (layer, expected) in
            [(missing, "missing"), (empty, "cannot read layer memory: the tar archive is empty"), (cut, "ends early")]
        {
            let error = entries(&layer).unwrap_err();
            assert!(error.with_causes().contains(expected), "{expected}: {}", error.with_causes());
        }
        let stopped = Work::default();
        stopped.cancel.cancel();
        let bytes = sample::tar_bytes(1, sample::TarOptions::default());
        let read = tar(&bytes, None, Rules::default()).entries(&stopped, &mut |_, content| {
            io::copy(content, &mut io::sink())?;
            Ok(())
        });
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
