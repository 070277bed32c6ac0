//! The arguments of the commands that look at images.

use std::path::PathBuf;

use longshore_core::oci::Platform;

use super::ProgressArgs;
use crate::exit_code;

/// Show the manifests, configurations and layers of images
///
/// Without --files and --html, layers are neither read nor fetched from a registry.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct InspectArgs {
    /// Source, such as docker://NAME, an archive, or a name in the image store; `longshore sources` lists all
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    /// Also read the layers, and show their file counts and largest files
    #[arg(long, conflicts_with_all = ["raw", "config", "digest", "html"])]
    pub(crate) files: bool,

    /// Only this platform
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Print the manifest or the index, byte for byte
    #[arg(long, group = "view")]
    raw: bool,

    /// Print the configuration, byte for byte
    #[arg(long, group = "view")]
    config: bool,

    /// Print the digest
    #[arg(long, group = "view")]
    digest: bool,

    /// Print JSON
    #[arg(long, group = "view")]
    pub(crate) json: bool,

    /// Write a page with layers, files and waste, for a browser; it needs no network
    #[arg(long, group = "view", value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Show the page in the browser
    #[arg(long, requires = "html")]
    pub(crate) open: bool,
}

/// What `inspect` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    All,
    Raw,
    Config,
    Digest,
}

impl InspectArgs {
    pub(crate) fn view(&self) -> View {
        match (self.raw, self.config, self.digest) {
            (true, ..) => View::Raw,
            (_, true, _) => View::Config,
            (.., true) => View::Digest,
            _ => View::All,
        }
    }
}

/// Show what differs between two images: files, configuration, layers
///
/// The layers of both are read.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct DiffArgs {
    /// An image, a source
    #[arg(value_name = "A")]
    pub(crate) from: String,

    /// The other image
    #[arg(value_name = "B")]
    pub(crate) to: String,

    /// The platform of both [default: this machine's, for images for several]
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a page for a browser; it needs no network
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Check every digest, size, diffID and reference of images
///
/// Prints one line per problem; if there are any, the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct VerifyArgs {
    /// Source, such as docker://NAME, an archive, or a name in the image store; `longshore sources` lists all
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}
