//! The command line, as parsed by clap. `command` interprets it.

mod examples;
mod export;
mod foreign;
mod looking;
mod plugin;
mod progress;
mod registry;
mod words;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use longshore_core::content::StoreRegistry;
use longshore_core::oci::Platform;

use crate::exit_code;

pub(crate) use export::{ConfigArgs, ExportArgs, PluginFlags};
pub(crate) use looking::{DiffArgs, InspectArgs, VerifyArgs, View};
pub(crate) use plugin::{Language, PluginArgs, PluginCommand, PluginNewArgs, PluginTestArgs};
pub(crate) use progress::{ProgressArgs, ProgressStyle};
pub(crate) use registry::{DeleteArgs, LoginArgs, LogoutArgs, LsArgs};
pub(crate) use words::{
    CopyArgs, DigestArgs, FlattenArgs, IndexArgs, IndexCommand, IndexCreateArgs, PullArgs, PushArgs, RebaseArgs,
};

/// The command line of `longshore`.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, about = "Exports build results as container images, and stores images without a daemon", after_help = exit_code::HELP, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Image store: a directory, or SCHEME:VALUE
    #[arg(long, global = true, value_name = "DIR|SCHEME:VALUE", help_heading = "Image store")]
    pub(crate) store: Option<OsString>,
}

/// Returns the declaration of the command line.
pub(crate) fn command() -> clap::Command {
    examples::added(Args::command())
}

/// Parses a command line, with the kinds of image stores in its help.
pub(crate) fn read(words: &[OsString], stores: &StoreRegistry) -> Result<Args, clap::Error> {
    let kinds: Vec<_> = stores.infos().map(|info| format!("{} ({})", info.syntax, info.summary)).collect();
    let help = format!(
        "Image store: a directory, or {} [default: $LONGSHORE_ROOT, else /var/lib/longshore for root and \
         $XDG_DATA_HOME/longshore for other users]",
        kinds.join(", or ")
    );
    let mut command = command().mut_arg("store", |store| store.help(help));
    let mut matches =
        command.try_get_matches_from_mut(words).map_err(|error| foreign::explained(error, words, &command))?;
    Args::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Export(Box<ExportArgs>),
    Pull(PullArgs),
    Push(PushArgs),
    Copy(CopyArgs),
    Index(IndexArgs),
    #[command(visible_alias = "squash")]
    Flatten(FlattenArgs),
    Rebase(RebaseArgs),
    #[command(visible_alias = "load")]
    Import(ImportArgs),
    Save(SaveArgs),
    Images(ImagesArgs),
    Tag(TagArgs),
    Unpack(UnpackArgs),
    #[command(visible_alias = "rmi")]
    Rm(RmArgs),
    Prune(PruneArgs),
    Du(DuArgs),
    Inspect(InspectArgs),
    Diff(DiffArgs),
    Digest(DigestArgs),
    Verify(VerifyArgs),
    Ls(LsArgs),
    Delete(DeleteArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Exporters(ExportersArgs),
    Sources(SourcesArgs),
    Plugin(PluginArgs),
    Completion(CompletionArgs),
    Man(ManArgs),
}

/// Import images into the image store from an archive, which is read once, or a layout directory
///
/// An archive is an OCI layout or a docker save tarball, compressed or not. All names are updated atomically,
/// after everything is stored and verified; the previous image of a name is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct ImportArgs {
    /// An archive, a directory, or `-` for standard input
    #[arg(value_name = "PATH", default_value = "-")]
    pub(crate) path: PathBuf,

    /// The same, as docker load has it
    #[arg(long, short, value_name = "PATH", conflicts_with = "path")]
    pub(crate) input: Option<PathBuf>,

    /// Name a single image, whatever the archive calls it; NAME alone is NAME:latest. Of several images, NAME
    /// names those without a full name: NAME:TAG with the tag that the archive gives them, or NAME@DIGEST
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Save images to one archive, as docker save does
///
/// A NAME is a name with a tag or digest, a name alone for all its tags, or an image ID or a prefix of one.
/// docker load, podman load, skopeo and ctr images import read the archive.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct SaveArgs {
    /// The images
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Write to this file, readable only by its owner, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Source of the images: `image` for the image store, `docker-graph[:ROOT]` for dockerd's storage, which
    /// needs no running dockerd; `longshore sources` lists more, and their options
    #[arg(long, value_name = "SCHEME[:PATH][,KEY=VALUE…]", default_value = "image")]
    pub(crate) from: String,

    /// Layout of the archive
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: SaveFormat,

    /// Save only this platform of each image
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
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
    /// Returns the value of `format=` of `type=docker`.
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
    /// Print only full names, one per line
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Add names to an image in the image store
///
/// A name of another image is moved, and its previous image is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct TagArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,

    /// The names to add
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Unpack an image of the image store: one directory per layer, for overlayfs, or a single directory
///
/// Without --to or --mount, mount options are printed to standard output, for use as in `mount -t overlay overlay
/// -o "$(longshore unpack app:1)" DIR`. The mount is read-only; add upperdir and workdir to make it writable.
/// Unmount before removing the name and pruning the store.
///
/// For root, files get the owners from the image. For an ordinary user, all files belong to that user and
/// devices are skipped; to mount, use a user namespace, such as one from `unshare -rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct UnpackArgs {
    /// The image
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Mount the image on DIR, read-only
    #[arg(long, value_name = "DIR", conflicts_with = "to")]
    pub(crate) mount: Option<PathBuf>,

    /// Unpack all files into a single directory, which must be missing or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,

    /// Platform of the image [default: this machine's]
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Number of layers to read at a time [default: one per CPU]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Remove image names from the image store
///
/// Either all names are removed, or none. The content stays until `longshore prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct RmArgs {
    /// The names to remove
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Remove content from the image store that no name and no running command uses
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct PruneArgs {
    /// Keep up to this size of unused layers that were built here, most recently used first, such as 10GB
    /// [default: 0]
    #[arg(long, value_name = "SIZE", default_value = "0", hide_default_value = true, value_parser = size)]
    pub(crate) keep_storage: u64,

    /// Only print what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Parses a human-readable size into bytes.
fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| "expected a size such as 500MB or 10GiB".to_owned())
}

/// Show disk usage of the image store
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct DuArgs {
    /// Print JSON, with sizes in bytes
    #[arg(long)]
    pub(crate) json: bool,
}

/// List output types and their options
#[derive(Debug, clap::Args)]
pub(crate) struct ExportersArgs {
    /// Show only this type
    #[arg(value_name = "TYPE")]
    pub(crate) kind: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// List source schemes and their options
#[derive(Debug, clap::Args)]
pub(crate) struct SourcesArgs {
    /// Show only this scheme
    #[arg(value_name = "SCHEME")]
    pub(crate) scheme: Option<String>,

    /// Print JSON
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

/// Write man pages into a directory
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The directory, made if it is missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}
