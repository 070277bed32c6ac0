//! The one pass over an archive: every file that may be a blob is stored while it is read.
//!
//! The purpose of a file is known only at the end, because `index.json` and `manifest.json` may come last.
//! Several blobs are hashed and written concurrently, each on a thread that gets its bytes from
//! the one that reads the archive.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use longshore_core::archive::{Entry, EntryKind, Reader, entry_path, link_target};
use longshore_core::compression::{Algorithm, decoder, detect};
use longshore_core::content::{BlobMeta, BlobWriter, ImageStore};
use longshore_core::oci::{Descriptor, Digest, DigestAlgorithm, Hasher, MANIFEST_LIMIT, MediaType};
use longshore_core::{Context, Error, ErrorKind, Result, Task};

use super::Import;

/// How many blobs are written concurrently.
const WRITERS: usize = 4;
/// Bytes per piece passed to a writer, and how many pieces a writer may lag behind.
const PIECE: usize = 1 << 20;
const BEHIND: usize = 4;
/// The first bytes of a file, which show its compression.
const START: usize = 6;
/// The largest file that may be kept in memory: enough for a manifest or a configuration, but not for large layers.
const SMALL: u64 = 1 << 20;
/// How many links are followed from one path to a file.
const LINKS: usize = 16;
/// The most files and links in an archive. An image has a few hundred.
const ENTRIES: usize = 1_000_000;
/// The most bytes of their paths.
const PATHS: usize = 64 << 20;
/// The most bytes of small files kept in memory until their purpose is known.
const KEPT: u64 = 64 << 20;

/// Documents that give the other files their purpose. They are read, not stored.
const DOCUMENTS: [&[u8]; 3] = [b"oci-layout", b"index.json", b"manifest.json"];

/// The contents of an archive. Files that may be layers are in the store.
#[derive(Debug, Default)]
pub(super) struct Received {
    documents: HashMap<Vec<u8>, Vec<u8>>,
    files: HashMap<Vec<u8>, ReceivedFile>,
    links: HashMap<Vec<u8>, Vec<u8>>,
    /// All paths, including files still being written, and their total bytes.
    seen: HashSet<Vec<u8>>,
    path_bytes: usize,
    /// Small files that may be documents. They are stored once everything they refer to is:
    /// an import that ends early leaves no manifest without its layers.
    kept: HashMap<Digest, Vec<u8>>,
    kept_bytes: u64,
    /// Blobs whose content has another digest than their path says, and the error. It is one if an image refers to them:
    /// other readers never look at the rest.
    wrong: HashMap<Digest, String>,
}

/// A file of the archive, either stored or kept.
#[derive(Debug, Clone)]
pub(super) struct ReceivedFile {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Its first bytes.
    start: Vec<u8>,
}

impl ReceivedFile {
    /// Returns its compression.
    ///
    /// # Errors
    /// As [`detect`]. A file without references may be anything.
    pub(super) fn algorithm(&self) -> Result<Algorithm> {
        detect(&self.start)
    }
}

impl Received {
    /// Reads an archive to its end.
    pub(super) fn read(input: impl Read + Send, import: &Import<'_>) -> Result<Self> {
        let (_, input) = decoder(input)?;
        let mut reader = Reader::new(input);
        let mut received = Self::default();
        thread::scope(|scope| -> Result<()> {
            let mut writers: VecDeque<Writing<'_>> = VecDeque::new();
            while let Some(entry) = reader.next_entry()? {
                import.work.check()?;
                let path = received.new_path(&entry)?;
                if let Some(target) = link_target(&entry)? {
                    received.links.insert(path, target);
                } else if DOCUMENTS.contains(&&path[..]) {
                    received.documents.insert(path, document(&entry, &mut reader)?);
                } else if entry.kind == EntryKind::File {
                    let expected = blob(&path, &entry);
                    if received.may_keep(&entry) {
                        received.keep(path, expected.as_ref(), &entry, &mut reader)?;
                        continue;
                    }
                    if writers.len() == WRITERS
                        && let Some(writing) = writers.pop_front()
                    {
                        received.finish(writing)?;
                    }
                    let task = import.work.progress.task(format!("import {}", text(&path)), Some(entry.size));
                    let (sender, pieces) = sync_channel(BEHIND);
                    let store = import.store;
                    let claimed = expected.as_ref().map(|expected| expected.digest.clone());
                    let thread = scope.spawn(move || write(pieces, expected.as_ref(), store, task));
                    let start = feed(&mut reader, &sender, import)?;
                    writers.push_back(Writing { path, claimed, start, thread });
                }
            }
            writers.into_iter().try_for_each(|writing| received.finish(writing))
        })?;
        reader.drain()?;
        received.check()?;
        Ok(received)
    }

