//! `longshore copy`: an export whose destination is written like a source.

use longshore_core::Result;

use super::words::{Words, destination};
use crate::args::CopyArgs;

pub(super) fn export(args: &CopyArgs) -> Result<Words> {
    let mut words = Words::new(args.progress);
    words.source(&args.from);
    words.output(&destination(&args.to, args.insecure)?);
    words.platforms(&args.platforms);
    if args.referrers {
        words.flag("--referrers");
    }
    Ok(words)
}
