//! Examples at the end of the help of each command. A test parses every one.

use clap::Command;

use crate::exit_code;

/// The examples of each command.
const EXAMPLES: [(&str, &[&str]); 25] = [
    (
        "export",
        &[
            "longshore export ./tree -o type=image,name=example.com/app:1",
            "longshore export image:example.com/app:1 --layer ./etc:/etc -o type=oci,dest=app.tar",
            "longshore export amd64=./amd arm64=./arm -o type=registry,name=example.com/app:1",
            "longshore export ./tree -o 'type=oci,\"name=example.com/app:1,example.com/app:2\",dest=app.tar'",
        ],
    ),
    ("pull", &["longshore pull debian:13", "longshore pull example.com/app:1 --all-platforms"]),
    ("push", &["longshore push example.com/app:1", "longshore push app.tar example.com/app:1"]),
    (
        "copy",
        &[
            "longshore copy docker://debian:13 docker://example.com/debian:13",
            "longshore copy docker://debian:13 oci-archive:debian.tar",
            "longshore copy layout image:example.com/app:1",
        ],
    ),
    (
        "index",
        &[
            "longshore index create docker://example.com/app:1 docker://example.com/app:amd64 docker://example.com/app:arm64",
        ],
    ),
    ("flatten", &["longshore flatten example.com/app:1 image:example.com/app:flat"]),
    (
        "rebase",
        &["longshore rebase example.com/app:1 image:example.com/app:2 --old-base debian:12 --new-base debian:13"],
    ),
    ("import", &["longshore import app.tar", "longshore load -i app.tar --name example.com/app:1"]),
    (
        "save",
        &["longshore save example.com/app:1 -o app.tar", "longshore save app:1 --from docker-graph --output app.tar"],
    ),
    ("images", &["longshore images", "longshore images --json"]),
    ("tag", &["longshore tag example.com/app:1 example.com/app:stable"]),
    (
        "unpack",
        &["longshore unpack example.com/app:1 --to ./root", "longshore unpack docker://debian:13 --to ./debian"],
    ),
    ("rm", &["longshore rm example.com/app:1"]),
    ("prune", &["longshore prune --dry-run", "longshore prune --keep-storage 2GB"]),
    ("du", &["longshore du"]),
    (
        "inspect",
        &[
            "longshore inspect docker://debian:13",
            "longshore inspect app.tar --files",
            "longshore inspect --config docker://debian:13 --platform arm64",
            "longshore inspect example.com/app:1 --html app.html --open",
        ],
    ),
    ("diff", &["longshore diff docker://debian:12 docker://debian:13", "longshore diff app:1 app:2 --html diff.html"]),
    ("digest", &["longshore digest docker://debian:13", "longshore digest app.tar --platform arm64"]),
    ("verify", &["longshore verify app.tar", "longshore verify docker://example.com/app:1 --json"]),
    ("ls", &["longshore ls example.com/app"]),
    ("delete", &["longshore delete --yes docker://example.com/app:1"]),
    ("login", &["longshore login ghcr.io", "longshore login ghcr.io --username me --password-stdin"]),
    ("logout", &["longshore logout ghcr.io"]),
    ("exporters", &["longshore exporters", "longshore exporters oci --json"]),
    ("sources", &["longshore sources", "longshore sources rootfs"]),
];

/// Adds the examples to the help of the commands.
pub(super) fn added(mut command: Command) -> Command {
    for (name, lines) in EXAMPLES {
        let text = lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
        let text = format!("Examples:\n{text}\n{}", exit_code::HELP);
        command = command.mut_subcommand(name, |own| own.after_help(text));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::command;

    /// Splits a line as a shell does, as far as the examples need.
    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()
    }

    #[test]
    fn each_example_is_a_command_line() {
        for (name, lines) in EXAMPLES {
            for line in lines {
                let parsed = command().try_get_matches_from(words(line));
                let matches = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert!(
                    command().find_subcommand(name).unwrap().get_name() == matches.subcommand_name().unwrap(),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn each_command_has_examples() {
        let command = command();
        let own = command.get_subcommands().map(Command::get_name);
        let without: Vec<_> = own.filter(|name| !EXAMPLES.iter().any(|(known, _)| known == name)).collect();
        assert_eq!(without, ["plugin", "completion", "man"], "their help is all there is to say");
    }
}