    /// Returns the path of an entry, which must not occur twice: readers would disagree about which entry counts.
    fn new_path(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let path = entry_path(entry)?;
        if !matches!(entry.kind, EntryKind::File | EntryKind::HardLink | EntryKind::Symlink) {
            return Ok(path);
        }
        if !self.seen.insert(path.clone()) {
            return Err(Error::input(format!("duplicated {}: it stands twice in the archive", text(&path))));
        }
        self.path_bytes += path.len();
        if self.path_bytes > PATHS {
            return Err(Error::input(format!("the paths in the archive have more bytes than the limit of {PATHS}")));
        }
        if self.seen.len() > ENTRIES {
            return Err(Error::input(format!("the archive has more files than the limit of {ENTRIES}")));
        }
        Ok(path)
    }

    /// Returns whether a file may be a document, and fits in memory.
    fn may_keep(&self, entry: &Entry) -> bool {
        entry.size <= SMALL && self.kept_bytes + entry.size <= KEPT
    }

    /// Keeps a small file, after verifying it.
    fn keep(
        &mut self,
        path: Vec<u8>,
        expected: Option<&Descriptor>,
        entry: &Entry,
        reader: &mut impl Read,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let algorithm = expected.map_or(DigestAlgorithm::Sha256, |expected| expected.digest.algorithm());
        let mut hasher = Hasher::new(algorithm);
        hasher.update(&bytes);
        let digest = match expected {
            Some(expected) => {
                if let Err(error) = is_what_it_says(expected, hasher) {
                    self.note_wrong(&path, &expected.digest, error);
                    return Ok(());
                }
                expected.digest.clone()
            }
            None => hasher.finish(),
        };
        let start = bytes[..bytes.len().min(START)].to_vec();
        self.files.insert(path, ReceivedFile { digest: digest.clone(), size: entry.size, start });
        self.kept_bytes += entry.size;
        self.kept.insert(digest, bytes);
        Ok(())
    }

    /// Returns a small file that is not in the store yet.
    pub(super) fn kept(&self, digest: &Digest) -> Option<&[u8]> {
        self.kept.get(digest).map(Vec::as_slice)
    }

    fn note_wrong(&mut self, path: &[u8], claimed: &Digest, error: Error) {
        let error = error.context(format!("cannot import `{}`", text(path)));
        self.wrong.insert(claimed.clone(), error.with_causes());
    }

    /// Fails if the archive has another content for a blob.
    pub(super) fn check_blob(&self, digest: &Digest) -> Result<()> {
        self.wrong.get(digest).map_or(Ok(()), |error| Err(Error::corrupt(error.clone())))
    }

    fn finish(&mut self, writing: Writing<'_>) -> Result<()> {
        let Writing { path, claimed, start, thread } = writing;
        let stored = match (thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), claimed) {
            (Err(error), Some(claimed)) if error.kind() == ErrorKind::Corrupt => {
                self.note_wrong(&path, &claimed, error);
                return Ok(());
            }
            (stored, _) => stored,
        };
        let (digest, size) = stored.attempt(|| format!("cannot import `{}`", text(&path)))?;
        self.files.insert(path, ReceivedFile { digest, size, start });
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.documents.contains_key(&b"oci-layout"[..]) && !self.documents.contains_key(&b"index.json"[..]) {
            return Err(Error::input("no index.json found: the layout is not complete"));
        }
        if self.documents.is_empty() {
            return Err(Error::input("neither index.json nor manifest.json found: not an archive of images"));
        }
        Ok(())
    }

    /// Returns whether it is an OCI layout, as Docker's newer tarballs are, too.
    pub(super) fn is_layout(&self) -> bool {
        self.documents.contains_key(&b"oci-layout"[..])
    }

    /// Returns a document at the top of the archive.
    pub(super) fn document(&self, name: &str) -> Result<&[u8]> {
        self.optional(name).ok_or_else(|| Error::input(format!("no {name} found")))
    }

    /// Returns a document at the top of the archive, if present.
    pub(super) fn optional(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(name.as_bytes()).map(Vec::as_slice)
    }

    /// Returns the file at `path`, following links.
    pub(super) fn file(&self, path: &str) -> Result<&ReceivedFile> {
        let entry = Entry::new(path, EntryKind::File, 0);
        let mut at = &entry_path(&entry)?;
        let missing = || Error::new(ErrorKind::NotFound, format!("`{}` is not in the archive", path.escape_debug()));
        for _ in 0..LINKS {
            match self.links.get(at) {
                Some(target) => at = target,
                None => {
                    claimed(at).map_or(Ok(()), |digest| self.check_blob(&digest))?;
                    return self.files.get(at).ok_or_else(missing);
                }
            }
        }
        Err(Error::input(format!("`{}` is a loop of links", path.escape_debug())))
    }
}

