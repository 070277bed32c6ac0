//! Suites over trait objects, which every implementation of a contract must pass, ours and others'.
//!
//! A test of an implementation is one call. All cases run; the panic names each failed one.

mod case;
mod content;
mod exporter;
mod frontend;
mod images;
mod leases;
mod listing;
mod platforms;
mod pusher;
mod snapshots;
mod trial;
mod words;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use case::{ExporterCase, RegistryCase, StoreCase};
pub use content::{CONTENT_CASES, ContentCheck, content_store};
pub use exporter::{EXPORTER_CASES, ExporterCheck, exporter};
pub use frontend::{FRONTEND_CASES, FrontendCase, FrontendCheck, OpenStore, frontend};
pub use images::{IMAGE_CASES, ImageCheck, image_store};
pub use leases::{CollectedStore, LEASE_CASES, LeaseCheck, leases};
pub use listing::{digest_of, listing_of};
pub use platforms::{PLATFORM_CASES, PickPlatform, PlatformCase, platform_picker};
pub use pusher::{PUSHER_CASES, PusherCheck, pusher};
pub use snapshots::{SNAPSHOT_CASES, SnapshotCheck, snapshots};

/// Runs each case, and panics with the names and messages of the failed ones.
fn run<F: FnOnce()>(suite: &str, cases: impl Iterator<Item = (&'static str, F)>) {
    let mut failed = Vec::new();
    for (name, case) in cases {
        if let Err(message) = verdict(case) {
            failed.push(format!("- {name}: {message}"));
        }
    }
    assert!(failed.is_empty(), "{suite}: {} cases failed:\n{}", failed.len(), failed.join("\n"));
}

/// Runs one case.
///
/// # Errors
/// What it panics with.
pub fn verdict(case: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(case)).map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
