//! `longshore push`: an export to registries.

use super::words::Words;
use crate::args::PushArgs;

pub(super) fn export(args: &PushArgs) -> Words {
    let mut words = Words::new(args.progress);
    match args.all_tags {
        true if args.image.starts_with("image:") => words.source(format!("{},all-tags=true", args.image)),
        true => words.source(format!("image:{},all-tags=true", args.image)),
        false => words.source(&args.image),
    }
    let names = args.names.iter().map(|name| name.strip_prefix("docker://").unwrap_or(name));
    let names = names.collect::<Vec<_>>().join(",");
    let name = if names.is_empty() { "*" } else { &names };
    let mut fields = vec!["type=registry".to_owned(), format!("name={name}")];
    fields.extend(args.insecure.then(|| "registry.insecure=true".to_owned()));
    words.output(&fields);
    words.platforms(&args.platforms);
    words
}
