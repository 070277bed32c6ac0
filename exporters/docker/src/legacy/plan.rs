//! The contents of the archive, in the order in which they are written.
//!
//! Where `docker save` is not deterministic, this is:
//! - Docker saves images in the order of a Go map, here they keep the given order. It decides which directory has
//!   the file of a shared layer, the time of a shared directory, and the order in `manifest.json`.
//! - In Docker, a directory whose `layer.tar` is a symbolic link has the time of the export, as have its files; here
//!   it has the time of the image, like all directories.
//!
//! Docker's modes include the file type (`0100644`), and its entries user names; the tar writer writes
//! neither, and no reader needs them. A symbolic link may precede its target, as in Docker.

use std::collections::BTreeMap;

use longshore_core::archive::{Entry, EntryKind};
use longshore_core::oci::{Descriptor, Digest, ImageConfig, ImageName};
use longshore_core::{Context, Error, ErrorKind, Result};

use super::config::V1Image;
use super::manifest::{self, Listed};
use super::v1::{self, V1Layer};

/// The tar stream in the directory of a layer.
pub(super) const LAYER: &str = "layer.tar";

/// An image to be saved.
#[derive(Debug, Clone)]
pub(crate) struct SavedImage {
    /// Its configuration, whose digest is the ID of the image.
    pub(crate) config: Vec<u8>,
    pub(crate) names: Vec<ImageName>,
    /// The base first.
    pub(crate) layers: Vec<SavedLayer>,
    /// The ID of the image that it was built on.
    pub(crate) parent: Option<Digest>,
}

/// A layer of an image to be saved.
#[derive(Debug, Clone)]
pub(crate) struct SavedLayer {
    pub(crate) diff_id: Digest,
    /// Where to get it, if it must not be distributed.
    pub(crate) foreign: Option<Descriptor>,
}

/// An entry of the archive, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) entry: Entry,
    pub(crate) content: Content,
}

/// The data of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Nothing,
    Bytes(Vec<u8>),
    /// The uncompressed tar stream with this diffID.
    Layer(Digest),
}

/// Returns the records of the archive of `images`, sorted by path.
///
/// The tar stream of a layer is written at its first place in the order of images and layers; other places have
/// a symbolic link to it or, without `symlinks`, the tar stream again. `size_of` returns the size of a tar
/// stream in bytes. An image that is given twice is saved once, with the names of both.
///
/// # Errors
/// An image without layers, or with other layers than in its configuration; a configuration that Docker
/// cannot read.
pub(crate) fn records(images: &[SavedImage], symlinks: bool, size_of: &dyn Fn(&Digest) -> u64) -> Result<Vec<Record>> {
    let mut archive = Archive { symlinks, size_of, records: BTreeMap::new(), places: BTreeMap::new() };
    let mut listed: Vec<Listed> = Vec::new();
    let mut by_id: BTreeMap<Digest, usize> = BTreeMap::new();
    for image in images {
        let id = Digest::of(&image.config);
        let at = *by_id.entry(id.clone()).or_insert(listed.len());
        check(image).attempt(|| format!("cannot save image {id}"))?;
        if at == listed.len() {
            let layers = archive.add_image(&id, image).attempt(|| format!("cannot save image {id}"))?;
            listed.push(Listed::new(id, layers));
        }
        listed[at].add(image);
    }
    for (name, bytes) in manifest::documents(&listed)? {
        archive.add(name.to_owned(), "", 0, Content::Bytes(bytes));
    }
    Ok(archive.records.into_values().collect())
}

/// Fails for an image that cannot be saved, or that Docker would not load.
fn check(image: &SavedImage) -> Result<()> {
    let diff_ids = ImageConfig::parse(&image.config)?.diff_ids()?;
    let layers = &image.layers;
    if diff_ids.len() != layers.len() {
        let message = format!("it has {} layers, but {} in its configuration", layers.len(), diff_ids.len());
        return Err(Error::input(message));
    }
    if layers.is_empty() {
        return Err(no_layers());
    }
    for (number, (layer, diff_id)) in (1..).zip(layers.iter().zip(&diff_ids)) {
        if layer.diff_id != *diff_id {
            let message = format!("layer {number} is {}, but {diff_id} in its configuration", layer.diff_id);
            return Err(Error::input(message));
        }
    }
    Ok(())
}

