//! Words and flags of other tools: the error names what does the same here, or what was mistyped, and never a word that
//! only looks alike.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use longshore_core::options::nearest;

/// Commands of docker, podman, buildx, skopeo, crane, umoci and ctr, and what does the same here.
const VERBS: [(&[&str], &str); 21] = [
    (&["cp", "sync", "clone"], "`longshore copy SRC DST` copies images, also between registries"),
    (
        &["image", "images-ls", "container-image"],
        "`longshore images`, `pull`, `push`, `rm`, `inspect`, `tag` and `prune` are commands of their own",
    ),
    (
        &["imagetools", "manifest"],
        "`longshore index create DST SOURCE…` lists images for several platforms under one name, and `longshore inspect --raw SOURCE` shows a manifest",
    ),
    (
        &["build", "buildx", "bake"],
        "Longshore exports what was built: `longshore export rootfs:DIR -o type=image,name=NAME`",
    ),
    (
        &["run", "start", "exec", "create"],
        "Longshore runs no containers: `longshore unpack NAME --to DIR` writes the files of an image",
    ),
    (&["ps", "stop", "kill", "logs", "attach"], "Longshore runs no containers; `longshore images` lists images"),
    (&["commit", "append", "insert", "add"], "`longshore export SOURCE --layer DIR -o OUTPUT` adds a layer"),
    (
        &["mutate", "edit"],
        "`longshore export SOURCE --env KEY=VALUE -o OUTPUT` changes an image; `longshore export --help` lists all changes",
    ),
    (&["annotate"], "`longshore export SOURCE --annotation KEY=VALUE -o OUTPUT`"),
    (
        &["untag", "remove", "del"],
        "`longshore rm NAME` removes a name from the image store, `longshore delete docker://NAME` from a registry",
    ),
    (
        &["history", "config", "show"],
        "`longshore inspect SOURCE` shows the layers and what made them, `--config` the configuration",
    ),
    (&["manifests", "raw"], "`longshore inspect --raw SOURCE`"),
    (
        &["list", "catalog"],
        "`longshore images` lists the image store, `longshore ls REPOSITORY` the tags in a registry",
    ),
    (&["list-tags", "tags"], "`longshore ls REPOSITORY`"),
    (&["mount"], "`longshore unpack NAME --mount DIR`"),
    (&["umount", "unmount"], "`umount DIR`"),
    (&["validate", "check", "scan"], "`longshore verify SOURCE` checks every digest, size and reference"),
    (&["extract", "unpack-layer"], "`longshore unpack NAME --to DIR`"),
    (&["df", "system", "info"], "`longshore du` shows what the image store takes, `longshore prune` frees it"),
    (&["search"], "Longshore asks registries for what they list only: `longshore ls REPOSITORY`"),
    (
        &["repack", "gc"],
        "`longshore export ROOTFS… -o type=oci,tar=false,dest=DIR` writes a layout; `longshore prune` frees the image store",
    ),
];

/// Flags of other tools, the commands that do not have them (all if there are none), and what does the same.
const FLAGS: [(&[&str], &str); 24] = [
    (
        &["--push"],
        "add `-o type=registry,name=NAME`, or `push=true` to type=image; `longshore push NAME` pushes from the image store",
    ),
    (
        &["--load"],
        "add `-o type=image,name=NAME` for the image store, or `-o type=docker,name=NAME,dest=-` and pipe it into `docker load`",
    ),
    (&["--chown"], "use --owner UID:GID"),
    (&["-t", "--tag", "--name", "-n"], "put the name into the output: `-o type=image,name=NAME`"),
    (&["--output", "-o"], "this command writes no file; `longshore export SOURCE -o type=TYPE,dest=FILE` does"),
    (
        &["--file", "-f", "--build-arg", "--target", "--no-cache", "--secret", "--ssh"],
        "Longshore builds nothing: it exports what was built",
    ),
    (&["--append", "-a", "--new_layer", "--new-layer"], "use --layer PATH"),
    (&["--new_tag", "--new-tag", "--dest"], "put the destination into the output: `-o type=registry,name=NAME`"),
    (&["--format"], "`--json` prints everything, for jq and programs"),
    (&["--raw", "--manifest"], "`longshore inspect --raw SOURCE` prints the manifest as it is"),
    (&["--config"], "`longshore inspect --config SOURCE` prints the configuration"),
    (&["--all-platforms", "--multi-arch"], "all platforms are taken, unless --platform names some"),
    (&["--override-os", "--override-arch", "--override-variant", "--os", "--arch"], "use --platform OS/ARCH"),
    (
        &["--src-tls-verify", "--dest-tls-verify", "--tls-verify", "--plain-http", "--skip-verify"],
        "use `docker://NAME,insecure=true` for a source, and `registry.insecure=true` for an output",
    ),
    (
        &["--creds", "--src-creds", "--dest-creds", "--username", "--password", "-u", "-p"],
        "`longshore login REGISTRY` keeps them in a file or a helper",
    ),
    (&["--authfile"], "set REGISTRY_AUTH_FILE"),
    (&["--force"], "nothing has to be forced: what is in use stays"),
    (&["--no-trunc", "--digests"], "`longshore images --json` has whole digests"),
    (&["--filter"], "`longshore images --quiet` prints a name per line, for grep"),
    (
        &["--compress", "--dest-compress", "--compression-format", "--dest-compress-format"],
        "put it into the output: `compression=zstd,force-compression=true`",
    ),
    (&["--provenance", "--sbom"], "use `--attest type=provenance` and `--attest type=sbom,file=FILE`"),
    (&["--image", "--rootless"], "images are sources: `oci:DIR:NAME`"),
    (&["--cache-to", "--cache-from"], "layers are kept in the image store by themselves; `longshore du` shows them"),
    (&["--timestamp"], "set SOURCE_DATE_EPOCH, and add `rewrite-timestamp=true` to the output"),
];

