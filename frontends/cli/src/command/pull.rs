//! `longshore pull`: an export from registries into the image store.

use longshore_core::oci::Platform;

use super::words::Words;
use crate::args::PullArgs;

pub(super) fn export(args: &PullArgs) -> Words {
    let mut words = Words::new(args.progress);
    for name in &args.names {
        let name = name.strip_prefix("docker://").unwrap_or(name);
        let insecure = if args.insecure { ",insecure=true" } else { "" };
        words.source(format!("docker://{name}{insecure}"));
    }
    words.output(&["type=image".to_owned(), "name=*".to_owned()]);
    match (&args.platforms[..], args.all_platforms) {
        ([], false) => words.platforms(&[Platform::host()]),
        (platforms, _) => words.platforms(platforms),
    }
    words
}