/// Returns the error for an image without layers, in Docker's words.
pub(super) fn no_layers() -> Error {
    Error::new(ErrorKind::Unsupported, "empty export - not implemented")
        .with_hint("format=combined supports images without layers")
}

struct Archive<'a> {
    symlinks: bool,
    size_of: &'a dyn Fn(&Digest) -> u64,
    /// By top-level name and name below it: paths are sorted component by component, a directory before its contents.
    records: BTreeMap<(String, &'static str), Record>,
    /// The directory with the tar stream of each layer.
    places: BTreeMap<Digest, String>,
}

impl Archive<'_> {
    /// Adds the records of one image, and returns the IDs of its layers.
    fn add_image(&mut self, id: &Digest, image: &SavedImage) -> Result<Vec<String>> {
        let mtime = V1Image::parse(&image.config)?.created.mtime();
        let diff_ids: Vec<Digest> = image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let layers = v1::layers(&image.config, &diff_ids)?;
        self.add(format!("{}.json", id.hex()), "", mtime, Content::Bytes(image.config.clone()));
        let mut ids = Vec::with_capacity(layers.len());
        for (layer, diff_id) in layers.into_iter().zip(diff_ids) {
            ids.push(layer.id.clone());
            // The same ID means the same chain of layers. Only `os` in `json` could differ: the first image's counts.
            if !self.records.contains_key(&(layer.id.clone(), "")) {
                self.add_layer(layer, diff_id, mtime);
            }
        }
        Ok(ids)
    }

    fn add_layer(&mut self, V1Layer { id, json }: V1Layer, diff_id: Digest, mtime: i64) {
        self.add(id.clone(), "", mtime, Content::Nothing);
        self.add(id.clone(), "VERSION", mtime, Content::Bytes(b"1.0".to_vec()));
        self.add(id.clone(), "json", mtime, Content::Bytes(json));
        match self.places.get(&diff_id).filter(|_| self.symlinks) {
            Some(place) => {
                let link = format!("../{place}/{LAYER}").into_bytes();
                let path = format!("{id}/{LAYER}");
                let entry = Entry { link, mtime, ..Entry::new(path, EntryKind::Symlink, 0o777) };
                self.records.insert((id, LAYER), Record { entry, content: Content::Nothing });
            }
            None => {
                self.places.insert(diff_id.clone(), id.clone());
                self.add(id, LAYER, mtime, Content::Layer(diff_id));
            }
        }
    }

    /// Adds a file, or a directory if there is no content.
    fn add(&mut self, top: String, below: &'static str, mtime: i64, content: Content) {
        let path = if below.is_empty() { top.clone() } else { format!("{top}/{below}") };
        let entry = match &content {
            Content::Nothing => Entry::new(path, EntryKind::Directory, 0o755),
            Content::Bytes(bytes) => Entry::file(path, 0o644, bytes.len() as u64),
            Content::Layer(diff_id) => Entry::file(path, 0o644, (self.size_of)(diff_id)),
        };
        self.records.insert((top, below), Record { entry: Entry { mtime, ..entry }, content });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use longshore_core::archive::{Reader, Writer};

    use super::super::samples::{ONE, REPEATS, THREE, TWO, config, diff_ids, image};
    use super::*;

    const SIZE: u64 = 10240;

    fn planned(images: &[SavedImage], symlinks: bool) -> Vec<Record> {
        records(images, symlinks, &|_| SIZE).unwrap()
    }

    fn path(record: &Record) -> &str {
        std::str::from_utf8(&record.entry.path).unwrap()
    }

    fn document<'a>(records: &'a [Record], name: &str) -> Option<&'a str> {
        let record = records.iter().find(|record| path(record) == name)?;
        let Content::Bytes(bytes) = &record.content else { panic!("{name} is no document") };
        assert_eq!(record.entry.size, bytes.len() as u64);
        Some(std::str::from_utf8(bytes).unwrap())
    }

    fn several() -> [SavedImage; 4] {
        [
            image(TWO, "ab", &["two:t"]),
            image(THREE, "abc", &["samechain:t"]),
            image(ONE, "a", &["plain:t"]),
            image(REPEATS, "abaa", &["repeat:t"]),
        ]
    }

    /// What dockerd 20.10 saves of these images in this order, with names cut to four digits. The times of
    /// directories with links are ours: Docker's are those of the export.
    #[test]
    fn several_images_are_saved_as_docker_saves_them() {
        let records = planned(&several(), true);
        let short = |path: &[u8]| -> String {
            let cut = |part: &str| match part.split_at_checked(64) {
                Some((id, rest)) => format!("{}{rest}", &id[..4]),
                None => part.to_owned(),
            };
            String::from_utf8(path.to_vec()).unwrap().split('/').map(cut).collect::<Vec<_>>().join("/")
        };
        let lines = records.iter().map(|Record { entry, content }| {
            let link = if entry.link.is_empty() { String::new() } else { format!(" -> {}", short(&entry.link)) };
            let layer = if matches!(content, Content::Layer(_)) { " tar" } else { "" };
            let Entry { kind, mode, size, mtime, .. } = entry;
            format!("{}{link} {kind} {mode:o} {size}{layer} {mtime}", short(&entry.path))
        });
        let expected = "\
17c3 directory 755 0 1293926400
17c3/VERSION file 644 3 1293926400
17c3/json file 644 775 1293926400
17c3/layer.tar file 644 10240 tar 1293926400
1ffc directory 755 0 1672628645
1ffc/VERSION file 644 3 1672628645
1ffc/json file 644 477 1672628645
1ffc/layer.tar -> ../7834/layer.tar symbolic link 777 0 1672628645
5ed1.json file 644 359 1293926400
6ef7 directory 755 0 1714979289
6ef7/VERSION file 644 3 1714979289
6ef7/json file 644 701 1714979289
6ef7/layer.tar -> ../7834/layer.tar symbolic link 777 0 1714979289
6f10.json file 644 259 1714979289
7834 directory 755 0 1672621445
7834/VERSION file 644 3 1672621445
7834/json file 644 401 1672621445
7834/layer.tar file 644 10240 tar 1672621445
b760 directory 755 0 1293926400
b760/VERSION file 644 3 1293926400
b760/json file 644 477 1293926400
b760/layer.tar -> ../dede/layer.tar symbolic link 777 0 1293926400
dede directory 755 0 1672621445
dede/VERSION file 644 3 1672621445
dede/json file 644 515 1672621445
dede/layer.tar file 644 10240 tar 1672621445
e994 directory 755 0 1672628645
e994/VERSION file 644 3 1672628645
e994/json file 644 772 1672628645
e994/layer.tar -> ../7834/layer.tar symbolic link 777 0 1672628645
ed7f.json file 644 421 1672628645
fdc1.json file 644 288 1672621445
manifest.json file 644 1243 0
repositories file 644 329 0";
        assert_eq!(lines.collect::<Vec<_>>().join("\n"), expected);
        for (name, hash) in [
            ("manifest.json", "aa76cef0624810771bd75118b475fc57d8590112b970dbe29d8d70d0d39faf83"),
            ("repositories", "fb9a92900829442342f7e479fcb48089f4fd0666b670caec6b337940700e1ef1"),
        ] {
            assert_eq!(Digest::of(document(&records, name).unwrap().as_bytes()).hex(), hash, "{name}");
        }
    }

    #[test]
    fn a_layer_that_is_there_twice_is_written_twice_without_links() {
        let (linked, copied) = (planned(&several(), true), planned(&several(), false));
        assert_eq!(linked.len(), copied.len());
        let all = &linked;
        for (linked, copied) in all.iter().zip(&copied) {
            if linked.entry.kind == EntryKind::Symlink {
                assert_eq!((copied.entry.kind, copied.entry.mode, copied.entry.size), (EntryKind::File, 0o644, SIZE));
                assert_eq!((path(copied), copied.entry.mtime), (path(linked), linked.entry.mtime));
                let target = std::str::from_utf8(&linked.entry.link).unwrap().strip_prefix("../").unwrap();
                let target = all.iter().find(|record| path(record) == target).unwrap();
                assert_eq!(copied.content, target.content);
            } else {
                assert_eq!(linked, copied);
            }
        }
    }

    #[test]
    fn tar_streams_are_where_the_order_of_images_has_them_first() {
        let mut paths: Option<Vec<String>> = None;
        for order in orders() {
            let all = order.map(|place| several()[place].clone());
            let records = planned(&all, true);
            let found: Vec<String> = records.iter().map(|record| path(record).to_owned()).collect();
            let parts: Vec<Vec<&str>> = found.iter().map(|path| path.split('/').collect()).collect();
            assert!(parts.is_sorted_by(|a, b| a < b), "{found:?}");
            assert_eq!(*paths.get_or_insert(found.clone()), found, "{order:?}");
            let mut first: BTreeMap<Digest, String> = BTreeMap::new();
            for image in &all {
                let diff_ids: Vec<Digest> = image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
                for (layer, diff_id) in v1::layers(&image.config, &diff_ids).unwrap().iter().zip(diff_ids) {
                    let place = first.entry(diff_id.clone()).or_insert_with(|| layer.id.clone());
                    let path = format!("{}/{LAYER}", layer.id);
                    let record = records.iter().find(|record| record.entry.path == path.as_bytes()).unwrap();
                    if *place == layer.id {
                        assert_eq!(record.content, Content::Layer(diff_id), "{order:?}");
                    } else {
                        assert_eq!(record.entry.link, format!("../{place}/{LAYER}").into_bytes(), "{order:?}");
                    }
                }
            }
            let manifest = document(&records, "manifest.json").unwrap();
            let places = all.iter().map(|image| manifest.find(Digest::of(&image.config).hex()).unwrap());
            assert!(places.is_sorted(), "{order:?}");
        }
    }

    /// Returns all orders of four images.
    fn orders() -> Vec<[usize; 4]> {
        let all = (0..256).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6]);
        let orders: Vec<_> = all.filter(|order| (0..4).all(|place| order.contains(&place))).collect();
        assert_eq!(orders.len(), 24);
        orders
    }

    #[test]
    fn times_that_do_not_fit_a_header_are_read_back() {
        let cases = [
            ("1969-12-31T23:59:59Z", 0),
            ("2250-01-01T00:00:00Z", 8_835_955_200),
            ("9999-12-31T23:59:59Z", 0),
            ("0000-01-01T00:00:00Z", 0),
        ];
        for (created, mtime) in cases {
            let text = format!(r#"{{"created":"{created}",@}}"#);
            let mut tar = Writer::new(Vec::new());
            let planned = planned(&[image(&text, "a", &[])], true);
            for Record { entry, content } in &planned {
                match content {
                    Content::Nothing => tar.append(entry, &mut std::io::empty()),
                    Content::Bytes(bytes) => tar.append(entry, &mut &bytes[..]),
                    Content::Layer(_) => tar.append(entry, &mut std::io::repeat(0).take(SIZE)),
                }
                .unwrap();
            }
            let archive = tar.finish().unwrap();
            let mut reader = Reader::new(&archive[..]);
            for record in &planned {
                assert_eq!(reader.next_entry().unwrap().as_ref(), Some(&record.entry), "{created}");
                assert_eq!(record.entry.mtime, if path(record) == "manifest.json" { 0 } else { mtime }, "{created}");
            }
            assert_eq!(reader.next_entry().unwrap(), None);
        }
    }

    #[test]
    fn what_cannot_be_saved_says_why() {
        let hint = "format=combined supports images without layers";
        let other = SavedImage { config: config(ONE, "b"), ..image(ONE, "a", &[]) };
        for (image, kind, cause, hint) in [
            (image(ONE, "", &[]), ErrorKind::Unsupported, "empty export - not implemented", Some(hint)),
            (
                SavedImage { config: config(ONE, "ab"), ..image(ONE, "a", &[]) },
                ErrorKind::InvalidInput,
                "it has 1 layers, but 2 in its configuration",
                None,
            ),
            (
                SavedImage { config: config(ONE, "ab"), ..image(ONE, "", &[]) },
                ErrorKind::InvalidInput,
                "it has 0 layers, but 2 in its configuration",
                None,
            ),
            (
                other,
                ErrorKind::InvalidInput,
                &format!("layer 1 is {}, but {} in its configuration", diff_ids("a")[0], diff_ids("b")[0]),
                None,
            ),
            (
                image(r#"{"config":{"Env":1},@}"#, "a", &[]),
                ErrorKind::InvalidInput,
                "invalid image config: `config.Env`: invalid type: integer `1`, expected a sequence at line 1 column 1",
                None,
            ),
        ] {
            let error = records(&[several()[0].clone(), image.clone()], true, &|_| SIZE).unwrap_err();
            let id = Digest::of(&image.config);
            assert_eq!(error.with_causes(), format!("cannot save image {id}: {cause}"));
            assert_eq!((error.kind(), error.hint()), (kind, hint), "{cause}");
        }
    }
}
