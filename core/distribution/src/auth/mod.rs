//! How registries let us in: what they ask for, and the tokens that they give for our credentials.

mod challenge;
mod session;
mod token;

pub(crate) use session::AuthSession;
pub(crate) use token::Scope;

/// Returns why a request was refused, as far as the `WWW-Authenticate` headers of the response say.
pub(crate) fn refusal_cause(headers: &[String]) -> Option<String> {
    challenge::cause(headers)
}
