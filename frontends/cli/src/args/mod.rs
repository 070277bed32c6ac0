//! The command line, as clap reads it. What it means is decided in `command`.

mod export;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use longshore_core::oci::Platform;

use crate::exit_code;

pub(crate) use export::{ConfigArgs, ExportArgs};

/// Exports what a build made.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, about = "Exports what a build made, and keeps images with no daemon", after_help = exit_code::HELP, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Keep images and layers in this directory, or in the store at SCHEME:VALUE, such as dir:PATH [default:
    /// $LONGSHORE_ROOT, else /var/lib/longshore for root and $XDG_DATA_HOME/longshore for others]
    #[arg(long, global = true, value_name = "DIR|SCHEME:VALUE", help_heading = "Image store")]
    pub(crate) store: Option<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Export(Box<ExportArgs>),
    Import(ImportArgs),
    Save(SaveArgs),
    Images(ImagesArgs),
    Tag(TagArgs),
    Unpack(UnpackArgs),
    Rm(RmArgs),
    Prune(PruneArgs),
    Du(DuArgs),
    Inspect(InspectArgs),
    Verify(VerifyArgs),
    Exporters(ExportersArgs),
    Sources(SourcesArgs),
    Completion(CompletionArgs),
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// `tty` on a terminal, else `plain`
    #[default]
    Auto,
    /// A bar for each layer
    Tty,
    /// A line for each step
    Plain,
    /// A JSON object for each event
    Json,
    /// Errors only
    Quiet,
}

/// Put images into the image store: an archive, which is read once, or a layout in a directory
///
/// An archive is an OCI layout or a tarball of docker save, compressed or not. Names move all at once,
/// after everything is in the store and verified; what a name pointed to before is said.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct ImportArgs {
    /// An archive, a directory, or `-` for standard input
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,

    /// Name a single image, whatever the archive calls it; NAME alone is NAME:latest. Of several images, NAME
    /// names those without a full name: NAME:TAG with the tag that the archive gives them, or NAME@DIGEST
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// How to show progress, on standard error
    #[arg(long, value_enum, default_value_t, value_name = "STYLE")]
    pub(crate) progress: ProgressStyle,
}

/// Save images to one archive, as docker save does
///
/// A NAME is a name with a tag or digest, a name alone for all tags of it, an image ID or the start of one.
/// docker load, podman load, skopeo and ctr images import read the archive.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct SaveArgs {
    /// The images
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Write to this file, which only its owner may read, and not to standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Where the images are: `image` is the image store, `docker-graph[:ROOT]` the storage of dockerd, which need
    /// not run; `longshore sources` lists more, and their options
    #[arg(long, value_name = "SCHEME[:PATH][,KEY=VALUE…]", default_value = "image")]
    pub(crate) from: String,

    /// Layout of the archive
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: SaveFormat,

    /// Save only this platform of each image
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// How to show progress, on standard error
    #[arg(long, value_enum, default_value_t, value_name = "STYLE")]
    pub(crate) progress: ProgressStyle,
}

/// How `save` lays out the archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SaveFormat {
    /// An OCI layout with Docker's manifest
    #[default]
    Combined,
    /// What docker save wrote up to Docker 24
    Legacy,
}

impl SaveFormat {
    /// The value of `format=` of `type=docker`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Legacy => "legacy",
        }
    }
}

/// List the images in the image store
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct ImagesArgs {
    /// Write full names alone, one a line
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Give an image in the image store further names
///
/// A name that pointed to another image moves, which is said.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct TagArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,

    /// Its new names
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Unpack an image of the image store: a directory a layer, for overlayfs, or the whole in one directory
///
/// Without --to or --mount the options of a mount are written to standard output, to be used as in
/// `mount -t overlay overlay -o "$(longshore unpack app:1)" DIR`. What is mounted is read-only; add
/// upperdir and workdir to write to it. Unmount before the name is removed and the store is pruned.
///
/// Root gives files the owners that the image says. For an ordinary user all files are their own, and
/// devices are left out; to mount, use a user namespace, as `unshare -rm` makes one.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct UnpackArgs {
    /// The image
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Mount it there, read-only
    #[arg(long, value_name = "DIR", conflicts_with = "to")]
    pub(crate) mount: Option<PathBuf>,

    /// Write all files into a directory, which is not there or empty, instead
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,

    /// The platform of the image [default: that of this machine]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Layers that are read at the same time [default: one a processor]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// How to show progress, on standard error
    #[arg(long, value_enum, default_value_t, value_name = "STYLE")]
    pub(crate) progress: ProgressStyle,
}

/// Take names from images in the image store
///
/// Either all names go, or none. The content stays until `longshore prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct RmArgs {
    /// The names
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Remove from the image store what neither a name nor a running command needs
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct PruneArgs {
    /// Keep layers that were made here and that nothing needs, those used last first, up to this size,
    /// such as 10GB [default: 0]
    #[arg(long, value_name = "SIZE", default_value = "0", hide_default_value = true, value_parser = size)]
    pub(crate) keep_storage: u64,

    /// Only say what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A size as people write it, in bytes.
fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| "expected a size such as 500MB or 10GiB".to_owned())
}

/// Show how much the image store holds, and of what
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct DuArgs {
    /// Write JSON, in bytes
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what images consist of: manifests, configurations and layers
///
/// Without --files, layers are not read, and of an image in a registry not fetched.
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// What to read, such as image:NAME, docker://NAME or oci-archive:FILE; `longshore sources` lists all
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    /// Read the layers too, and show how many files they have and the biggest of them
    #[arg(long)]
    pub(crate) files: bool,

    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Check every digest, size, diffID and reference of images
///
/// All that is wrong is listed, one line a problem; the exit code is then 1.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// What to read, such as image:NAME, docker://NAME or oci-archive:FILE; `longshore sources` lists all
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
}

/// List what can be written, and every option of it
#[derive(Debug, clap::Args)]
pub(crate) struct ExportersArgs {
    /// Show only this type
    #[arg(value_name = "TYPE")]
    pub(crate) kind: Option<String>,

    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the sources that can be read, and every option of them
#[derive(Debug, clap::Args)]
pub(crate) struct SourcesArgs {
    /// Show only this scheme
    #[arg(value_name = "SCHEME")]
    pub(crate) scheme: Option<String>,

    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Write a completion script for a shell to standard output
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
