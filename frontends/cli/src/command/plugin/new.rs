//! `longshore plugin new`: an exporter that works, to be changed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Result;
use longshore_core::{Context, Error};
use longshore_external::host::{Role, is_plugin_name};

use crate::args::{Language, PluginNewArgs};
use crate::stdout;

/// What stands for the type in the templates.
const PLACEHOLDER: &str = "@TYPE@";

pub(super) fn new(args: &PluginNewArgs) -> Result<()> {
    let name = &args.name;
    if !is_plugin_name(name) {
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
    let executable = format!("{}{name}", Role::Exporter.prefix());
    for (file, text) in [(executable.as_str(), program), ("test.sh", include_str!("../../../templates/test.sh"))] {
        let path = directory.join(file);
        let open = OpenOptions::new().write(true).create_new(true).mode(0o777).open(&path);
        let written = open.and_then(|mut file| file.write_all(text.replace(PLACEHOLDER, name).as_bytes()));
        written.attempt(|| format!("cannot write {}", path.display()))?;
    }
    Ok(stdout::print(format!("{name}/{executable} is an exporter that works; {name}/test.sh tests it\n"))?)
}
