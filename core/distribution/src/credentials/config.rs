//! Credentials as Docker and Podman keep them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore_content::Cancel;
use longshore_oci::{Context, Error, Result};
use serde::Deserialize;

use super::{Credential, helper};

/// The files that may have credentials: the first one with those of a registry wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct CredentialFiles(pub(super) Vec<PathBuf>);

/// Names of Docker Hub in such files.
pub(super) const DOCKER_HUB: [&str; 4] =
    ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl CredentialFiles {
    /// `REGISTRY_AUTH_FILE` alone; else those of Docker, then those of Podman.
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(file) = variable("REGISTRY_AUTH_FILE") {
            return Self(vec![file]);
        }
        let home = variable("HOME");
        let docker = variable("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
        let config = variable("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
        let run = runtime_files(variable("XDG_RUNTIME_DIR"), Path::new("/run"), user());
        let config = config.map(|place| place.join("containers/auth.json"));
        Self(docker.map(|place| place.join("config.json")).into_iter().chain(run).chain(config).collect())
    }

    #[cfg(test)]
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self(files)
    }

    /// Returns the credential for a repository of `host`; `None` if none exists.
    ///
    /// # Errors
    /// A file that cannot be read or is not what it should be; a helper that fails.
    pub(crate) fn find(&self, host: &str, repository: &str, cancel: &Cancel) -> Result<Option<Credential>> {
        for path in &self.0 {
            let found = read(path).and_then(|file| file.find(host, repository, cancel));
            if let Some(found) = found.attempt(|| format!("cannot use credentials of {}", path.display()))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Returns where `podman login` keeps credentials until the next boot: in the user's runtime directory or, in a session
/// without one, as root's over SSH, where Podman creates one (containers-auth.json(5)).
fn runtime_files(stated: Option<PathBuf>, run: &Path, user: Option<u32>) -> Vec<PathBuf> {
    let own = |user: u32| {
        let session = run.join(format!("user/{user}/containers/auth.json"));
        vec![run.join(format!("containers/{user}/auth.json")), session]
    };
    match stated {
        Some(place) => vec![place.join("containers/auth.json")],
        None => user.map(own).unwrap_or_default(),
    }
}

/// Returns the ID of this user, if the system provides it.
fn user() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

fn read(path: &Path) -> Result<File> {
    match std::fs::read(path) {
        // The parser's message may show secrets, so only the position is given.
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::input(format!("not a configuration of Docker or Podman: line {line}, column {column}"))
        }),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(File::default())
        }
        Err(error) => Err(error.into()),
    }
}

impl File {
    fn find(&self, host: &str, repository: &str, cancel: &Cancel) -> Result<Option<Credential>> {
        let keys = keys(host, repository);
        for key in &keys {
            if let Some(name) = self.cred_helpers.get(key) {
                return helper::get(name, key, cancel);
            }
        }
        let same = |key: &String| self.auths.iter().find(|(own, _)| own.eq_ignore_ascii_case(key));
        let entry = keys.iter().find_map(|key| self.auths.get(key).or_else(|| same(key).map(|(_, entry)| entry)));
        if let Some(found) = entry.map(Entry::credential).transpose()?.flatten() {
            return Ok(Some(found));
        }
        if self.creds_store.is_empty() {
            return Ok(None);
        }
        // A store knows a server by the name that `login` used.
        let server = if DOCKER_HUB.contains(&host) { DOCKER_HUB[0] } else { host };
        helper::get(&self.creds_store, server, cancel)
    }
}

