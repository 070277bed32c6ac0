//! The arguments of `longshore export`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use longshore_core::Error;
use longshore_core::oci::Platform;

use super::ProgressArgs;
use crate::exit_code;

/// Export sources to one or more outputs
///
/// A source is SCHEME:VALUE, such as `rootfs:DIR`, `image:NAME` or `docker://NAME`, followed by comma-separated
/// options: `longshore sources` lists schemes and options. Quote a source whose path contains a comma as a whole,
/// as in '"rootfs:a,b",owner=0:0'. Prefixed with a platform, as in `linux/arm64=rootfs:DIR`, several sources make one
/// multi-platform image. If all of them are existing images, their manifests and attestations stay as they are.
///
/// Either all outputs are written, or none. Registry tags are pushed last: if a tag is refused, outputs already
/// written remain.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct ExportArgs {
    /// What to export: [PLATFORM=]SCHEME[:VALUE][,KEY=VALUE…]
    #[arg(required = true, value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,

    /// Output to write: type=TYPE,KEY=VALUE,…; `longshore exporters` lists types and keys. PATH alone is a directory of
    /// files, `-` alone a tar stream of them
    #[arg(short, long = "output", required = true, value_name = "SPEC")]
    pub(crate) outputs: Vec<String>,

    /// Add a layer: a directory, a tar archive, or one on standard input, `-`; placed below DEST
    #[arg(long = "layer", value_name = "PATH[:DEST]", help_heading = "Layers", allow_hyphen_values = true)]
    pub(crate) layers: Vec<String>,

    /// Exclude files that match a .dockerignore pattern from every source and layer (as `exclude=PATTERN`)
    #[arg(long = "exclude", value_name = "PATTERN", help_heading = "Layers")]
    pub(crate) excludes: Vec<String>,

    /// Set the owner of every file in every source and layer (as `owner=UID:GID`)
    #[arg(long, value_name = "UID:GID", help_heading = "Layers")]
    pub(crate) owner: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Annotate the images of every output, as buildx does: on their manifests, or on what TYPE says (manifest, index,
    /// manifest-descriptor, index-descriptor). It replaces an annotation.KEY of the output
    #[arg(long = "annotation", value_name = "[TYPE[[PLATFORM]]:]KEY=VALUE", help_heading = "Image configuration")]
    pub(crate) annotations: Vec<String>,

    /// Attach a statement about the image: type=sbom|provenance|URI,file=FILE[,platform=PLATFORM]. Without a file,
    /// type=provenance[,mode=max] tells what the image was made from
    #[arg(long, value_name = "SPEC", help_heading = "Image configuration")]
    pub(crate) attest: Vec<String>,

    /// Export only these platforms of a source, with their attestations if there are several [default: all]
    #[arg(long = "platform", help_heading = "Run", value_name = "[OS/]ARCH[/VARIANT]", value_delimiter = ',')]
    pub(crate) platforms: Vec<Platform>,

    /// Number of compression threads [default: one per CPU]. Memory is about 64 MiB, and for each thread 16 MiB, or
    /// up to 72 MiB with zstd from level 10
    #[arg(long, help_heading = "Run", value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Number of layers to upload to one registry at a time
    #[arg(long, help_heading = "Run", value_name = "N", default_value = "4")]
    pub(crate) push_jobs: NonZeroUsize,

    /// Include referrers of images, such as signatures and SBOMs (as `referrers=true`)
    #[arg(long, alias = "all", help_heading = "Run")]
    pub(crate) referrers: bool,

    /// Keep layers for this run only, beside the first destination or in the temporary directory, instead of in
    /// the image store
    #[arg(long, help_heading = "Image store")]
    pub(crate) no_store: bool,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,

    /// Write digests and names as JSON to a file, as buildx does, or to standard output: `-`
    #[arg(long, help_heading = "Run", value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,

    /// Write the image ID to a file, or to standard output: `-`
    #[arg(long, help_heading = "Run", value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,

    /// Check what can be checked without reading layers or contacting registries, and print what would be
    /// written
    #[arg(long, help_heading = "Run")]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) plugins: PluginFlags,
}

/// The configuration of the image.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Image configuration")]
pub(crate) struct ConfigArgs {
    /// Use the fields of an OCI image configuration, except its layers
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Set an environment variable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,

    /// Set the entrypoint: a JSON list, or one word. Clears the source image's Cmd
    #[arg(long, value_name = "LIST")]
    pub(crate) entrypoint: Option<String>,

    /// Set the default command or arguments: a JSON list, or one word
    #[arg(long, value_name = "LIST")]
    pub(crate) cmd: Option<String>,

    /// Set the working directory
    #[arg(long, value_name = "PATH")]
    pub(crate) workdir: Option<String>,

    /// Set the user to run as
    #[arg(long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,

    /// Add a label
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,

    /// Add an exposed port
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub(crate) expose: Vec<String>,

    /// Add a volume
    #[arg(long = "volume", value_name = "PATH")]
    pub(crate) volumes: Vec<String>,

    /// Set the stop signal
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,
}

/// What plugins may do.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Plugins")]
pub(crate) struct PluginFlags {
    /// Let a plugin take the place of a type or a source that is built in
    #[arg(long)]
    pub(crate) allow_shadow: bool,

    /// Give registry credentials to plugins that ask for them
    #[arg(long)]
    pub(crate) plugin_credentials: bool,
}

impl ExportArgs {
    /// Returns the arguments that are written as `words`, without `longshore export`.
    ///
    /// # Errors
    /// Words that are no arguments of an export.
    pub(crate) fn of(words: &[String]) -> Result<Self, Error> {
        #[derive(clap::Parser)]
        #[command(no_binary_name = true)]
        struct Words {
            #[command(flatten)]
            export: ExportArgs,
        }
        let words = Words::try_parse_from(words).map_err(|error| Error::option(error.to_string()))?;
        Ok(words.export)
    }
}
