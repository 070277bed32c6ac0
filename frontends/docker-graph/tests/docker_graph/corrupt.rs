//! Data roots that are not what dockerd wrote.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use longshore_core::oci::Digest;
use longshore_core::{Cancel, Error, ErrorKind, Store, Work};
use longshore_testkit::docker::{BuiltImage, GraphDriver, SplitEntry, gzip, split};
use serde_json::Value;

use super::{Data, artifact, assert_error, export, failed_export, layers, read, tar_source};

/// Writes a tar-split for the second layer.
fn with_tar_split(bytes: &[u8]) -> (Data, BuiltImage) {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    fs::write(data.layer(&image, 1).join("tar-split.json.gz"), bytes).unwrap();
    (data, image)
}

fn error_with_tar_split(bytes: &[u8]) -> Error {
    let (data, image) = with_tar_split(bytes);
    let error = data.open(":app:1").unwrap_err();
    let words = format!("the tar-split of layer {} is incomplete", image.layers[1].diff_id);
    assert_error(&error, ErrorKind::Corrupt, &words, "");
    error
}

#[test]
fn a_tar_split_that_is_not_whole() {
    let list = split(&layers()[1]);
    let (json, whole) = (list.json(), list.gzip());
    let flipped = [&whole[..whole.len() / 2], &[whole[whole.len() / 2] ^ 0xff], &whole[whole.len() / 2 + 1..]].concat();
    for (bytes, words) in [
        (whole[..whole.len() / 2].to_vec(), "damaged or truncated"),
        (whole[..whole.len() - 4].to_vec(), "damaged or truncated"),
        (flipped, ""),
        ([&whole[..], b"junk"].concat(), "damaged or truncated"),
        (gzip(&json[..json.len() / 2]), "it is truncated"),
        (gzip(&json[..json.len() - 1]), "it is truncated"),
        (gzip(b"\0\x01\x02\n"), "entry 0: it is malformed"),
        (gzip(b"null\n"), "entry 0: it is malformed"),
        (gzip(&[b' '; (16 << 20) + 1]), "entry 0: it is too long"),
        (Vec::new(), "it is not compressed with gzip"),
        (b"garbage".to_vec(), "it is not compressed with gzip"),
        (json.clone(), "it is not compressed with gzip"),
        (b"\xfd7zXZ\0".to_vec(), "it is not compressed with gzip"),
    ] {
        let error = error_with_tar_split(&bytes);
        assert!(error.with_causes().contains(words), "{} / {words}", error.with_causes());
    }
}

