//! Where a containerd is, and which part of it is the store.

use std::path::PathBuf;

use longshore_content::nearest;
use longshore_oci::{Error, Result};

/// Where containerd listens unless told otherwise.
const SOCKET: &str = "/run/containerd/containerd.sock";
const NAMESPACE: &str = "default";
const SNAPSHOTTER: &str = "overlayfs";
const KEYS: [&str; 2] = ["namespace", "snapshotter"];

/// The socket of a containerd, and the part of it that is the store: `[SOCKET][,namespace=NAME,snapshotter=NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The path of its socket.
    pub socket: PathBuf,
    /// The namespace: images, content and snapshots of another one are not seen.
    pub namespace: String,
    /// What keeps unpacked layers.
    pub snapshotter: String,
}

impl Default for Address {
    /// Returns what containerd's own clients use without options and variables.
    fn default() -> Self {
        Self { socket: SOCKET.into(), namespace: NAMESPACE.to_owned(), snapshotter: SNAPSHOTTER.to_owned() }
    }
}

impl Address {
    /// Returns what `ctr` uses without options: `$CONTAINERD_ADDRESS`, `$CONTAINERD_NAMESPACE` and
    /// `$CONTAINERD_SNAPSHOTTER`, if set, in place of the defaults.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for a variable with an invalid value.
    pub fn from_environment() -> Result<Self> {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut address = Self::default();
        if let Some(socket) = read("CONTAINERD_ADDRESS") {
            address = address.with_socket(&socket)?;
        }
        if let Some(namespace) = read("CONTAINERD_NAMESPACE") {
            address = address.with_namespace(&namespace)?;
        }
        if let Some(snapshotter) = read("CONTAINERD_SNAPSHOTTER") {
            address = address.with_snapshotter(&snapshotter)?;
        }
        Ok(address)
    }

    /// Parses `[SOCKET][,KEY=VALUE]…`; what `text` leaves out is taken from `self`.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption), with a hint.
    pub fn parse(self, text: &str) -> Result<Self> {
        let mut address = self;
        for (number, field) in text.split(',').enumerate() {
            match field.split_once('=').filter(|(key, _)| !key.contains('/')) {
                Some(("namespace", name)) => address = address.with_namespace(name)?,
                Some(("snapshotter", name)) => address = address.with_snapshotter(name)?,
                Some((key, _)) => return Err(unknown(key)),
                None if number == 0 && field.is_empty() => {}
                None if number == 0 => address = address.with_socket(field)?,
                None => return Err(unknown(field)),
            }
        }
        Ok(address)
    }

    /// Sets the path of the socket, which `unix://` may precede.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for an address of another scheme.
    pub fn with_socket(self, socket: &str) -> Result<Self> {
        let path = socket.strip_prefix("unix://").unwrap_or(socket);
        if path.is_empty() || path.contains("://") {
            let error = Error::option(format!("`{}` is not the socket of a containerd", socket.escape_debug()));
            return Err(error.with_hint(format!("name a unix socket, such as {SOCKET}")));
        }
        Ok(Self { socket: path.into(), ..self })
    }

    /// Sets the namespace.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for a name that containerd does not take.
    pub fn with_namespace(self, namespace: &str) -> Result<Self> {
        check("namespace", namespace)?;
        Ok(Self { namespace: namespace.to_owned(), ..self })
    }

    /// Sets the snapshotter.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for a name that containerd does not take.
    pub fn with_snapshotter(self, snapshotter: &str) -> Result<Self> {
        check("snapshotter", snapshotter)?;
        Ok(Self { snapshotter: snapshotter.to_owned(), ..self })
    }
}

fn unknown(key: &str) -> Error {
    let error = Error::option(format!("a store in containerd has no option `{}`", key.escape_debug()));
    match nearest(key, KEYS) {
        Some(near) => error.with_hint(format!("did you mean {near}=?")),
        None => error.with_hint("write containerd:[SOCKET][,namespace=NAME,snapshotter=NAME]"),
    }
}

/// Checks a name by the rules of containerd's identifiers: at most 76 letters and digits, in groups between single dots,
/// hyphens or underscores.
fn check(what: &str, name: &str) -> Result<()> {
    let is_group = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if name.len() <= 76 && name.split(['.', '-', '_']).all(is_group) {
        return Ok(());
    }
    let error = Error::option(format!("`{}` cannot be the name of a {what} of containerd", name.escape_debug()));
    Err(error.with_hint("use letters and digits, with single dots, hyphens or underscores between them"))
}

#[cfg(test)]
mod tests {
    use longshore_oci::ErrorKind;

    use super::*;

    fn parse(text: &str) -> Result<(String, String, String)> {
        let Address { socket, namespace, snapshotter } = Address::default().parse(text)?;
        Ok((socket.display().to_string(), namespace, snapshotter))
    }

    #[test]
    fn what_is_left_out_is_the_default() {
        for (text, socket, namespace, snapshotter) in [
            ("", SOCKET, "default", "overlayfs"),
            ("/run/x.sock", "/run/x.sock", "default", "overlayfs"),
            ("x.sock", "x.sock", "default", "overlayfs"),
            ("unix:///run/x.sock", "/run/x.sock", "default", "overlayfs"),
            ("/a=b/x.sock", "/a=b/x.sock", "default", "overlayfs"),
            (",namespace=k8s.io", SOCKET, "k8s.io", "overlayfs"),
            ("namespace=k8s.io", SOCKET, "k8s.io", "overlayfs"),
            ("/x,snapshotter=native,namespace=a-b_c.d", "/x", "a-b_c.d", "native"),
        ] {
            let expected = (socket.to_owned(), namespace.to_owned(), snapshotter.to_owned());
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let long = "a".repeat(77);
        for (text, message, hint) in [
            ("/x,namespce=a", "a store in containerd has no option `namespce`", "did you mean namespace=?"),
            ("/x,/y", "a store in containerd has no option `/y`", "containerd:[SOCKET]"),
            ("/x,namespace=", "`` cannot be the name of a namespace", "use letters"),
            ("/x,namespace=a..b", "`a..b` cannot be the name of a namespace", "use letters"),
            ("/x,snapshotter=/run/s", "`/run/s` cannot be the name of a snapshotter", "use letters"),
            (&format!("/x,namespace={long}"), &format!("`{long}` cannot be"), "use letters"),
            ("tcp://host:1", "`tcp://host:1` is not the socket of a containerd", SOCKET),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption, "{text}");
            assert!(error.message().starts_with(message), "{text}: {error}");
            assert!(error.hint().is_some_and(|given| given.contains(hint)), "{text}: {:?}", error.hint());
        }
    }
}
