//! The location of dockerd's data on this machine: from its configuration, or the default.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use longshore_core::{Context, Error, ErrorKind, Result};
use serde::Deserialize;

/// A data root, and the driver named in the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) driver: Option<String>,
}

/// The storage settings in `daemon.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    data_root: Option<PathBuf>,
    /// The name of the setting before Docker 17.05.
    graph: Option<PathBuf>,
    storage_driver: Option<String>,
    userns_remap: Option<String>,
}

/// Returns the data root of this machine's dockerd; for an ordinary user, of the user's own, if any.
pub(crate) fn find() -> Result<Place> {
    const SYSTEM: &str = "/var/lib/docker";
    if rustix::process::geteuid().is_root() {
        return configured(Path::new("/etc/docker/daemon.json"), SYSTEM.into());
    }
    let home = |variable, below: &str| {
        let set = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        set.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(below)))
    };
    let rootless = home("XDG_DATA_HOME", ".local/share").map(|data| data.join("docker"));
    let default = rootless.filter(|root| root.is_dir()).unwrap_or_else(|| SYSTEM.into());
    match home("XDG_CONFIG_HOME", ".config") {
        Some(config) => configured(&config.join("docker/daemon.json"), default),
        None => Ok(Place { root: default, driver: None }),
    }
}

/// Returns the configuration in `file`, which may be missing.
fn configured(file: &Path, default: PathBuf) -> Result<Place> {
    let config = match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::input("malformed").with_source(error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(error.into()),
    };
    let config = config.attempt(|| format!("cannot read {}", file.display()))?;
    let root = config.data_root.or(config.graph).unwrap_or(default);
    let is_remapped = config.userns_remap.is_some_and(|user| !user.is_empty());
    let root = if is_remapped { remapped(&root)? } else { root };
    Ok(Place { root, driver: config.storage_driver.filter(|driver| !driver.is_empty()) })
}

/// Returns the data root for remapped users: `UID.GID` in the data root.
fn remapped(root: &Path) -> Result<PathBuf> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(root)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter(|e| e.file_name().to_str().is_some_and(is_users)).map(|e| e.path()).collect())
    };
    let mut found = list().attempt(|| format!("cannot list {}", root.display()))?;
    match (found.pop(), found.is_empty()) {
        (Some(users), true) => Ok(users),
        (None, _) => {
            let message = format!("{} has no directory for userns-remap users", root.display());
            Err(Error::new(ErrorKind::NotFound, message))
        }
        (Some(_), false) => {
            Err(Error::option(format!("{} has directories for several userns-remap users", root.display()))
                .with_hint("name the directory of one: docker-graph:ROOT/UID.GID"))
        }
    }
}

/// Returns whether a directory name is `UID.GID`.
pub(crate) fn is_users(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('.').is_some_and(|(uid, gid)| is_number(uid) && is_number(gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(config: Option<&str>, directories: &[&str]) -> Result<Place> {
        let here = tempfile::tempdir().unwrap();
        let default = here.path().join("default");
        directories.iter().for_each(|directory| fs::create_dir_all(default.join(directory)).unwrap());
        let file = here.path().join("daemon.json");
        config.iter().for_each(|text| fs::write(&file, text).unwrap());
        let mut place = configured(&file, default.clone())?;
        if let Ok(below) = place.root.strip_prefix(&default) {
            place.root = Path::new("DEFAULT").join(below);
        }
        Ok(place)
    }

    #[test]
    fn what_the_configuration_says() {
        let root = |config, directories: &[&str]| place(config, directories).unwrap().root.display().to_string();
        assert_eq!(root(None, &[]), "DEFAULT/");
        assert_eq!(root(Some("{}"), &[]), "DEFAULT/");
        assert_eq!(root(Some(r#"{"data-root":"/data","graph":"/old"}"#), &[]), "/data");
        assert_eq!(root(Some(r#"{"graph":"/old"}"#), &[]), "/old");
        assert_eq!(root(Some(r#"{"userns-remap":"default"}"#), &["165536.165536", "image"]), "DEFAULT/165536.165536");
        let driver = place(Some(r#"{"storage-driver":"vfs","debug":true}"#), &[]).unwrap().driver;
        assert_eq!(driver.as_deref(), Some("vfs"));
    }

    #[test]
    fn what_cannot_be_known_is_an_error() {
        let error = |config, directories: &[&str]| place(Some(config), directories).unwrap_err().with_causes();
        assert!(error("{", &[]).contains("daemon.json: malformed"));
        assert!(error(r#"{"userns-remap":"a"}"#, &["image"]).contains("no directory for userns-remap users"));
        assert!(error(r#"{"userns-remap":"a"}"#, &["1.1", "2.2"]).contains("several userns-remap users"));
    }
}