#[test]
fn sizes_that_do_not_add_up() {
    let line = |position: u64| {
        format!(r#"{{"type":1,"name":"a","size":{},"payload":"AAAAAAAAAAE=","position":{position}}}"#, u64::MAX / 2)
    };
    let lines: String = (0..3).map(|position| line(position) + "\n").collect();
    let error = error_with_tar_split(&gzip(lines.as_bytes()));
    assert!(error.with_causes().contains("its sizes do not add up"));
}

/// A size that adds up, but not to a place in a file.
#[test]
fn a_size_that_no_archive_can_have() {
    for size in [i64::MAX as u64, u64::MAX - 511, u64::MAX] {
        let line =
            format!("{{\"type\":1,\"name\":\"a\",\"size\":{size},\"payload\":\"AAAAAAAAAAE=\",\"position\":0}}\n");
        let (data, image) = with_tar_split(&gzip(line.as_bytes()));
        let directory = tempfile::tempdir().unwrap();
        let images = data.open(":app:1").unwrap();
        let error = export(images, directory.path(), "compression=uncompressed", Store::Spool).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{size}: {}", error.with_causes());
        assert!(error.with_causes().contains(image.layers[1].diff_id.hex()), "{}", error.with_causes());
        assert!(error.with_causes().contains("more than a file can have"), "{}", error.with_causes());
    }
}

/// Cut where a line ends, or with lines that are not its own: what comes out has another digest.
#[test]
fn a_tar_split_of_something_else() {
    let list = split(&layers()[1]);
    let mut cut = list.clone();
    cut.entries.truncate(cut.entries.len() / 2 / 2 * 2);
    for bytes in [cut.gzip(), gzip(b"")] {
        let (data, image) = with_tar_split(&bytes);
        let error = failed_export(&data, ":app:1");
        assert!(error.with_causes().contains(image.layers[1].diff_id.hex()), "{}", error.with_causes());
    }
    let mut edited = list;
    let header = edited.entries.iter_mut().find_map(|entry| match entry {
        SplitEntry::Segment(bytes) if bytes.len() >= 512 => Some(bytes),
        _ => None,
    });
    // The device of a file that is none: no checksum of a reader tells, as the one beside it is changed too.
    let header = header.unwrap();
    (header[108], header[109]) = (header[109] ^ 1, header[108] ^ 1);
    let (data, image) = with_tar_split(&edited.gzip());
    let error = failed_export(&data, ":app:1");
    assert!(error.with_causes().contains(image.layers[1].diff_id.hex()), "{}", error.with_causes());
}

#[test]
fn wrong_checksums() {
    let mut list = split(&layers()[1]);
    for entry in &mut list.entries {
        if let SplitEntry::File { checksum: Some(checksum), .. } = entry {
            *checksum ^= 1;
        }
    }
    let (data, image) = with_tar_split(&list.gzip());
    let error = failed_export(&data, ":app:1");
    assert_error(&error, ErrorKind::Corrupt, "it was changed: its CRC-64 is", "");
    assert!(error.with_causes().contains(&data.files(&image, 1).display().to_string()));
}

/// A file with content of the second layer.
fn some_file(data: &Data, image: &BuiltImage) -> PathBuf {
    let mut json = String::new();
    let list = fs::File::open(data.layer(image, 1).join("tar-split.json.gz")).unwrap();
    GzDecoder::new(list).read_to_string(&mut json).unwrap();
    let mut entries = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let file = entries.rfind(|entry| entry["size"].as_u64().unwrap_or(0) > 100).unwrap();
    data.files(image, 1).join(file["name"].as_str().unwrap())
}

#[test]
fn files_that_were_edited() {
    for driver in GraphDriver::ALL {
        let (data, image) = Data::with_image(driver);
        let path = some_file(&data, &image);
        let content = fs::read(&path).unwrap();
        let mut other = content.clone();
        *other.last_mut().unwrap() ^= 1;
        fs::write(&path, &other).unwrap();
        assert_error(&failed_export(&data, ":app:1"), ErrorKind::Corrupt, "it was changed: its CRC-64 is", "");
        for other in [&content[1..], &[&content[..], b"more"].concat(), b""] {
            fs::write(&path, other).unwrap();
            let words = format!("it was changed: it has {} bytes, its layer has {}", other.len(), content.len());
            assert_error(&failed_export(&data, ":app:1"), ErrorKind::Corrupt, &words, "");
        }
        fs::remove_file(&path).unwrap();
        let error = failed_export(&data, ":app:1");
        assert_error(&error, ErrorKind::NotFound, "it is missing", "was the image removed while it was being read?");
        assert!(error.with_causes().contains(path.file_name().unwrap().to_str().unwrap()));
    }
}

#[test]
fn files_that_change_while_they_are_read() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let images = data.open(":app:1").unwrap();
    let layer = &artifact(&images[0]).layers[1];
    let whole = read(layer).unwrap().len();
    for remove_all in [true, false] {
        let mut stream = tar_source(layer).stream.open().unwrap();
        let mut start = vec![0; 2000];
        stream.read_exact(&mut start).unwrap();
        match remove_all {
            // As `docker rmi` does; what is open stays.
            false => fs::remove_dir_all(data.files(&image, 1)).unwrap(),
            true => fs::rename(some_file(&data, &image), data.path().join("elsewhere")).unwrap(),
        }
        let mut rest = Vec::new();
        let error = Error::from(stream.read_to_end(&mut rest).unwrap_err());
        assert_error(&error, ErrorKind::NotFound, "it is missing", "was the image removed while it was being read?");
        assert!(start.len() + rest.len() < whole);
    }
    fs::remove_dir_all(data.layer(&image, 1)).unwrap();
    let error = read(layer).unwrap_err();
    assert_error(&error, ErrorKind::NotFound, "are missing", "");
}

#[test]
fn files_that_shrink_while_they_are_read() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let images = data.open(":app:1").unwrap();
    let path = some_file(&data, &image);
    let size = fs::metadata(&path).unwrap().len();
    let content = fs::read(&path).unwrap();
    let tar = read(&artifact(&images[0]).layers[1]).unwrap();
    let at = tar.windows(content.len()).position(|window| window == content).unwrap();
    let mut stream = tar_source(&artifact(&images[0]).layers[1]).stream.open().unwrap();
    stream.read_exact(&mut vec![0; at + 10]).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    let error = Error::from(stream.read_to_end(&mut Vec::new()).unwrap_err());
    let words = format!("it was changed: it ends {} bytes early", size - 10);
    assert_error(&error, ErrorKind::Corrupt, &words, "");
}

