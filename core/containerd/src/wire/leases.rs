//! `containerd.services.leases.v1`.

use std::collections::HashMap;

pub(crate) const CREATE: &str = "/containerd.services.leases.v1.Leases/Create";
pub(crate) const DELETE: &str = "/containerd.services.leases.v1.Leases/Delete";
pub(crate) const ADD_RESOURCE: &str = "/containerd.services.leases.v1.Leases/AddResource";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CreateRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeleteRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(bool, tag = "2")]
    pub(crate) sync: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Resource {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    /// `content`, or `snapshots/SNAPSHOTTER`.
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AddResourceRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) resource: Option<Resource>,
}
