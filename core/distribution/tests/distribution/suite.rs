//! The suite that every pusher passes.

use std::sync::Arc;

use longshore_content::Pusher;
use longshore_testkit::conformance;

use crate::kit::{Kit, LONG, options};

#[test]
fn the_pusher_of_a_run() {
    conformance::pusher(&|| Arc::new(Kit::with(options(LONG, 4)).client.pusher()) as Arc<dyn Pusher>);
}