/// Returns the error of a command line for a word or a flag that there is not, with what was probably meant.
pub(super) fn explained(error: Error, words: &[OsString], command: &Command) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => match text(ContextKind::InvalidSubcommand) {
            Some(word) => raw(ErrorKind::InvalidSubcommand, &verb(&word, words, command)),
            None => error,
        },
        ErrorKind::UnknownArgument => match text(ContextKind::InvalidArg) {
            Some(flag) => raw(ErrorKind::UnknownArgument, &self::flag(&flag, words, command)),
            None => error,
        },
        ErrorKind::InvalidUtf8 => match words.iter().find(|word| word.to_str().is_none()) {
            Some(word) => raw(ErrorKind::InvalidUtf8, &not_text(word)),
            None => error,
        },
        _ => error,
    }
}

fn not_text(word: &OsStr) -> String {
    let hint = "sources and outputs are text: name a link to the file, or run the command in its directory as `.`";
    format!("the argument {word:?} is not UTF-8\nhint: {hint}")
}

fn raw(kind: ErrorKind, message: &str) -> Error {
    Error::raw(kind, format!("{message}\n"))
}

fn verb(word: &str, words: &[OsString], command: &Command) -> String {
    let (path, command) = used(words, command);
    let lower = word.to_lowercase();
    let names =
        || command.get_subcommands().flat_map(|own| [own.get_name()].into_iter().chain(own.get_visible_aliases()));
    let known = VERBS.iter().find(|(verbs, _)| verbs.contains(&lower.as_str())).map(|(_, hint)| (*hint).to_owned());
    let is_source =
        || word.contains([':', '/', '.']).then(|| format!("write the command first: longshore inspect {word}"));
    let typo = || nearest(&lower, names()).map(|name| format!("did you mean `{path} {name}`?"));
    let hint = known.or_else(is_source).or_else(typo).unwrap_or_else(|| format!("`{path} --help` lists the commands"));
    format!("there is no command `{path} {}`\nhint: {hint}", word.escape_debug())
}

fn flag(flag: &str, words: &[OsString], command: &Command) -> String {
    let (path, command) = used(words, command);
    // clap names it with its value.
    let name = flag.split(['=', ' ']).next().unwrap_or(flag);
    if !name.starts_with('-') {
        return format!(
            "`{path}` takes no more after what it has: `{}`\nhint: `{path} --help` shows how it is written",
            flag.escape_debug()
        );
    }
    let own = || command.get_arguments().filter_map(|argument| argument.get_long());
    let typo = nearest(name.trim_start_matches('-'), own()).filter(|_| name.starts_with("--"));
    let known = FLAGS.iter().find(|(flags, _)| flags.contains(&name)).map(|(_, hint)| (*hint).to_owned());
    let typo = typo.map(|typo| format!("did you mean `--{typo}`?"));
    let hint = known.or(typo).unwrap_or_else(|| format!("`{path} --help` lists the flags"));
    format!("`{path}` has no flag `{}`\nhint: {hint}", name.escape_debug())
}

/// Returns the command that the words get to, and how it is called.
fn used<'a>(words: &[OsString], command: &'a Command) -> (String, &'a Command) {
    let (mut path, mut used) = (command.get_name().to_owned(), command);
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        match used.find_subcommand(word) {
            Some(found) if word != "help" => {
                path += &format!(" {}", found.get_name());
                used = found;
            }
            // Its words name another command.
            Some(_) => {}
            None if word == "--store" => drop(words.next()),
            None if word.starts_with('-') => {}
            None => break,
        }
    }
    (path, used)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    /// A word that came to be a command would never be explained.
    #[test]
    fn words_of_other_tools_are_none_of_ours() {
        let command = Args::command();
        for word in VERBS.iter().flat_map(|(words, _)| *words) {
            assert!(command.find_subcommand(word).is_none(), "{word}");
        }
    }

    /// Each command in a hint is one.
    #[test]
    fn hints_name_commands_that_exist() {
        let command = Args::command();
        let hints = VERBS.iter().map(|(_, hint)| hint).chain(FLAGS.iter().map(|(_, hint)| hint));
        for hint in hints {
            for named in hint.split("`longshore ").skip(1) {
                let name = named.split([' ', '`']).next().unwrap_or_default();
                assert!(command.find_subcommand(name).is_some(), "{hint}");
            }
        }
    }
}