/// Returns the keys that files may use for a registry, the most specific first: Podman's keys may include part of
/// a repository.
pub(super) fn keys(host: &str, repository: &str) -> Vec<String> {
    let hosts: Vec<String> = match DOCKER_HUB.contains(&host) {
        true => DOCKER_HUB.map(str::to_owned).to_vec(),
        false => vec![host.to_owned()],
    };
    let mut keys = Vec::new();
    let mut path = Some(repository);
    while let Some(prefix) = path.filter(|prefix| !prefix.is_empty()) {
        keys.extend(hosts.iter().map(|host| format!("{host}/{prefix}")));
        path = prefix.rsplit_once('/').map(|(parent, _)| parent);
    }
    for host in hosts {
        let urls = ["https://", "http://"].into_iter();
        let urls = urls.flat_map(|scheme| ["", "/", "/v1/", "/v2/"].map(|end| format!("{scheme}{host}{end}")));
        keys.push(host.clone());
        keys.extend(urls);
    }
    keys
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credential::Registry(self.registrytoken.clone())));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::Identity(self.identitytoken.clone())));
        }
        if self.auth.is_empty() {
            let (username, password) = (self.username.clone(), self.password.clone());
            return Ok((!username.is_empty()).then_some(Credential::Basic { username, password }));
        }
        let invalid = || Error::input("`auth` is not a name and a password in base64");
        let bytes = STANDARD.decode(self.auth.trim()).map_err(|_| invalid())?;
        let text = String::from_utf8(bytes).map_err(|_| invalid())?;
        let (username, password) = text.split_once(':').ok_or_else(invalid)?;
        // Docker pads some passwords with zero bytes.
        let password = password.trim_end_matches('\0');
        Ok(Some(match username {
            "<token>" => Credential::Identity(password.to_owned()),
            username => Credential::Basic { username: username.to_owned(), password: password.to_owned() },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(json: &str, host: &str, repository: &str) -> Result<Option<Credential>> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("config.json");
        std::fs::write(&path, json).unwrap();
        let missing = place.path().join("missing.json");
        CredentialFiles::new(vec![missing, path]).find(host, repository, &Cancel::default())
    }

    fn user(json: &str, host: &str, repository: &str) -> Option<String> {
        find(json, host, repository).unwrap().map(|found| match found {
            Credential::Basic { username, password } => format!("{username}/{password}"),
            Credential::Identity(token) => format!("identity {token}"),
            Credential::Registry(token) => format!("registry {token}"),
        })
    }

    #[test]
    fn registries_are_found_by_all_their_names() {
        // `u:p:q` in base64.
        let auth = "dTpwOnE=";
        for key in
            ["r.example:5000", "https://r.example:5000", "https://r.example:5000/v2/", "http://r.example:5000/v1/"]
        {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}},"other":1}}"#);
            assert_eq!(user(&json, "r.example:5000", "a/b").as_deref(), Some("u/p:q"), "{key}");
            assert_eq!(user(&json, "r.example", "a/b"), None, "{key}");
        }
        for key in DOCKER_HUB {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#);
            assert_eq!(user(&json, "docker.io", "library/a").as_deref(), Some("u/p:q"), "{key}");
        }
    }

    #[test]
    fn a_login_without_a_session_is_found() {
        let place = tempfile::tempdir().unwrap();
        let auth = r#"{"auths":{"r.example":{"username":"root","password":"1"}}}"#;
        for path in ["containers/1234/auth.json", "user/1234/containers/auth.json"] {
            let path = place.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, auth).unwrap();
            let find = |stated, user| {
                let files = CredentialFiles::new(runtime_files(stated, place.path(), Some(user)));
                files.find("r.example", "a", &Cancel::default()).unwrap().is_some()
            };
            assert!(find(None, 1234), "{}", path.display());
            assert!(!find(None, 123) && !find(Some(place.path().to_owned()), 1234), "{}", path.display());
            std::fs::remove_file(path).unwrap();
        }
        assert!(super::user().is_some());
    }

    #[test]
    fn the_longest_path_of_podman_wins() {
        let json = r#"{"auths":{"r.example":{"username":"host","password":"1"},
            "r.example/team":{"username":"team","password":"2"},
            "r.example/team/app":{"username":"app","password":"3"}}}"#;
        assert_eq!(user(json, "r.example", "team/app").as_deref(), Some("app/3"));
        assert_eq!(user(json, "r.example", "team/application").as_deref(), Some("team/2"));
        assert_eq!(user(json, "r.example", "other").as_deref(), Some("host/1"));
    }

    #[test]
    fn tokens_and_empty_entries() {
        assert_eq!(
            user(r#"{"auths":{"r":{"auth":"dTpw","identitytoken":"t"}}}"#, "r", "a").as_deref(),
            Some("identity t")
        );
        assert_eq!(user(r#"{"auths":{"r":{"registrytoken":"t"}}}"#, "r", "a").as_deref(), Some("registry t"));
        assert_eq!(user(r#"{"auths":{"r":{}}}"#, "r", "a"), None);
        assert_eq!(user("{}", "r", "a"), None);
    }

    #[test]
    fn secrets_do_not_show_in_errors() {
        let error = find(r#"{"auths":{"r":{"auth":"!secret!"}}}"#, "r", "a").unwrap_err();
        assert!(!error.with_causes().contains("secret"), "{}", error.with_causes());
        let error = find(r#"{"auths":{"r":{"auth":"secret}"#, "r", "a").unwrap_err();
        assert!(!error.with_causes().contains("secret"), "{}", error.with_causes());
    }
}