/// A blob being written to the store by a thread.
struct Writing<'scope> {
    path: Vec<u8>,
    /// The digest that its path says.
    claimed: Option<Digest>,
    /// Its first bytes.
    start: Vec<u8>,
    thread: ScopedJoinHandle<'scope, Result<(Digest, u64)>>,
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// Passes the data of the current entry to its writer; returns its first bytes.
fn feed(reader: &mut Reader<impl Read>, pieces: &SyncSender<Piece>, import: &Import<'_>) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    loop {
        import.work.check()?;
        let mut bytes = Vec::with_capacity(PIECE);
        let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut bytes);
        if start.is_empty() {
            start = bytes[..bytes.len().min(START)].to_vec();
        }
        let is_end = bytes.is_empty() && read.is_ok();
        // A writer that has stopped reports why when it is joined.
        if pieces.send(if is_end { Piece::End } else { Piece::Bytes(bytes) }).is_err() || is_end {
            return Ok(start);
        }
        read?;
    }
}

/// Stores the received bytes. If the blob is already stored they are only checked: an archive with wrong digests
/// is refused whatever came before it.
fn write(
    pieces: Receiver<Piece>,
    expected: Option<&Descriptor>,
    store: &dyn ImageStore,
    task: Task,
) -> Result<(Digest, u64)> {
    if let Some(expected) = expected
        && store.info(&expected.digest)?.is_some()
    {
        check(pieces, expected, &task)?;
        task.skipped("exists");
        return Ok((expected.digest.clone(), expected.size));
    }
    let mut writer = ingest_anew(store, expected)?;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => {
                writer.write_all(&bytes)?;
                task.advance(bytes.len() as u64);
            }
            Piece::End => {
                let info = writer.commit(BlobMeta::default())?;
                task.done("");
                return Ok((info.digest, info.size));
            }
        }
    }
    Err(ended())
}

/// Starts to write a blob from its first byte: the archive has all of them anyway, so those left by an earlier
/// import need not be trusted.
pub(super) fn ingest_anew<'a>(
    store: &'a dyn ImageStore,
    expected: Option<&Descriptor>,
) -> Result<Box<dyn BlobWriter + 'a>> {
    let writer = store.ingest(expected)?;
    if writer.offset() == 0 {
        return Ok(writer);
    }
    drop(writer);
    store.ingest(expected)
}

fn check(pieces: Receiver<Piece>, expected: &Descriptor, task: &Task) -> Result<()> {
    let mut hasher = Hasher::new(expected.digest.algorithm());
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => {
                hasher.update(&bytes);
                task.advance(bytes.len() as u64);
            }
            Piece::End => return is_what_it_says(expected, hasher),
        }
    }
    Err(ended())
}

fn is_what_it_says(expected: &Descriptor, hasher: Hasher) -> Result<()> {
    let found = hasher.finish();
    if found == expected.digest {
        return Ok(());
    }
    Err(Error::corrupt(format!("blob {} has the digest {found}", expected.digest)))
}

/// Returns the error of an input that ended: the thread that reads the archive reports why.
fn ended() -> Error {
    Error::cancelled()
}

/// Returns the descriptor that a file's path implies; `None` if it is not the path of a blob, like those of Docker's
/// layers, or of files that archivers and desktops leave among the blobs.
fn blob(path: &[u8], entry: &Entry) -> Option<Descriptor> {
    Some(Descriptor::new(MediaType::from("application/octet-stream".to_owned()), claimed(path)?, entry.size))
}

/// Returns the digest in the path of a blob.
fn claimed(path: &[u8]) -> Option<Digest> {
    let name = std::str::from_utf8(path.strip_prefix(b"blobs/")?).ok()?;
    let (algorithm, hex) = name.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn document(entry: &Entry, reader: &mut impl Read) -> Result<Vec<u8>> {
    if entry.size > MANIFEST_LIMIT {
        let (name, size) = (entry.display(), entry.size);
        return Err(Error::input(format!("{name} has {size} bytes, more than the limit of {MANIFEST_LIMIT}")));
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}
