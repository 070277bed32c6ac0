//! Layers from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::layer::{Layer, LayerSource, Rules, TarSource, TarStream};
use longshore_core::oci::History;

use super::{LargeTar, MemoryTar, Random};

/// What a sample layer has beside the files that every one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarOptions {
    /// How many small files.
    pub files: usize,
    /// Whether it deletes files of the layers below: `etc/removed`, and all in `srv/old`. Without, it
    /// has them.
    pub whiteouts: bool,
    /// Whether it has devices, which only root can make.
    pub devices: bool,
    /// How the archive is compressed.
    pub compression: Algorithm,
}

impl Default for TarOptions {
    fn default() -> Self {
        Self { files: 40, whiteouts: true, devices: false, compression: Algorithm::Uncompressed }
    }
}

/// A layer of the archive [`tar_bytes`].
pub fn tar_layer(seed: u64, options: TarOptions) -> Arc<Layer> {
    layer_of(Arc::new(MemoryTar::new(format!("sample:{seed}"), tar_bytes(seed, options))))
}

/// A layer without files.
pub fn empty_layer() -> Arc<Layer> {
    layer_of(Arc::new(MemoryTar::new("sample:empty", archive(&[]))))
}

/// A layer whose files have `bytes` together and are made while they are read.
pub fn large_layer(seed: u64, bytes: u64) -> Arc<Layer> {
    layer_of(Arc::new(LargeTar::new(seed, bytes)))
}

/// A layer of any archive.
pub fn layer_of(stream: Arc<dyn TarStream>) -> Arc<Layer> {
    let history = History { created_by: Some(format!("COPY {} /", stream.name())), ..History::default() };
    Arc::new(Layer::new(LayerSource::Tar(TarSource::new(stream, Rules::default())), history))
}

/// An archive with every kind of file that a layer may have: long names and names that are no UTF-8,
/// links of all kinds, capabilities, odd modes and times, whiteouts.
pub fn tar_bytes(seed: u64, options: TarOptions) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut files = directories();
    files.extend(small_files(&mut random, options.files));
    files.extend(odd_names(&mut random));
    files.extend(odd_kinds(&mut random));
    files.extend(if options.whiteouts { whiteouts(&mut random) } else { what_is_deleted(&mut random) });
    if options.devices {
        files.extend(devices());
    }
    for (entry, content) in &mut files {
        entry.size = content.len() as u64;
        if entry.mtime == 0 {
            entry.mtime = 1_500_000_000 + random.below(100_000_000).cast_signed();
        }
    }
    let plain = archive(&files);
    let encoding = Encoding::new(options.compression, None).expect("every algorithm has a default level");
    plain.chunks(1 << 20).flat_map(|block| encoding.encode(block).expect("blocks can be compressed")).collect()
}

type File = (Entry, Vec<u8>);

fn archive(files: &[File]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in files {
        writer.append(entry, &mut &content[..]).expect("an archive in memory can be written");
    }
    writer.finish().expect("an archive in memory can be written")
}

fn directories() -> Vec<File> {
    let directory = |(path, mode): (&str, u32)| (Entry::new(path, EntryKind::Directory, mode), Vec::new());
    let paths = [
        ("etc", 0o755),
        ("opt", 0o755),
        ("opt/data", 0o2775),
        ("srv", 0o755),
        ("srv/old", 0o700),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("usr/bin", 0o755),
    ];
    paths.map(directory).into()
}

fn small_files(random: &mut Random, count: usize) -> Vec<File> {
    let mut file = |number: usize| {
        let length = random.below(6000) as usize;
        let content = if number.is_multiple_of(3) { random.bytes(length) } else { random.text(length) };
        let mut entry = Entry::file(format!("opt/data/file-{number:03}"), 0o640 + (number as u32 & 5), 0);
        (entry.uid, entry.gid) = (random.below(1000), random.below(1000));
        (entry, content)
    };
    (0..count).map(&mut file).collect()
}

fn odd_names(random: &mut Random) -> Vec<File> {
    let long = |length: usize| format!("opt/{}", "n".repeat(length - 4)).into_bytes();
    // Fits into ustar's two fields for a name, but not into one of them.
    let split = format!("opt/{}/{}", "d".repeat(80), "e".repeat(60)).into_bytes();
    let deep = format!("opt/{}/{}", "f".repeat(160), "g".repeat(120)).into_bytes();
    let names = [
        long(100),
        long(101),
        long(155),
        long(200),
        split,
        deep,
        b"opt/latin-\xe9\xff".to_vec(),
        "opt/größe-文書".into(),
        b"opt/a b\nc\\d*".to_vec(),
    ];
    names.into_iter().map(|name| (Entry::file(name, 0o644, 0), random.text(30))).collect()
}

fn odd_kinds(random: &mut Random) -> Vec<File> {
    let capability = vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let xattrs = BTreeMap::from([(b"security.capability".to_vec(), capability)]);
    let tool = Entry { xattrs, ..Entry::file("usr/bin/tool", 0o755, 0) };
    let link = |path: &str, kind, to: &str| {
        let mode = if kind == EntryKind::Symlink { 0o777 } else { 0o755 };
        (Entry { link: to.into(), ..Entry::new(path, kind, mode) }, Vec::new())
    };
    vec![
        (tool, random.text(5000)),
        (Entry::file("usr/bin/su", 0o4755, 0), random.text(500)),
        (Entry::file("etc/empty", 0o600, 0), Vec::new()),
        (Entry { mtime: -86_400, ..Entry::file("etc/before-1970", 0o644, 0) }, random.text(10)),
        (Entry::file("opt/incompressible", 0o644, 0), random.bytes(100_000)),
        (Entry::file("opt/compressible", 0o644, 0), random.text(300_000)),
        link("usr/bin/tool-again", EntryKind::HardLink, "usr/bin/tool"),
        link("usr/bin/relative", EntryKind::Symlink, "tool"),
        link("usr/bin/absolute", EntryKind::Symlink, "/usr/bin/tool"),
        link("usr/bin/dangling", EntryKind::Symlink, "../nowhere/größe"),
        (Entry::new("tmp/pipe", EntryKind::Fifo, 0o600), Vec::new()),
    ]
}

fn whiteouts(random: &mut Random) -> Vec<File> {
    vec![
        (Entry::file("etc/.wh.removed", 0o600, 0), Vec::new()),
        (Entry::file("srv/old/.wh..wh..opq", 0o600, 0), Vec::new()),
        (Entry::file("srv/old/new", 0o644, 0), random.text(100)),
    ]
}

fn what_is_deleted(random: &mut Random) -> Vec<File> {
    vec![
        (Entry::file("etc/removed", 0o644, 0), random.text(100)),
        (Entry::file("srv/old/hidden", 0o644, 0), random.text(100)),
    ]
}

fn devices() -> Vec<File> {
    let device = |path: &str, kind, device| (Entry { device, ..Entry::new(path, kind, 0o660) }, Vec::new());
    vec![device("tmp/null", EntryKind::CharDevice, (1, 3)), device("tmp/disk", EntryKind::BlockDevice, (7, 300))]
}
