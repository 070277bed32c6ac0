//! The arguments of `longshore export`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use longshore_core::oci::Platform;

use super::ProgressStyle;
use crate::exit_code;

/// Export sources to one or more outputs
///
/// A source is SCHEME:VALUE, such as `rootfs:DIR`, `image:NAME` or `docker://NAME`, with options after commas:
/// `longshore sources` lists schemes and options. A source with a comma in its path is quoted as a whole, as in
/// '"rootfs:a,b",owner=0:0'. Prefixed with a platform, as in `linux/arm64=rootfs:DIR`, several directories make
/// one multi-platform image.
///
/// Either all outputs are written, or none. Tags in registries come last; one that is refused then leaves what
/// is written.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct ExportArgs {
    /// What to export: [PLATFORM=]SCHEME[:VALUE][,KEY=VALUE…]
    #[arg(required = true, value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,

    /// Where to: type=TYPE,KEY=VALUE,…; `longshore exporters` lists types and keys
    #[arg(short, long = "output", required = true, value_name = "SPEC")]
    pub(crate) outputs: Vec<String>,

    /// Add a layer: a directory or a tar archive, placed below DEST
    #[arg(long = "layer", value_name = "PATH[:DEST]", help_heading = "Layers")]
    pub(crate) layers: Vec<String>,

    /// Give `exclude=PATTERN` to every source and layer: leave out files, with the patterns of .dockerignore
    #[arg(long = "exclude", value_name = "PATTERN", help_heading = "Layers")]
    pub(crate) excludes: Vec<String>,

    /// Give `owner=UID:GID` to every source and layer: make one user and group the owner of every file
    #[arg(long, value_name = "UID:GID", help_heading = "Layers")]
    pub(crate) owner: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Export only these platforms of a source [default: all that it has]
    #[arg(long = "platform", help_heading = "Run", value_name = "OS/ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,

    /// Threads that compress [default: one a processor]. Memory is about 64 MiB, and for each thread 16 MiB, or up to
    /// 72 MiB with zstd from level 10
    #[arg(long, help_heading = "Run", value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Layers that are sent to one registry at the same time
    #[arg(long, help_heading = "Run", value_name = "N", default_value = "4")]
    pub(crate) push_jobs: NonZeroUsize,

    /// Give `referrers=true` to every source: take along signatures and SBOMs of images in registries
    #[arg(long, alias = "all", help_heading = "Run")]
    pub(crate) referrers: bool,

    /// Keep layers beside the first destination, or among temporary files, for this run only, and not in the
    /// image store
    #[arg(long, help_heading = "Image store")]
    pub(crate) no_store: bool,

    /// How to show progress, on standard error
    #[arg(long, value_enum, default_value_t, help_heading = "Run", value_name = "STYLE")]
    pub(crate) progress: ProgressStyle,

    /// Write digests and names as JSON to a file, as buildx does, or to standard output: `-`
    #[arg(long, help_heading = "Run", value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,

    /// Write the image ID to a file, or to standard output: `-`
    #[arg(long, help_heading = "Run", value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,

    /// Check everything that can be checked without reading layers or asking registries, and say what would be
    /// written
    #[arg(long, help_heading = "Run")]
    pub(crate) dry_run: bool,
}

/// The configuration of the image.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Configuration of the image")]
pub(crate) struct ConfigArgs {
    /// Take the fields of an OCI image configuration, except its layers
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Set a variable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,

    /// Set the program: a JSON list, or one word. The arguments of the source go
    #[arg(long, value_name = "LIST")]
    pub(crate) entrypoint: Option<String>,

    /// Set its arguments: a JSON list, or one word
    #[arg(long, value_name = "LIST")]
    pub(crate) cmd: Option<String>,

    /// Set where it starts
    #[arg(long, value_name = "PATH")]
    pub(crate) workdir: Option<String>,

    /// Set who it runs as
    #[arg(long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,

    /// Add a label
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,

    /// Add a port that it listens on
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub(crate) expose: Vec<String>,

    /// Add a volume
    #[arg(long = "volume", value_name = "PATH")]
    pub(crate) volumes: Vec<String>,

    /// Set the signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
}
