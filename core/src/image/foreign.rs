//! Layers that only their vendor distributes, such as those of Windows: an image is complete without them.

use longshore_content::{Progress, Provider};
use longshore_oci::{Descriptor, Error, ErrorKind, MediaType, Result};

use super::ImageBlob;

/// Returns whether `provider` lacks a layer that may not be distributed ([`Descriptor::is_foreign`]). Other blobs are
/// not looked for.
///
/// # Errors
/// Errors of the provider, apart from [`NotFound`](ErrorKind::NotFound).
pub fn is_absent(descriptor: &Descriptor, provider: &dyn Provider) -> Result<bool> {
    if !descriptor.is_foreign() {
        return Ok(false);
    }
    match provider.open(&descriptor.digest, 0) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        opened => opened.map(|_| false),
    }
}

/// Says that a layer is left out that may not be distributed; `action` is what is done with others, such as `push`.
pub fn say_left_out(Descriptor { digest, size, .. }: &Descriptor, action: &str, progress: &Progress) {
    let task = progress.task(format!("{action} {digest}"), Some(*size));
    task.skipped("non-distributable: left at its URLs");
}

/// Returns the blobs that are present.
pub(super) fn leave_out<'a>(blobs: Vec<ImageBlob<'a>>, progress: &Progress) -> Result<Vec<ImageBlob<'a>>> {
    let mut present = Vec::with_capacity(blobs.len());
    for blob in blobs {
        if is_absent(&blob.descriptor, blob.provider.provider())? {
            say_left_out(&blob.descriptor, "write", progress);
        } else {
            present.push(blob);
        }
    }
    Ok(present)
}

/// Turns a nondistributable layer into an ordinary one, since its vendor no longer forbids distribution.
pub(super) fn distribute(descriptor: &mut Descriptor) {
    if !descriptor.media_type.is_not_distributable() {
        return;
    }
    if let Some(algorithm) = descriptor.media_type.layer_compression() {
        descriptor.media_type = MediaType::layer(algorithm);
    }
    descriptor.urls.clear();
}

/// Checks that `provider` has a layer that becomes an ordinary one.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) for one that is only at its URLs: it cannot be distributed.
pub(super) fn check_present(descriptor: &Descriptor, provider: &dyn Provider) -> Result<()> {
    if is_absent(descriptor, provider)? {
        let message = format!("layer {} is only at its URLs, so it cannot become an ordinary layer", descriptor.digest);
        return Err(Error::new(ErrorKind::NotFound, message).with_hint("leave out prefer-nondist-layers=false"));
    }
    Ok(())
}
