//! How registries let us in: what they ask for, and the tokens that they give for our credentials.

mod challenge;
mod session;
mod token;

pub(crate) use session::AuthSession;
pub(crate) use token::Scope;