#[test]
fn layers_that_are_missing_or_contradict() {
    let other = Digest::of(b"other").to_string();
    // What is written in place of a file of the second layer; nothing: it is removed.
    for (file, text, kind, words) in [
        ("diff", Some(other.as_str()), ErrorKind::Corrupt, "has the diffID `"),
        ("diff", Some("\u{1b}[2J"), ErrorKind::Corrupt, "has the diffID `\\u{1b}"),
        ("diff", None, ErrorKind::NotFound, "not found"),
        ("parent", Some(other.as_str()), ErrorKind::Corrupt, "has the parent `"),
        ("parent", None, ErrorKind::Corrupt, "has the parent `none`"),
        ("cache-id", None, ErrorKind::Corrupt, "has no `cache-id`"),
        ("tar-split.json.gz", None, ErrorKind::Corrupt, "has no tar-split"),
        ("descriptor.json", Some("{}"), ErrorKind::Unsupported, "only its publisher distributes"),
    ] {
        let (data, image) = Data::with_image(GraphDriver::Overlay2);
        let path = data.layer(&image, 1).join(file);
        text.map_or_else(|| fs::remove_file(&path), |text| fs::write(&path, text)).unwrap();
        let error = data.open(":app:1").unwrap_err();
        assert_error(&error, kind, words, "");
        assert!(error.with_causes().contains(&image.id.to_string()), "{}", error.with_causes());
    }
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let first = data.layer(&image, 0);
    fs::write(first.join("parent"), &other).unwrap();
    assert_error(&data.open(":app:1").unwrap_err(), ErrorKind::Corrupt, "expected none", "");
    fs::remove_dir_all(&first).unwrap();
    let words = format!("layer {} not found", image.layers[0].chain_id);
    assert_error(&data.open(":app:1").unwrap_err(), ErrorKind::NotFound, &words, "was the image removed");
}

#[test]
fn configs_that_are_not_what_they_were() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let path = data.root.config_path(&image.id);
    let edited = [&image.config[..], b" "].concat();
    fs::write(&path, &edited).unwrap();
    let words = format!("the config of image {} has the digest {}", image.id, Digest::of(&edited));
    assert_error(
        &data.open(":app:1").unwrap_err(),
        ErrorKind::Corrupt,
        &words,
        "changed by something other than Docker",
    );
    fs::remove_file(&path).unwrap();
    assert_error(&data.open(":app:1").unwrap_err(), ErrorKind::NotFound, "not found", "");

    let mut config: Value = serde_json::from_slice(&image.config).unwrap();
    let diff_ids = config["rootfs"]["diff_ids"].as_array_mut().unwrap();
    diff_ids[2] = Digest::of(b"other").to_string().into();
    let id = data.root.image(&serde_json::to_vec(&config).unwrap());
    assert_error(&data.open(&format!(":{id}")).unwrap_err(), ErrorKind::NotFound, "not found", "");
    for (config, words) in [("[1]", "not a JSON image configuration"), (r#"{"rootfs":{"diff_ids":7}}"#, "rootfs")] {
        let id = data.root.image(config.as_bytes());
        let error = data.open(&format!(":{id}")).unwrap_err();
        assert_error(&error, ErrorKind::InvalidInput, words, "");
        assert!(error.with_causes().contains(&id.to_string()));
    }
}

#[test]
fn what_dockerd_has_not_finished_is_ignored() {
    let (data, image) = Data::with_image(GraphDriver::Overlay2);
    let layers = data.layer(&image, 0).parent().unwrap().to_owned();
    for name in [format!("{}-1234-removing", image.layers[0].chain_id.hex()), "0".repeat(63), "x".repeat(64)] {
        fs::create_dir(layers.join(&name)).unwrap();
        fs::write(layers.join(&name).join("diff"), "garbage").unwrap();
    }
    fs::create_dir_all(layers.parent().unwrap().join("tmp/write-set-1")).unwrap();
    let configs = data.root.config_path(&image.id).parent().unwrap().to_owned();
    for name in [".tmp-1234".to_owned(), image.id.hex()[..63].to_owned(), "x".repeat(64)] {
        fs::write(configs.join(name), "garbage").unwrap();
    }
    let opened = data.open(&format!(":{}", &image.id.hex()[..12])).unwrap();
    assert_eq!(read(&artifact(&opened[0]).layers[0]).unwrap(), super::layers()[0]);
}

#[test]
fn opening_can_be_stopped() {
    let (data, _) = Data::with_image(GraphDriver::Overlay2);
    let cancel = Cancel::default();
    cancel.cancel();
    let error = data.open_in(":app:1", Work::default().with_cancel(cancel)).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Cancelled, "cancelled"));
}
