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

/// A file of a template: its path, its text, and whether it is a program.
type File = (String, &'static str, bool);

/// The crates that a plugin in Rust needs, and where they are in a checkout of Longshore.
const CRATES: [(&str, &str); 3] =
    [("longshore-core", "core"), ("longshore-external", "core/external"), ("longshore-testkit", "core/testkit")];

pub(super) fn new(args: &PluginNewArgs) -> Result<()> {
    let name = &args.name;
    if !is_plugin_name(name) {
        let message = format!("`{}` cannot be a type", name.escape_debug());
        return Err(Error::option(message)
            .with_hint("use lower-case letters, digits, and hyphens between them")
            .into());
    }
    let crates = crates(args)?;
    let executable = format!("{}{name}", Role::Exporter.prefix());
    let directory = Path::new(name);
    let made = fs::create_dir(directory).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::option("it is there already").with_hint("choose another name"),
        _ => error.into(),
    });
    made.attempt(|| format!("cannot create the directory {name}"))?;
    for (file, template, is_program) in files(args.language, &executable) {
        let path = directory.join(file);
        write(&path, &filled(template, name, &crates), is_program)
            .attempt(|| format!("cannot write {}", path.display()))?;
    }
    Ok(stdout::print(match args.language {
        Language::Rust => {
            format!(
                "{name} is a crate with an exporter that works; `cargo build` makes {executable}, {name}/test.sh tests it\n"
            )
        }
        Language::Python | Language::Sh => {
            format!("{name}/{executable} is an exporter that works; {name}/test.sh tests it\n")
        }
    })?)
}

fn files(language: Language, executable: &str) -> Vec<File> {
    let script = |template| {
        let test = include_str!("../../../templates/test.sh");
        vec![(executable.to_owned(), template, true), ("test.sh".to_owned(), test, true)]
    };
    match language {
        Language::Python => script(include_str!("../../../templates/exporter.py")),
        Language::Sh => script(include_str!("../../../templates/exporter.sh")),
        Language::Rust => vec![
            // Under its own name cargo would take the template for a crate, and leave it out of the package.
            ("Cargo.toml".to_owned(), include_str!("../../../templates/rust/manifest.toml"), false),
            ("src/lib.rs".to_owned(), include_str!("../../../templates/rust/lib.rs"), false),
            ("src/main.rs".to_owned(), include_str!("../../../templates/rust/main.rs"), false),
            ("tests/conformance.rs".to_owned(), include_str!("../../../templates/rust/conformance.rs"), false),
            ("test.sh".to_owned(), include_str!("../../../templates/rust/test.sh"), true),
        ],
    }
}

/// Returns the dependencies of a plugin in Rust, as they are written in its manifest: this version, or those of a checkout.
fn crates(args: &PluginNewArgs) -> Result<Vec<(&'static str, String)>, Error> {
    let version = env!("CARGO_PKG_VERSION");
    let Some(checkout) = &args.longshore else {
        return Ok(CRATES.iter().map(|(name, _)| (*name, format!("\"{version}\""))).collect());
    };
    if args.language != Language::Rust {
        return Err(Error::option("--longshore is for --language rust").with_hint("leave it out"));
    }
    let dependency = |(name, folder): &(&'static str, &str)| {
        // As it was written, links and all: cargo takes another path for another crate.
        let path = std::path::absolute(checkout.join(folder))?;
        path.join("Cargo.toml").metadata().attempt(|| format!("there is no {name} in {}", path.display()))?;
        let folder = path.to_str().ok_or_else(|| Error::option("the path of the checkout is not UTF-8"))?;
        // A string of JSON is one of TOML.
        let folder = serde_json::Value::from(folder);
        Ok((*name, format!("{{ path = {folder}, version = \"{version}\" }}")))
    };
    CRATES.iter().map(dependency).collect()
}

fn filled(template: &str, name: &str, crates: &[(&str, String)]) -> String {
    let crate_name = format!("{}{name}", Role::Exporter.prefix()).replace('-', "_");
    let text = template.replace("@TYPE@", name).replace("@CRATE@", &crate_name);
    let text = text.replace("@RUST@", env!("CARGO_PKG_RUST_VERSION"));
    crates.iter().fold(text, |text, (name, dependency)| text.replace(&format!("@{name}@"), dependency))
}

fn write(path: &Path, text: &str, is_program: bool) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = if is_program { 0o777 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}
