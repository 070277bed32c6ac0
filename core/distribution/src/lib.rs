#![doc = include_str!("../README.md")]

mod auth;
mod client;
mod credentials;
mod endpoint;
mod hosts;
mod http;
mod manifest;
mod pull;
mod push;
mod referrers;
mod registry;
#[cfg(test)]
mod seeded;

pub use client::{Client, ClientOptions};
pub use http::{RetryPolicy, Timeouts};
pub use pull::PullRepository;
pub use push::RunPusher;
