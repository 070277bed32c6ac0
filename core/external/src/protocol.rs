//! The messages between a program and a plugin, as data: one JSON object a line, with one key that says what it is.
//!
//! Nothing here does I/O, so that programs other than Longshore can use it. `docs/external-protocol.md` is the page for
//! authors, with the JSON Schema of these types.

use std::path::PathBuf;

use indexmap::IndexMap;

use longshore_core::oci::{Descriptor, Digest};
use longshore_core::{ErrorKind, Event};
use serde::{Deserialize, Serialize};

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// The longest message, in bytes.
pub const MESSAGE_LIMIT: usize = 1 << 20;

/// A message to a plugin. A process gets `hello`, then one of `describe`, `resolve`, `build` and `export`; after an
/// `export` without a file or a directory, one of `publish` and `discard`. Then its standard input ends, and it has to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// The first message. Answered by `hello`.
    Hello(Versions),
    /// What is it? Answered by `exporter` or `frontend`. A plugin has no other way to say what it can.
    Describe {},
    /// Are these options right? Before the build; answered by `resolved`.
    Resolve(Resolve),
    /// Make an output, without making anything visible. Answered by `exported`.
    Export(Export),
    /// Make visible what only the plugin can: every output of the run is ready. Answered by `published`.
    Publish {},
    /// Remove what `export` made where only the plugin can: another output failed, or the user cancelled. Answered by
    /// `discarded`.
    Discard {},
    /// Stop what you do. Answered by `failed` with the kind `cancelled`; the process is killed some seconds later.
    Cancel {},
    /// Describe the images of a source. Answered by `built`.
    Build(Build),
}

/// A message of a plugin. One with another key is passed over.
#[derive(Debug, Clone, Serialize, Deserialize, strum::VariantNames)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// The version that the plugin speaks: one of those that it was offered.
    Hello(Version),
    /// What the exporter is.
    Exporter(ExporterDescription),
    /// What the frontend is.
    Frontend(FrontendDescription),
    /// The options are right.
    Resolved(Resolved),
    /// Something was begun, went on, or ended. At any time; tasks have numbers of the plugin's choice.
    Progress(#[cfg_attr(test, schemars(with = "serde_json::Value"))] Event),
    /// A warning for the user, one line. At any time.
    Warning(Message),
    /// The plugin is alive. At any time: a plugin that says nothing for ten minutes is ended.
    Alive {},
    /// The output is complete: a file or a directory is at its path.
    Exported(Exported),
    /// The output is visible.
    Published(Published),
    /// What `export` made is removed.
    Discarded {},
    /// The images of the source.
    Built(Built),
    /// The request failed.
    Failed(Failure),
}

/// The versions that are offered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Versions {
    /// Each of them.
    pub versions: Vec<u32>,
}

/// The version that is chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Version {
    /// Its number.
    pub version: u32,
}

/// A line of text for a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message {
    /// The line.
    pub message: String,
}

/// What an exporter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExporterDescription {
    /// What its output is, in one line.
    pub summary: String,
    /// Its own options.
    #[serde(default)]
    pub options: Vec<Described>,
    /// Whether the options of its input are added, which the program applies: of images for `layout`, of files for `files`
    /// and `tar`. One that the plugin declares as well is applied, too.
    #[serde(default = "yes")]
    pub input_options: bool,
    /// What it wants to be given.
    pub input: InputKind,
    /// Where its output goes; `resolved` may say something else for some options.
    pub destination: DestinationKind,
    /// Whether its output holds the images, so that their digests are reported.
    #[serde(default)]
    pub images: bool,
    /// Whether it pushes to registries, and asks for the user's credentials.
    #[serde(default)]
    pub credentials: bool,
}

/// What a frontend is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FrontendDescription {
    /// What a source is, in one line.
    pub summary: String,
    /// How a source is written, such as `nix:ATTRIBUTE`.
    pub syntax: String,
    /// Its options.
    #[serde(default)]
    pub options: Vec<Described>,
}

/// An option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Described {
    /// Its key, of lower-case letters, digits and hyphens.
    pub key: String,
    /// What it does, in one line.
    pub help: String,
    /// How values are written: `true|false`, or other words, of which one is chosen; `TEXT`, `NUMBER` and the like for
    /// values that only the plugin checks.
    #[serde(default = "text")]
    pub syntax: String,
    /// What holds without it, for display.
    #[serde(default)]
    pub default: String,
}

