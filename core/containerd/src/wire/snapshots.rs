//! `containerd.services.snapshots.v1` and `containerd.services.diff.v1`.

use std::collections::HashMap;

use super::{Descriptor, Mount};

pub(crate) const PREPARE: &str = "/containerd.services.snapshots.v1.Snapshots/Prepare";
pub(crate) const VIEW: &str = "/containerd.services.snapshots.v1.Snapshots/View";
pub(crate) const COMMIT: &str = "/containerd.services.snapshots.v1.Snapshots/Commit";
pub(crate) const REMOVE: &str = "/containerd.services.snapshots.v1.Snapshots/Remove";
pub(crate) const STAT: &str = "/containerd.services.snapshots.v1.Snapshots/Stat";
pub(crate) const USAGE: &str = "/containerd.services.snapshots.v1.Snapshots/Usage";
pub(crate) const APPLY: &str = "/containerd.services.diff.v1.Diff/Apply";

/// The request of `Prepare` and `View`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NewRequest {
    #[prost(string, tag = "1")]
    pub(crate) snapshotter: String,
    #[prost(string, tag = "2")]
    pub(crate) key: String,
    #[prost(string, tag = "3")]
    pub(crate) parent: String,
    #[prost(map = "string, string", tag = "4")]
    pub(crate) labels: HashMap<String, String>,
}

/// The response of `Prepare` and `View`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MountsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) mounts: Vec<Mount>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CommitRequest {
    #[prost(string, tag = "1")]
    pub(crate) snapshotter: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) key: String,
}

/// The request of `Remove`, `Stat` and `Usage`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeyRequest {
    #[prost(string, tag = "1")]
    pub(crate) snapshotter: String,
    #[prost(string, tag = "2")]
    pub(crate) key: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UsageResponse {
    #[prost(int64, tag = "2")]
    pub(crate) inodes: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ApplyRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) diff: Option<Descriptor>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) mounts: Vec<Mount>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ApplyResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) applied: Option<Descriptor>,
}
