//! The messages of containerd's services that are used here, with the field numbers of its `.proto` files.
//!
//! They are declared by hand: a few calls of seven services are needed, and a generator needs `protoc` on every machine
//! that builds Longshore. What containerd sends beyond these fields is skipped.

pub(crate) mod content;
pub(crate) mod images;
pub(crate) mod leases;
pub(crate) mod plugins;
pub(crate) mod snapshots;

use std::collections::HashMap;

/// `google.protobuf.Empty`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Empty {}

/// `containerd.types.Descriptor`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Descriptor {
    #[prost(string, tag = "1")]
    pub(crate) media_type: String,
    #[prost(string, tag = "2")]
    pub(crate) digest: String,
    #[prost(int64, tag = "3")]
    pub(crate) size: i64,
    #[prost(map = "string, string", tag = "5")]
    pub(crate) annotations: HashMap<String, String>,
}

/// `containerd.types.Mount`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Mount {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(string, tag = "2")]
    pub(crate) source: String,
    #[prost(string, tag = "3")]
    pub(crate) target: String,
    #[prost(string, repeated, tag = "4")]
    pub(crate) options: Vec<String>,
}
