//! `longshore plugin new`: an exporter that works, to be changed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Result;
use longshore_core::{Context, Error};

use super::EXPORTER;
use crate::args::{Language, PluginNewArgs};

/// What stands for the type in the templates.
const PLACEHOLDER: &str = "@TYPE@";

pub(super) fn new(args: &PluginNewArgs) -> Result<()> {
    let name = &args.name;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !name.starts_with(is_word) || !name.ends_with(is_word) || !name.chars().all(|c| is_word(c) || c == '-') {
        let message = format!("`{}` cannot be a type", name.escape_debug());
        return Err(Error::option(message)
            .with_hint("use lower-case letters, digits, and hyphens between them")
            .into());
    }
    let program = match args.language {
        Language::Python => include_str!("../../../templates/exporter.py"),
        Language::Sh => include_str!("../../../templates/exporter.sh"),
    };
    let directory = Path::new(name);
    let made = fs::create_dir(directory).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::option("it is there already").with_hint("choose another name"),
        _ => error.into(),
    });
    made.attempt(|| format!("cannot create the directory {name}"))?;
    for (file, text) in
        [(format!("{EXPORTER}{name}"), program), ("test.sh".to_owned(), include_str!("../../../templates/test.sh"))]
    {
        let path = directory.join(file);
        let open = OpenOptions::new().write(true).create_new(true).mode(0o777).open(&path);
        let written = open.and_then(|mut file| file.write_all(text.replace(PLACEHOLDER, name).as_bytes()));
        written.attempt(|| format!("cannot write {}", path.display()))?;
    }
    writeln!(io::stdout(), "{name}/{EXPORTER}{name} is an exporter that works; {name}/test.sh tests it")?;
    Ok(())
}
