//! `containerd.services.introspection.v1` and `containerd.services.namespaces.v1`: what a containerd has.

pub(crate) const PLUGINS: &str = "/containerd.services.introspection.v1.Introspection/Plugins";
pub(crate) const NAMESPACES: &str = "/containerd.services.namespaces.v1.Namespaces/List";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PluginsRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) filters: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PluginsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) plugins: Vec<Plugin>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Plugin {
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    /// A `google.rpc.Status`; missing if the plugin works.
    #[prost(message, optional, tag = "7")]
    pub(crate) failure: Option<super::Empty>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NamespacesRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NamespacesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) namespaces: Vec<Namespace>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Namespace {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}
