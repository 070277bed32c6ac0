//! The open store: a connection, and the lease of a view.

use std::sync::Arc;

use longshore_oci::{Context, Digest, Error, ErrorKind, Result};

use crate::address::Address;
use crate::connection::Connection;
use crate::lease::Lease;

/// A namespace of a containerd as an image store, or a view of one that a
/// [lease](longshore_content::ContentStore::lease) made. Clones are the same store or view.
#[derive(Debug, Clone)]
pub struct ContainerdStore {
    pub(crate) connection: Arc<Connection>,
    pub(crate) snapshotter: Arc<str>,
    /// What a view holds.
    pub(crate) lease: Option<Arc<Lease>>,
}

impl ContainerdStore {
    /// Opens the store at `address`. A namespace that does not exist is created by the first write.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if no containerd responds; [`Denied`](ErrorKind::Denied) without permission
    /// to use its socket.
    pub fn open(address: &Address) -> Result<Self> {
        let connection = Arc::new(Connection::open(address)?);
        // The first call finds what listens there but is no containerd.
        connection.namespaces().attempt(|| format!("cannot use containerd at {}", address.socket.display()))?;
        Ok(Self { connection, snapshotter: address.snapshotter.as_str().into(), lease: None })
    }

    /// Opens the store at `address`, whose namespace must exist, or be the `default` one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`NotFound`](ErrorKind::NotFound) for a namespace that does not exist.
    pub fn open_existing(address: &Address) -> Result<Self> {
        let store = Self::open(address)?;
        let namespaces = store.connection.namespaces()?;
        let Address { socket, namespace, .. } = address;
        if namespaces.contains(namespace) || *namespace == Address::default().namespace {
            return Ok(store);
        }
        let message = format!("containerd at {} has no namespace `{namespace}`", socket.display());
        let error = Error::new(ErrorKind::NotFound, message);
        Err(if namespaces.is_empty() {
            error.with_hint("it has no namespace yet: import an image first")
        } else {
            error.with_hint(format!("it has {}: add namespace=NAME", namespaces.join(", ")))
        })
    }

    /// Returns a view of the store with its own lease.
    pub(crate) fn view(&self) -> Result<Self> {
        let lease = Lease::begin(&self.connection)
            .attempt(|| format!("cannot lease content of containerd at {}", self.connection.socket().display()))?;
        Ok(Self { lease: Some(Arc::new(lease)), ..self.clone() })
    }

    /// Returns the name of the lease of a view.
    pub(crate) fn lease_id(&self) -> Option<&str> {
        self.lease.as_ref().map(|lease| lease.id())
    }

    /// Makes the lease of a view, if this is one, hold a blob; returns whether that took a call, before which the blob may
    /// have been collected.
    pub(crate) fn hold_blob(&self, digest: &Digest) -> Result<bool> {
        self.lease.as_ref().map_or(Ok(false), |lease| lease.hold("content", digest))
    }

    /// Does the same with a snapshot.
    pub(crate) fn hold_snapshot(&self, chain_id: &Digest) -> Result<bool> {
        let kind = || format!("snapshots/{}", self.snapshotter);
        self.lease.as_ref().map_or(Ok(false), |lease| lease.hold(&kind(), chain_id))
    }
}
