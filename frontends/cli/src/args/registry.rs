//! The arguments of the commands that ask registries.

use crate::exit_code;

/// List the tags of a repository in a registry, one per line
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct LsArgs {
    /// The repository, such as example.com/app
    #[arg(value_name = "REPOSITORY")]
    pub(crate) repository: String,

    /// Allow plain HTTP, and certificates that nobody vouches for
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Print a JSON list
    #[arg(long)]
    pub(crate) json: bool,
}

/// Delete images from registries
///
/// What a tag names is deleted, with all its tags: registries delete manifests. Their layers go when the registry collects
/// its garbage.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct DeleteArgs {
    /// The images, docker://NAME:TAG or docker://NAME@DIGEST
    #[arg(required = true, value_name = "docker://NAME")]
    pub(crate) images: Vec<String>,

    /// Delete without asking
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Allow plain HTTP, and certificates that nobody vouches for
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Log in to a registry
///
/// The registry is asked whether it accepts the name and the password; only then are they kept: in the first file that is
/// read ($REGISTRY_AUTH_FILE, else Docker's config.json), or with the helper that it names.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct LoginArgs {
    /// The registry
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub(crate) registry: String,

    /// The name [default: asked for on the terminal]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) username: Option<String>,

    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,

    /// Allow plain HTTP, and certificates that nobody vouches for
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Log out of a registry
///
/// Its name and password are removed from the files of Docker and Podman, and from the helpers that they name.
#[derive(Debug, clap::Args)]
#[command(after_help = exit_code::HELP)]
pub(crate) struct LogoutArgs {
    /// The registry
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub(crate) registry: String,
}
