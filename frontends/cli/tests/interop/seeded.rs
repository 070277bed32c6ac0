//! Small images in every form, contents and compression, made once for all tests.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longshore_testkit::sample::Random;
use serde_json::Value;

use super::check::{Given, Verdict};
use super::command::{longshore_export, run};
use super::fixture::{COMPRESSIONS, fresh};
use super::image::{HOST, Image, images};
use super::tree::Tree;

const UNCOMPRESSED: &str = COMPRESSIONS[2];

/// What is in an artifact, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    OneImage,
    /// With an SBOM and provenance of each platform, and annotations.
    TwoPlatforms,
    ThreeImages,
}

pub(crate) const CONTENTS: [Contents; 3] = [Contents::OneImage, Contents::TwoPlatforms, Contents::ThreeImages];

/// What `longshore export` wrote it as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Archive,
    Directory,
    DockerTar,
    /// Only uncompressed.
    LegacyTar,
}

/// What a reader is given.
#[derive(Debug)]
pub(crate) struct Artifact<'a> {
    pub(crate) seeded: &'a Seeded,
    pub(crate) form: Form,
    pub(crate) contents: Contents,
    pub(crate) compression: &'static str,
    pub(crate) path: PathBuf,
    /// The same images as a directory.
    pub(crate) layout: PathBuf,
    pub(crate) images: Vec<Image>,
}

/// All artifacts.
#[derive(Debug)]
pub(crate) struct Seeded {
    directory: PathBuf,
    /// Held as long as the process lives: the next run replaces the directory.
    _lock: File,
}

impl Given for Seeded {
    fn given() -> Option<&'static Self> {
        static SEEDED: OnceLock<Seeded> = OnceLock::new();
        Some(SEEDED.get_or_init(Seeded::new))
    }
}

impl Contents {
    fn stem(self) -> &'static str {
        match self {
            Self::OneImage => "one",
            Self::TwoPlatforms => "two",
            Self::ThreeImages => "three",
        }
    }

    fn file(self, form: Form, compression: &str) -> String {
        let stem = self.stem();
        match form {
            Form::Archive => format!("{stem}-{compression}.tar"),
            Form::Directory => format!("{stem}-{compression}"),
            Form::DockerTar => format!("{stem}-{compression}-docker.tar"),
            Form::LegacyTar => format!("{stem}-{compression}-legacy.tar"),
        }
    }
}

impl Seeded {
    fn new() -> Self {
        let (directory, lock) = fresh("seeded");
        write_trees(&directory);
        let seeded = Self { directory, _lock: lock };
        seeded.export_one_and_two();
        seeded.export_three();
        seeded.export_legacy();
        seeded
    }

