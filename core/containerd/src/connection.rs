//! The connection: gRPC over a unix socket, on a runtime of its own behind calls that block.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use longshore_oci::{Context, Error, Result};
use prost::Message;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::address::Address;
use crate::failure::{self, failed};

/// The largest message of containerd, in bytes.
const LARGEST: usize = 16 << 20;
/// Bytes that containerd may send of one blob before they are read.
const WINDOW: u32 = 2 << 20;
/// Bytes that it may send in all.
const WINDOWS: u32 = 16 << 20;

/// A connection to the services of a containerd, in one namespace. Any number of threads may call at a time.
pub(crate) struct Connection {
    runtime: Runtime,
    channel: Channel,
    socket: PathBuf,
    namespace: MetadataValue<Ascii>,
}

impl Connection {
    /// Connects to the socket of `address`.
    pub(crate) fn open(address: &Address) -> Result<Self> {
        let socket = address.socket.clone();
        // What the system says of the socket is lost in the errors of a channel.
        std::os::unix::net::UnixStream::connect(&socket).map_err(|error| failure::unreachable(&socket, error))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("containerd").enable_all().build();
        let runtime = runtime.attempt(|| "cannot start the runtime for containerd's client".to_owned())?;
        let entered = runtime.enter();
        // The address is a form: the connector does not read it.
        let endpoint = Endpoint::from_static("http://containerd")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .connect_timeout(Duration::from_secs(10));
        let path = socket.clone();
        let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }));
        drop(entered);
        let namespace = address.namespace.parse().map_err(|_| Error::option("the namespace is not ASCII"))?;
        Ok(Self { runtime, channel, socket, namespace })
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns a request with the headers of every call.
    fn request<Q>(&self, lease: Option<&str>, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", self.namespace.clone());
        if let Some(lease) = lease.and_then(|lease| lease.parse().ok()) {
            request.metadata_mut().insert("containerd-lease", lease);
        }
        request
    }

    async fn client(&self) -> Result<Grpc<Channel>, Status> {
        let mut client =
            Grpc::new(self.channel.clone()).max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST);
        client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(client)
    }

    /// Calls `method`; what it creates belongs to `lease`.
    pub(crate) fn call<Q, A>(&self, method: &'static str, lease: Option<&str>, message: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let request = self.request(lease, message);
        self.runtime.block_on(async {
            let codec: ProstCodec<Q, A> = ProstCodec::default();
            let answer = self.client().await?.unary(request, PathAndQuery::from_static(method), codec).await?;
            Ok(answer.into_inner())
        })
    }

    /// Calls `method`, whose response is a stream of messages.
    pub(crate) fn list<Q, A>(&self, method: &'static str, message: Q) -> Result<Incoming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let request = self.request(None, message);
        self.runtime.block_on(async {
            let codec: ProstCodec<Q, A> = ProstCodec::default();
            let answer = self.client().await?.server_streaming(request, PathAndQuery::from_static(method), codec).await;
            Ok(Incoming(answer?.into_inner()))
        })
    }

    /// Calls `method`, which takes a stream of messages, beginning with `first`, and returns another.
    pub(crate) fn exchange<Q, A>(
        &self,
        method: &'static str,
        lease: Option<&str>,
        first: Q,
    ) -> Result<Exchange<Q, A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (sender, receiver) = mpsc::channel(1);
        let request = self.request(lease, Sent(receiver));
        self.runtime.block_on(async {
            // The answer begins when containerd has read the first message.
            let _ = sender.send(first).await;
            let codec: ProstCodec<Q, A> = ProstCodec::default();
            let answer = self.client().await?.streaming(request, PathAndQuery::from_static(method), codec).await?;
            Ok(Exchange { sender, incoming: Incoming(answer.into_inner()) })
        })
    }

    /// Returns the next message; `None` at the end.
    pub(crate) fn next<A>(&self, incoming: &mut Incoming<A>) -> Result<Option<A>, Status> {
        self.runtime.block_on(incoming.0.message())
    }

    /// Sends a message, once containerd has taken those before it.
    pub(crate) fn send<Q, A>(&self, exchange: &Exchange<Q, A>, message: Q) -> Result<(), Status> {
        let sent = self.runtime.block_on(exchange.sender.send(message));
        sent.map_err(|_| Status::new(Code::Aborted, "containerd ended the call"))
    }

    /// Turns a failed call into an error.
    pub(crate) fn failed(&self, status: Status) -> Error {
        failed(&self.socket, status)
    }

    /// Returns the working plugins of a type, such as snapshotters; none if containerd does not say.
    pub(crate) fn plugins(&self, kind: &str) -> Vec<String> {
        use crate::wire::plugins::{PLUGINS, PluginsRequest, PluginsResponse};
        let request = PluginsRequest { filters: vec![format!("type=={kind}")] };
        let found: PluginsResponse = self.call(PLUGINS, None, request).unwrap_or_default();
        let working = found.plugins.into_iter().filter(|plugin| plugin.failure.is_none());
        working.map(|plugin| plugin.id).collect()
    }

    /// Returns the names of all namespaces.
    pub(crate) fn namespaces(&self) -> Result<Vec<String>> {
        use crate::wire::plugins::{NAMESPACES, NamespacesRequest, NamespacesResponse};
        let found: NamespacesResponse =
            self.call(NAMESPACES, None, NamespacesRequest {}).map_err(|status| self.failed(status))?;
        Ok(found.namespaces.into_iter().map(|namespace| namespace.name).collect())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Messages that containerd sends.
pub(crate) struct Incoming<A>(tonic::Streaming<A>);

/// A call with messages in both directions. It ends, for containerd, when this is dropped.
pub(crate) struct Exchange<Q, A> {
    sender: mpsc::Sender<Q>,
    pub(crate) incoming: Incoming<A>,
}

impl<Q, A> Exchange<Q, A> {
    /// Says that no message follows.
    pub(crate) fn close(self) -> Incoming<A> {
        self.incoming
    }
}

/// Messages from a channel, as tonic takes them.
struct Sent<Q>(mpsc::Receiver<Q>);

impl<Q> Stream for Sent<Q> {
    type Item = Q;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Q>> {
        self.0.poll_recv(context)
    }
}

/// Returns whether a call failed because what it names does not exist.
pub(crate) fn is_missing(status: &Status) -> bool {
    status.code() == Code::NotFound
}

#[cfg(test)]
mod tests {
    use longshore_oci::ErrorKind as Kind;

    use super::*;

    #[test]
    fn a_socket_that_is_missing_or_dead_is_named() {
        let place = tempfile::tempdir().unwrap();
        let dead = place.path().join("dead");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        for (name, reason, hint) in [
            ("missing", "no such file or directory", "start containerd"),
            ("dead", "connection refused", "start containerd"),
        ] {
            let socket = place.path().join(name);
            let address = Address::default().with_socket(socket.to_str().unwrap()).unwrap();
            let error = Connection::open(&address).unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable);
            assert_eq!(error.with_causes(), format!("cannot reach containerd at {}: {reason}", socket.display()));
            assert!(error.hint().is_some_and(|given| given.contains(hint)), "{:?}", error.hint());
        }
    }
}
