//! Recipes: one step per line.

use std::fmt;

use longshore_core::{Error, Result};

/// A step of a recipe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What is in a directory, whose path is relative to the recipe, into a directory of the image.
    Copy { from: String, to: String },
    /// The files of a tar archive, in the same way.
    Add { from: String, to: String },
    /// A variable of the environment, `NAME=VALUE`.
    Env(String),
    /// The command of the container.
    Cmd(Vec<String>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy { from, to } => write!(f, "copy {from} {to}"),
            Self::Add { from, to } => write!(f, "add {from} {to}"),
            Self::Env(variable) => write!(f, "env {variable}"),
            Self::Cmd(command) => write!(f, "cmd {}", command.join(" ")),
        }
    }
}

/// Reads a recipe. Empty lines, and those that begin with `#`, are comments.
///
/// # Errors
/// A line that is no step, by its number.
pub(crate) fn parse(text: &str) -> Result<Vec<Step>> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let steps = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    steps.map(|(number, line)| step(line).map_err(|error| error.context(format!("line {number}")))).collect()
}

fn step(line: &str) -> Result<Step> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["copy", from, to] if to.starts_with('/') => Ok(Step::Copy { from: from.to_owned(), to: to.to_owned() }),
        ["add", from, to] if to.starts_with('/') => Ok(Step::Add { from: from.to_owned(), to: to.to_owned() }),
        [name @ ("copy" | "add"), ..] => {
            Err(Error::input(format!("`{name}` needs a path and a directory of the image"))
                .with_hint("copy bin /usr/bin"))
        }
        ["env", variable] if variable.contains('=') => Ok(Step::Env(variable.to_owned())),
        ["env", ..] => Err(Error::input("`env` needs a variable").with_hint("env NAME=VALUE")),
        ["cmd", ref command @ ..] if !command.is_empty() => {
            Ok(Step::Cmd(command.iter().map(|word| (*word).to_owned()).collect()))
        }
        _ => {
            Err(Error::input(format!("`{}` is no step", line.escape_debug()))
                .with_hint("steps are copy, add, env and cmd"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_step() {
        let error = parse("# a recipe\n\ncopy a b/../c /x\n").unwrap_err().with_causes();
        assert_eq!(error, "line 3: `copy` needs a path and a directory of the image");
        let steps = parse(" copy bin /usr/bin\nenv A=b=c\ncmd sh -c ls\n").unwrap();
        let command = ["sh", "-c", "ls"].map(str::to_owned).to_vec();
        let copy = Step::Copy { from: "bin".to_owned(), to: "/usr/bin".to_owned() };
        assert_eq!(copy.to_string(), "copy bin /usr/bin");
        assert_eq!(steps, [copy, Step::Env("A=b=c".to_owned()), Step::Cmd(command)]);
        for line in ["copy a b", "env A", "cmd", "run ls"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