    fn export_one_and_two(&self) {
        let other = if HOST == "arm64" { "amd64" } else { "arm64" };
        let sources = [
            (Contents::OneImage, vec!["rootfs:base".to_owned()]),
            (Contents::TwoPlatforms, vec![format!("linux/{HOST}=rootfs:base"), format!("linux/{other}=rootfs:other")]),
        ];
        for (contents, sources) in sources {
            let mut command = longshore_export(&self.directory);
            for compression in COMPRESSIONS {
                for form in [Form::Archive, Form::Directory, Form::DockerTar] {
                    let name = name("v1");
                    command.arg("-o").arg(output(form, contents, compression, &name));
                }
            }
            let metadata = format!("{}.json", contents.stem());
            if contents == Contents::TwoPlatforms {
                fs::write(self.directory.join("sbom.json"), r#"{"spdxVersion":"SPDX-2.3","name":"seeded"}"#).unwrap();
                command.args(["--attest", "type=sbom,file=sbom.json", "--attest", "type=provenance,mode=max"]);
                command.args([
                    "--annotation",
                    "index:interop=index",
                    "--annotation",
                    "manifest,manifest-descriptor:a=b",
                ]);
            }
            run(command.args(["--layer", "v1", "--metadata-file", &metadata]).args(sources));
        }
    }

    /// Three runs into one directory give three images, and the directory is the source of the rest.
    fn export_three(&self) {
        let contents = Contents::ThreeImages;
        for tag in ["v1", "v2", "v3"] {
            let mut command = longshore_export(&self.directory);
            for compression in COMPRESSIONS {
                command.arg("-o").arg(output(Form::Directory, contents, compression, &name(tag)));
            }
            run(command.args(["--layer", tag, "rootfs:base"]));
        }
        for compression in COMPRESSIONS {
            let mut command = longshore_export(&self.directory);
            for form in [Form::Archive, Form::DockerTar] {
                command.arg("-o").arg(output(form, contents, compression, "*"));
            }
            let layout = contents.file(Form::Directory, compression);
            let metadata = format!("{layout}.json");
            run(command.arg(format!("oci:{layout}")).args(["--metadata-file", &metadata]));
        }
    }

    fn export_legacy(&self) {
        for contents in CONTENTS {
            let mut command = longshore_export(&self.directory);
            command.arg(format!("oci:{}", contents.file(Form::Directory, UNCOMPRESSED)));
            run(command.arg("-o").arg(output(Form::LegacyTar, contents, UNCOMPRESSED, "*")));
        }
    }

    /// Asks a reader about every `format=legacy`.
    pub(crate) fn ask_legacy(&self, reader: impl Fn(&Artifact<'_>) -> Verdict) -> [Verdict; 3] {
        CONTENTS.map(|contents| reader(&self.artifact(Form::LegacyTar, contents, UNCOMPRESSED)))
    }

    /// Asks a reader about every artifact of a form.
    pub(crate) fn ask(&self, form: Form, reader: impl Fn(&Artifact<'_>) -> Verdict) -> [[Verdict; 3]; 3] {
        CONTENTS.map(|contents| COMPRESSIONS.map(|compression| reader(&self.artifact(form, contents, compression))))
    }

    pub(crate) fn artifact(&self, form: Form, contents: Contents, compression: &'static str) -> Artifact<'_> {
        let path = self.directory.join(contents.file(form, compression));
        let layout = self.directory.join(contents.file(Form::Directory, compression));
        let images = self.images(contents, compression, &layout);
        Artifact { seeded: self, form, contents, compression, path, layout, images }
    }

    /// What `--metadata-file` says is in them, of each form the same.
    fn images(&self, contents: Contents, compression: &str, layout: &Path) -> Vec<Image> {
        let metadata = match contents {
            Contents::ThreeImages => layout.with_extension("json"),
            _ => self.directory.join(contents.stem()).with_extension("json"),
        };
        let metadata: Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
        let files = [Form::Archive, Form::Directory, Form::DockerTar].map(|form| contents.file(form, compression));
        let outputs = metadata["longshore.outputs"].as_array().unwrap().iter();
        let outputs = outputs.filter(|output| files.iter().any(|file| output["destination"] == file.as_str()));
        let mut found: Vec<_> = outputs.map(|output| images(layout, output)).collect();
        let first = found.remove(0);
        assert!(!found.is_empty() && found.iter().all(|other| *other == first), "{metadata}");
        first
    }

    /// What an unpacked image must be equal to. Not every tool keeps the times of directories that two layers have.
    pub(crate) fn tree(&self, image: &Image) -> Tree {
        let [base, layer] = ["base", image.tag()].map(|tree| Tree::read(&self.directory.join(tree)));
        base.with(layer).without_directory_times()
    }
}

fn name(tag: &str) -> String {
    format!("example.com/seeded-{tag}:{tag}")
}

fn output(form: Form, contents: Contents, compression: &str, name: &str) -> String {
    let kind = match form {
        Form::Archive => "oci",
        Form::Directory => "oci,tar=false",
        Form::DockerTar => "docker",
        Form::LegacyTar => "docker,format=legacy",
    };
    format!("type={kind},name={name},compression={compression},dest={}", contents.file(form, compression))
}

/// A base for this machine and for another, and a layer for each tag. All is in `tree`: what a runtime adds is not.
fn write_trees(directory: &Path) {
    let mut random = Random::new(3);
    for base in ["base", "other"] {
        let tree = directory.join(base).join("tree/base");
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("name"), base).unwrap();
        fs::write(tree.join("random"), random.bytes(100_000)).unwrap();
        fs::hard_link(tree.join("name"), tree.join("again")).unwrap();
        symlink("../layer/name", tree.join("link")).unwrap();
    }
    for tag in ["v1", "v2", "v3"] {
        let tree = directory.join(tag).join("tree/layer");
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("name"), tag).unwrap();
    }
}
