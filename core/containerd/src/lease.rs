//! Leases: what a run wrote or found stays until it ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_oci::{Digest, Result};
use parking_lot::Mutex;

use crate::connection::Connection;
use crate::wire::Empty;
use crate::wire::leases::{ADD_RESOURCE, AddResourceRequest, CREATE, CreateRequest, DELETE, DeleteRequest, Resource};

/// When containerd forgets the lease of a run that was killed, as for its own clients.
const EXPIRY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// A lease in containerd, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Arc<Connection>,
    id: String,
    /// What it is known to hold, by kind and digest.
    held: Mutex<HashSet<String>>,
}

impl Lease {
    pub(crate) fn begin(connection: &Arc<Connection>) -> Result<Self> {
        let expires = (jiff::Timestamp::now() + EXPIRY).round(jiff::Unit::Second);
        let expires = expires.map(|time| time.to_string()).unwrap_or_default();
        let id = unique("longshore-");
        let labels = HashMap::from([("containerd.io/gc.expire".to_owned(), expires)]);
        let request = CreateRequest { id: id.clone(), labels };
        connection.call::<_, Empty>(CREATE, None, request).map_err(|status| connection.failed(status))?;
        Ok(Self { connection: connection.clone(), id, held: Mutex::default() })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Holds a resource of a kind; returns whether it did not before.
    pub(crate) fn hold(&self, kind: &str, digest: &Digest) -> Result<bool> {
        let key = format!("{kind} {digest}");
        if self.held.lock().contains(&key) {
            return Ok(false);
        }
        let resource = Some(Resource { id: digest.to_string(), kind: kind.to_owned() });
        let request = AddResourceRequest { id: self.id.clone(), resource };
        let added = self.connection.call::<_, Empty>(ADD_RESOURCE, None, request);
        added.map_err(|status| self.connection.failed(status))?;
        self.held.lock().insert(key);
        Ok(true)
    }

    /// Records that it holds a blob, which was written with its name.
    pub(crate) fn note_blob(&self, digest: &Digest) {
        self.held.lock().insert(format!("content {digest}"));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let request = DeleteRequest { id: self.id.clone(), sync: false };
        // If it cannot be removed now, it expires.
        let _ = self.connection.call::<_, Empty>(DELETE, None, request);
    }
}

/// Returns a name that nothing else has: `start`, and 16 digits.
pub(crate) fn unique(start: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    // Seeded by the system, once per thread and process, and different each time.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(NUMBER.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    format!("{start}{:016x}", hasher.finish())
}
