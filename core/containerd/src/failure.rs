//! Failed calls as errors.

use std::io;
use std::path::Path;

use longshore_oci::{Error, ErrorKind};
use tonic::{Code, Status};

/// Returns the error of a socket that cannot be connected to.
pub(crate) fn unreachable(socket: &Path, error: io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            (ErrorKind::Denied, "only root, and the group that owns the socket, may use containerd: try sudo")
        }
        _ => (ErrorKind::Unavailable, "start containerd, or name its socket: containerd:SOCKET"),
    };
    let message = format!("cannot reach containerd at {}", socket.display());
    Error::new(kind, message).with_source(Error::from(error)).with_hint(hint)
}

/// Returns the error of a call that containerd failed, or that did not reach it.
pub(crate) fn failed(socket: &Path, status: Status) -> Error {
    let message = status.message();
    // Without words of containerd, it is the connection that failed.
    let is_of_connection = std::error::Error::source(&status).is_some();
    if is_of_connection {
        let error =
            Error::new(ErrorKind::Unavailable, format!("lost the connection to containerd at {}", socket.display()));
        return error
            .with_source(Error::new(ErrorKind::Other, root_cause(&status)))
            .with_hint("see whether it runs, and try again")
            .retryable();
    }
    if message.contains("lease does not exist") || (message.starts_with("lease ") && status.code() == Code::NotFound) {
        let error = Error::new(ErrorKind::Unavailable, "the lease of this run was removed from containerd, or expired");
        return error.with_hint("run it again");
    }
    let error = Error::new(kind_of(&status), format!("containerd: {message}"));
    match status.code() {
        Code::Unimplemented => {
            let service = message.rsplit(' ').next().unwrap_or(message);
            Error::new(ErrorKind::Unsupported, format!("containerd at {} lacks a service: {message}", socket.display()))
                .with_hint(format!("enable the plugin of {service} in its configuration (disabled_plugins)"))
        }
        Code::Unavailable => error.retryable(),
        _ => error,
    }
}

fn kind_of(status: &Status) -> ErrorKind {
    let message = status.message();
    if message.contains("no space left on device") || message.contains("disk quota exceeded") {
        return ErrorKind::NoSpace;
    }
    match status.code() {
        Code::NotFound => ErrorKind::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

fn root_cause(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}