fn yes() -> bool {
    true
}

fn text() -> String {
    "TEXT".to_owned()
}

/// What an exporter wants to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// The images, in a directory that is an OCI layout.
    Layout,
    /// The files of one image, its layers merged, in a directory.
    Files,
    /// The same files in a tar archive. It has their owners even if the program does not run as root.
    Tar,
}

/// Where an output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DestinationKind {
    /// Somewhere that the program does not know, such as a server. The plugin makes it visible itself.
    None,
    /// Into a file, or to standard output if there is no `dest`.
    File,
    /// Into a file, which has to be named.
    NamedFile,
    /// Into a directory that is new or empty.
    Directory,
}

/// Options to be checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resolve {
    /// The options that the plugin declared, as text, in the order in which they were written.
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, String>"))]
    pub options: IndexMap<String, String>,
}

/// The options are right.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resolved {
    /// Where the output goes with these options; as described, if it is missing.
    #[serde(default)]
    pub destination: Option<DestinationKind>,
}

/// An output to prepare.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Export {
    /// The options that the plugin declared, as text, in the order in which they were written.
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, String>"))]
    pub options: IndexMap<String, String>,
    /// What it is given. It may do with it what it wants: it is a copy.
    pub input: Input,
    /// The images in it.
    pub images: Vec<ImageMessage>,
    /// Where to put the output.
    pub output: OutputPlace,
    /// The time that everything in the output has, in seconds since 1970, if there is one.
    #[serde(default)]
    pub source_date_epoch: Option<i64>,
}

/// What a plugin is given: a path of its own, which is removed after the export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A directory that is an OCI layout.
    Layout(PathBuf),
    /// A directory of files.
    Files(PathBuf),
    /// A tar archive.
    Tar(PathBuf),
}

/// Where a plugin puts its output: under a temporary name, from which the program takes it to its place. There is nothing
/// at the path before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutputPlace {
    /// The plugin knows.
    None,
    /// A file.
    File(PathBuf),
    /// A directory.
    Directory(PathBuf),
}

/// An image that is exported, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ImageMessage {
    /// Its names.
    #[serde(default)]
    pub names: Vec<String>,
    /// The descriptor of its manifest or index.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub root: Descriptor,
    /// The digest of its configuration, if it has a single platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub config: Option<Digest>,
}

/// The output is complete.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exported {
    /// The images that the output holds, of those that the plugin was given; all of them, if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<ImageMessage>>,
}

/// The output is visible.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Published {
    /// Where it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

/// A source to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Build {
    /// The text after the scheme.
    pub value: String,
    /// An empty directory for what the plugin makes. It is there until the end of the run, and then removed.
    pub directory: PathBuf,
    /// The options that the plugin declared, as text, in the order in which they were written.
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, String>"))]
    pub options: IndexMap<String, String>,
}

/// The images of a source.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Built {
    /// Each of them.
    pub images: Vec<BuiltImage>,
}

/// An image as layers that are somewhere on this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BuiltImage {
    /// Its names.
    #[serde(default)]
    pub names: Vec<String>,
    /// Its layers, the base first. They are read when they are needed.
    pub layers: Vec<LayerPlace>,
    /// Its configuration, as the image specification has it; without diffIDs, which are computed.
    #[serde(default)]
    pub config: Option<serde_json::Value>,
}

/// Where a layer is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LayerPlace {
    /// Everything below a directory.
    Directory(PathBuf),
    /// A tar archive, uncompressed or compressed with gzip or zstd. The program compresses it as its options say.
    Tar(PathBuf),
    /// A layer as an image has it: the blob keeps its digest, unless an option asks for another compression.
    Blob(BlobPlace),
}

/// Where a blob is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlobPlace {
    /// Its file, which is read more than once.
    pub path: PathBuf,
    /// What is in it: the media type of a layer, the digest and the size, all of which are checked.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub descriptor: Descriptor,
}

/// Why a request failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// What a program can act on: `invalid_option`, `invalid_input`, `not_found`, `denied`, `unsupported`, `corrupt`,
    /// `unavailable`, `no_space`, `cancelled` or `other`.
    #[serde(default = "other")]
    pub kind: String,
    /// What was attempted, on what, and why it failed, in one line.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The causes, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

fn other() -> String {
    ErrorKind::Other.to_string()
}
