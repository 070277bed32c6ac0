//! Layers that only their maker hands out, such as those of Windows: an image without them is whole.

use longshore_content::{Progress, Provider};
use longshore_oci::{Descriptor, ErrorKind, Result};

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
