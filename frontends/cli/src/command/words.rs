//! The words that are an export in short: what each stands for.

use longshore_core::oci::Platform;
use longshore_core::options::list_value;
use longshore_core::{Error, Result};

use super::{copy, pull, push};
use crate::args::{Command, ExportArgs, ProgressArgs};

/// Returns the command that one stands for: itself, or an export.
///
/// # Errors
/// Destinations that are none.
pub(crate) fn plain(command: Command) -> Result<Command> {
    let words = match command {
        Command::Pull(args) => pull::export(&args),
        Command::Push(args) => push::export(&args),
        Command::Copy(args) => copy::export(&args)?,
        other => return Ok(other),
    };
    Ok(Command::Export(Box::new(words.export()?)))
}

/// An export that is being written.
#[derive(Debug, Default)]
pub(super) struct Words {
    flags: Vec<String>,
    sources: Vec<String>,
    progress: ProgressArgs,
}

impl Words {
    pub(super) fn new(progress: ProgressArgs) -> Self {
        Self { progress, ..Self::default() }
    }

    /// Adds a source as its user wrote it.
    pub(super) fn source(&mut self, text: impl Into<String>) {
        self.sources.push(text.into());
    }

    /// Adds an output of these fields.
    pub(super) fn output(&mut self, fields: &[String]) {
        self.flags.extend(["-o".to_owned(), list_value(fields)]);
    }

    pub(super) fn platforms(&mut self, platforms: &[Platform]) {
        self.flags.extend(platforms.iter().map(|platform| format!("--platform={platform}")));
    }

    pub(super) fn flag(&mut self, flag: &str) {
        self.flags.push(flag.to_owned());
    }

    /// Returns the export.
    pub(super) fn export(self) -> Result<ExportArgs> {
        let words = [self.flags, vec!["--".to_owned()], self.sources].concat();
        let mut args = ExportArgs::of(&words)?;
        args.progress = self.progress;
        Ok(args)
    }
}

/// Where an image goes, written like a source.
pub(super) fn destination(text: &str, is_insecure: bool) -> Result<Vec<String>> {
    let field = |key: &str, value: &str| format!("{key}={value}");
    let file = |kind: &str, rest: &str, more: &[&str]| {
        let (path, name) = named(rest);
        let mut fields = vec![field("type", kind)];
        fields.extend(more.iter().map(|more| (*more).to_owned()));
        fields.extend([field("dest", path), field("name", name.unwrap_or("*?"))]);
        Ok(fields)
    };
    let Some((scheme, rest)) = text.split_once(':').filter(|(_, rest)| !rest.is_empty()) else {
        return Err(unclear(text));
    };
    match scheme {
        "docker" if rest.starts_with("//") => {
            let mut fields = vec![field("type", "registry"), field("name", &rest[2..])];
            fields.extend(is_insecure.then(|| field("registry.insecure", "true")));
            Ok(fields)
        }
        "image" => Ok(vec![field("type", "image"), field("name", rest)]),
        "oci" => file("oci", rest, &["tar=false"]),
        "oci-archive" => file("oci", rest, &[]),
        "docker-archive" => file("docker", rest, &[]),
        "docker-daemon" => Ok(vec![field("type", "docker"), field("name", rest)]),
        _ => Err(unclear(text)),
    }
}

/// Splits `PATH[:NAME]`: a name begins after the first colon.
fn named(rest: &str) -> (&str, Option<&str>) {
    rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)))
}

fn unclear(text: &str) -> Error {
    let error = Error::option(format!("`{}` does not say where the image goes", text.escape_debug()));
    let hint = match text.split_once(':') {
        Some(("containerd", name)) => format!("write --store containerd: SOURCE image:{name}"),
        Some(("containers-storage", name)) => {
            format!("`longshore save SOURCE | podman load` gives it to Podman as {name}")
        }
        Some(("dir", path)) => format!("write oci:{path} for an image layout in a directory"),
        Some(("rootfs", path)) => format!("`longshore unpack SOURCE --to {path}` writes its files"),
        Some((scheme @ ("docker" | "registry" | "http" | "https"), name))
            if scheme != "docker" || !name.starts_with("//") =>
        {
            format!("write docker://{}", name.trim_start_matches('/'))
        }
        _ if text.ends_with(".tar") => format!("write oci-archive:{text}, or docker-archive:{text} for docker load"),
        _ if text.starts_with(['.', '/']) => format!(
            "write oci:{text} for an image layout in a directory; `longshore unpack SOURCE --to {text}` writes its files"
        ),
        _ => format!("write docker://{text} for a registry, or image:{text} for the image store"),
    };
    error.with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_outputs() {
        for (text, expected) in [
            ("docker://r:5000/a:1", "type=registry,name=r:5000/a:1"),
            ("image:a:1", "type=image,name=a:1"),
            ("oci:dir", "type=oci,tar=false,dest=dir,name=*?"),
            ("oci:dir:r/a:1", "type=oci,tar=false,dest=dir,name=r/a:1"),
            ("oci-archive:x.tar", "type=oci,dest=x.tar,name=*?"),
            ("docker-archive:x.tar:a:1", "type=docker,dest=x.tar,name=a:1"),
            ("docker-daemon:a:1", "type=docker,name=a:1"),
        ] {
            assert_eq!(destination(text, false).unwrap().join(","), expected, "{text}");
        }
        for (text, hint) in [
            ("x.tar", "write oci-archive:x.tar, or docker-archive:x.tar for docker load"),
            ("r/a:1", "write docker://r/a:1 for a registry, or image:r/a:1 for the image store"),
            ("docker:r/a", "write docker://r/a"),
            ("https://r/a", "write docker://r/a"),
            (
                "./out",
                "write oci:./out for an image layout in a directory; `longshore unpack SOURCE --to ./out` writes its files",
            ),
            ("dir:out", "write oci:out for an image layout in a directory"),
            ("containerd:a:1", "write --store containerd: SOURCE image:a:1"),
        ] {
            assert_eq!(destination(text, false).unwrap_err().hint(), Some(hint), "{text}");
        }
    }
}
