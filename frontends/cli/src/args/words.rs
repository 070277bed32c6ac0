//! The arguments of the words that people know from other tools: each is an export in short.

use longshore_core::oci::Platform;

use super::ProgressArgs;
use crate::exit_code;

/// Pull images from registries into the image store
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct PullArgs {
    /// The images, such as debian:13 or example.com/app:1
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Pull only these platforms [default: this machine's]
    #[arg(long = "platform", value_name = "[OS/]ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,

    /// Pull everything under the name: all platforms, or what is no image
    #[arg(long, short, conflicts_with = "platforms")]
    pub(crate) all_platforms: bool,

    /// Allow plain HTTP, and certificates that nobody vouches for
    #[arg(long)]
    pub(crate) insecure: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Push an image to registries
///
/// Without a NAME, an image goes where its own names say.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct PushArgs {
    /// An image of the image store, or any source: an archive, a layout, docker://NAME
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,

    /// Where it is pushed to
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Push all tags of an IMAGE without a tag
    #[arg(long, short)]
    pub(crate) all_tags: bool,

    /// Push only these platforms [default: all]
    #[arg(long = "platform", value_name = "[OS/]ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,

    /// Allow plain HTTP, and certificates that nobody vouches for
    #[arg(long)]
    pub(crate) insecure: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Copy an image, unchanged, from anywhere to anywhere
///
/// SRC is a source: docker://NAME, image:NAME, oci:DIR, oci-archive:FILE, docker-archive:FILE. DST is written in the same
/// way, and gets the image under the names that it has there, or under NAME at the end of oci:DIR:NAME.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct CopyArgs {
    /// Where the image is
    #[arg(value_name = "SRC")]
    pub(crate) from: String,

    /// Where it is copied to
    #[arg(value_name = "DST")]
    pub(crate) to: String,

    /// Copy only these platforms [default: all]
    #[arg(long = "platform", value_name = "[OS/]ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,

    /// Copy referrers too, such as signatures and SBOMs
    #[arg(long, alias = "all")]
    pub(crate) referrers: bool,

    /// Allow plain HTTP, and certificates that nobody vouches for, where it is copied to
    #[arg(long)]
    pub(crate) insecure: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Print the digest of an image
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct DigestArgs {
    /// Source, such as docker://NAME, image:NAME or an archive
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    /// That of the image for this platform, in place of the index
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
}

/// Make one image of images for several platforms
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct IndexArgs {
    #[command(subcommand)]
    pub(crate) command: IndexCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum IndexCommand {
    Create(IndexCreateArgs),
}

/// List images for several platforms under one name; none of them changes
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct IndexCreateArgs {
    /// The name: docker://NAME in a registry, NAME in the image store, or oci:DIR, oci-archive:FILE
    #[arg(value_name = "DST")]
    pub(crate) to: String,

    /// The images, [PLATFORM=]SOURCE; without a PLATFORM, all that are in it
    #[arg(required = true, value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,

    /// Allow plain HTTP, and certificates that nobody vouches for, where it goes
    #[arg(long)]
    pub(crate) insecure: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Merge the layers of an image into one
///
/// Deleted and replaced files are gone; the configuration stays, with a history of one step.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct FlattenArgs {
    /// The image, a source
    #[arg(value_name = "SRC")]
    pub(crate) from: String,

    /// Where the result goes, as for `copy`: docker://NAME, image:NAME, oci:DIR, oci-archive:FILE, docker-archive:FILE
    #[arg(value_name = "DST")]
    pub(crate) to: String,

    /// The platform of an image for several [default: this machine's]
    #[arg(long, value_name = "[OS/]ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Allow plain HTTP, and certificates that nobody vouches for, where it goes
    #[arg(long)]
    pub(crate) insecure: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Put the layers of an image on top of another base
///
/// The layers keep their bytes, and what runs in a container stays. The image must have been built on the old base.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct RebaseArgs {
    /// The image, a source
    #[arg(value_name = "SRC")]
    pub(crate) from: String,

    /// Where the result goes, as for `copy`
    #[arg(value_name = "DST")]
    pub(crate) to: String,

    /// The base that the image was built on, a source
    #[arg(long, alias = "old_base", value_name = "SOURCE")]
    pub(crate) old_base: String,

    /// The base that takes its place, a source
    #[arg(long, alias = "new_base", value_name = "SOURCE")]
    pub(crate) new_base: String,

    /// Allow plain HTTP, and certificates that nobody vouches for, where it goes
    #[arg(long)]
    pub(crate) insecure: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}
