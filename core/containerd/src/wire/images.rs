//! `containerd.services.images.v1`.

use std::collections::HashMap;

use prost_types::FieldMask;

use super::Descriptor;

pub(crate) const GET: &str = "/containerd.services.images.v1.Images/Get";
pub(crate) const LIST: &str = "/containerd.services.images.v1.Images/List";
pub(crate) const CREATE: &str = "/containerd.services.images.v1.Images/Create";
pub(crate) const UPDATE: &str = "/containerd.services.images.v1.Images/Update";
pub(crate) const DELETE: &str = "/containerd.services.images.v1.Images/Delete";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Image {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(map = "string, string", tag = "2")]
    pub(crate) labels: HashMap<String, String>,
    #[prost(message, optional, tag = "3")]
    pub(crate) target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// The response of all calls that return an image, and the request of `Create`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OneImage {
    #[prost(message, optional, tag = "1")]
    pub(crate) image: Option<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UpdateRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) image: Option<Image>,
    #[prost(message, optional, tag = "2")]
    pub(crate) update_mask: Option<FieldMask>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) filters: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) images: Vec<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeleteRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(bool, tag = "2")]
    pub(crate) sync: bool,
}
