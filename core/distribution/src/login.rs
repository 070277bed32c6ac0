//! Logging in to registries, and out.

use std::fmt;

use longshore_content::Work;
use longshore_oci::{Error, ErrorKind, Result};
use ureq::http::Method;

use crate::Client;
use crate::credentials::{Credential, CredentialFile};
use crate::endpoint::{Call, Target};
use crate::http::{Payload, run};

/// Where a login is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptLogin {
    /// The file that has it, or names the helper that has it.
    pub file: CredentialFile,
    /// The helper.
    pub helper: Option<String>,
}

impl fmt::Display for KeptLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.helper {
            Some(helper) => write!(f, "docker-credential-{helper}"),
            None => write!(f, "{}", self.file.path().display()),
        }
    }
}

impl Client {
    /// Checks a name and a password with the registry, and keeps them once it accepts them.
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) if the registry refuses them; a registry that cannot be reached; a file or a helper that does not take them. Then nothing is kept.
    pub fn login(&self, registry: &str, user: &str, secret: &str, work: &Work) -> Result<KeptLogin> {
        if user.is_empty() || user.contains(':') || secret.is_empty() {
            let reason = if secret.is_empty() { "the password is empty" } else { "the name is empty or has a colon" };
            return Err(Error::option(format!("cannot log in to {registry}: {reason}")));
        }
        let credential = Credential::Basic { username: user.to_owned(), password: secret.to_owned() };
        let endpoint = self.registries.with_credential(registry, self.is_insecure, credential)?;
        let what = format!("cannot log in to {registry} as {user}");
        run(endpoint.policy(), work, || {
            let call = Call {
                method: Method::GET,
                target: Target::Path(""),
                headers: Vec::new(),
                scopes: &[],
                payload: Payload::None,
                patience: None,
                closes: 0,
            };
            // A token server refuses in words of its own.
            let response = endpoint.call(call, work).map_err(|failure| match failure.status() {
                Some(400 | 401 | 403) => refused(&what).into(),
                _ => failure,
            })?;
            match response.status() {
                401 | 403 => Err(refused(&what).into()),
                _ => response.expect(&what, &[200]).map(drop),
            }
        })?;
        let file = self.registries.credentials().first()?;
        let helper = file.store(registry, user, secret, &work.cancel)?;
        Ok(KeptLogin { file, helper })
    }

    /// Removes the login for a registry from every file and helper that has it. Returns the files.
    ///
    /// # Errors
    /// A file or a helper that does not do it.
    pub fn logout(&self, registry: &str, work: &Work) -> Result<Vec<CredentialFile>> {
        let mut removed = Vec::new();
        for file in self.registries.credentials().all() {
            if file.erase(registry, &work.cancel)? {
                removed.push(file);
            }
        }
        Ok(removed)
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Denied, format!("{what}: the registry refuses the name or the password"))
        .with_hint("some registries want a token in place of the password")
}
