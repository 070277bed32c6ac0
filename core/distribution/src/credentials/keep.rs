//! Credentials as `login` stores and `logout` removes them: in the files that are read, or with the helpers they name.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore_content::Cancel;
use longshore_oci::{Context, Error, Result};
use serde_json::{Map, Value, json};

use super::config::{DOCKER_HUB, keys};
use super::{CredentialFiles, helper};

/// A file of Docker or Podman that keeps logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFile(PathBuf);

/// Where a login is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Keeper {
    File,
    Helper(String),
}

impl CredentialFiles {
    /// Returns the file that a login goes to: the one that is asked first.
    ///
    /// # Errors
    /// Fails if there is none, as no home directory is known.
    pub(crate) fn first(&self) -> Result<CredentialFile> {
        let none =
            || Error::option("there is no place for logins: HOME is not set").with_hint("set REGISTRY_AUTH_FILE");
        self.0.first().cloned().map(CredentialFile).ok_or_else(none)
    }

    pub(crate) fn all(&self) -> Vec<CredentialFile> {
        self.0.iter().cloned().map(CredentialFile).collect()
    }
}

impl CredentialFile {
    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps a login for a registry, readable by its owner alone. Returns the helper that has it, if the file names one.
    pub(crate) fn store(&self, registry: &str, user: &str, secret: &str, cancel: &Cancel) -> Result<Option<String>> {
        let mut document = self.read()?;
        let server = server(registry, &self.0);
        if let Keeper::Helper(name) = keeper(&document, registry) {
            helper::store(&name, &server, user, secret, cancel)?;
            return Ok(Some(name));
        }
        let auths = document.entry("auths").or_insert_with(|| json!({}));
        let auths = auths.as_object_mut().ok_or_else(|| self.broken())?;
        let auth = STANDARD.encode(format!("{user}:{secret}"));
        auths.insert(server, json!({ "auth": auth }));
        self.write(&document)?;
        Ok(None)
    }

    /// Removes the login for a registry; returns whether there was one.
    pub(crate) fn erase(&self, registry: &str, cancel: &Cancel) -> Result<bool> {
        let mut document = self.read()?;
        let mut was_there = false;
        if let Keeper::Helper(name) = keeper(&document, registry) {
            was_there |= helper::erase(&name, &server(registry, &self.0), cancel)?;
        }
        if let Some(auths) = document.get_mut("auths").and_then(Value::as_object_mut) {
            let before = auths.len();
            let own = keys(registry, "");
            auths.retain(|key, _| !own.iter().any(|own| own.eq_ignore_ascii_case(key)));
            if auths.len() < before {
                self.write(&document)?;
                was_there = true;
            }
        }
        Ok(was_there)
    }

    fn read(&self) -> Result<Map<String, Value>> {
        let bytes = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
            bytes => bytes.attempt(|| format!("cannot read {}", self.0.display()))?,
        };
        // The parser's message may show secrets.
        serde_json::from_slice(&bytes).map_err(|_| self.broken())
    }

    fn broken(&self) -> Error {
        Error::input(format!("{} is not a configuration of Docker or Podman", self.0.display()))
    }

    /// Replaces the file. A link stays one: the file that it leads to is replaced.
    fn write(&self, document: &Map<String, Value>) -> Result<()> {
        let write = || -> Result<()> {
            let path = fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let temporary = directory.join(format!(".longshore-login.{}", std::process::id()));
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            let text = serde_json::to_vec_pretty(document).map_err(io::Error::from)?;
            let written =
                file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, &path));
            if let Err(error) = written {
                // The first error counts.
                let _ = fs::remove_file(&temporary);
                return Err(error.into());
            }
            fs::File::open(directory)?.sync_all()?;
            Ok(())
        };
        let written = write();
        written.attempt(|| format!("cannot write {}", self.0.display()))
    }
}

fn keeper(document: &Map<String, Value>, registry: &str) -> Keeper {
    let helpers = document.get("credHelpers").and_then(Value::as_object);
    let own = keys(registry, "").into_iter().find_map(|key| helpers?.get(&key)?.as_str());
    let store = || document.get("credsStore").and_then(Value::as_str);
    match own.or_else(store).filter(|name| !name.is_empty()) {
        Some(name) => Keeper::Helper(name.to_owned()),
        None => Keeper::File,
    }
}

/// Returns the name of a registry in such a file: Docker has another one for its own.
fn server(registry: &str, path: &Path) -> String {
    let is_podman = path.file_name().is_some_and(|name| name == "auth.json");
    match DOCKER_HUB.contains(&registry) {
        true if is_podman => "docker.io".to_owned(),
        true => DOCKER_HUB[0].to_owned(),
        false => registry.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::credentials::Credential;

    #[test]
    fn a_login_is_kept_beside_everything_else_and_removed() {
        let place = tempfile::tempdir().unwrap();
        for (name, registry, key) in [
            ("config.json", "r.example:5000", "r.example:5000"),
            ("config.json", "docker.io", "https://index.docker.io/v1/"),
            ("auth.json", "docker.io", "docker.io"),
        ] {
            let path = place.path().join("new").join(name);
            let (file, cancel) = (CredentialFile(path.clone()), Cancel::default());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, r#"{"auths":{"other":{"auth":"dTpw","x":1}},"detachKeys":"ctrl-e"}"#).unwrap();
            assert_eq!(file.store(registry, "u", "p:q", &cancel).unwrap(), None);
            let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let expected = json!({"auths": {"other": {"auth": "dTpw", "x": 1}, key: {"auth": "dTpwOnE="}}, "detachKeys": "ctrl-e"});
            assert_eq!(written, expected);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let found = CredentialFiles::new(vec![path]).find(registry, "a", &cancel).unwrap();
            assert!(found == Some(Credential::Basic { username: "u".to_owned(), password: "p:q".to_owned() }));
            assert!(file.erase(registry, &cancel).unwrap() && !file.erase(registry, &cancel).unwrap());
        }
    }

    #[test]
    fn a_helper_that_the_file_names_has_the_login() {
        let document = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let named = |name: &str| Keeper::Helper(name.to_owned());
        let both = document(r#"{"credHelpers":{"r.example":"own"},"credsStore":"all"}"#);
        assert_eq!((keeper(&both, "r.example"), keeper(&both, "other")), (named("own"), named("all")));
        assert_eq!(keeper(&document(r#"{"credsStore":""}"#), "r.example"), Keeper::File);
    }
}
