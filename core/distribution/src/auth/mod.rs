//! Authorization: challenges of registries, and tokens obtained for credentials.

mod challenge;
mod session;
mod token;

pub(crate) use session::AuthSession;
pub(crate) use token::Scope;

/// Returns why a request was refused, as far as the `WWW-Authenticate` headers of the response say.
pub(crate) fn refusal_cause(headers: &[String]) -> Option<String> {
    challenge::cause(headers)
}
