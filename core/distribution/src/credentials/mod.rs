//! The credentials of this machine and user.

mod config;
mod helper;
mod keep;

pub(crate) use config::CredentialFiles;
pub use keep::CredentialFile;

/// A credential for one registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password, or a token used as one.
        password: String,
    },
    /// An identity token, which the token server accepts as a refresh token.
    Identity(String),
    /// A token that the registry itself accepts.
    Registry(String),
}

/// Secrets must not be logged.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Identity(_) => "Identity",
            Self::Registry(_) => "Registry",
        })
    }
}
