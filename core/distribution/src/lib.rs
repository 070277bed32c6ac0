#![doc = include_str!("../README.md")]

mod auth;
mod client;
mod credentials;
mod endpoint;
mod hosts;
mod http;
mod login;
mod manifest;
mod pull;
mod push;
mod referrers;
mod registry;
#[cfg(test)]
mod seeded;
mod tags;

pub use client::{Client, ClientOptions};
pub use credentials::CredentialFile;
pub use http::{RetryPolicy, Timeouts};
pub use login::KeptLogin;
pub use pull::PullRepository;
pub use push::RunPusher;
