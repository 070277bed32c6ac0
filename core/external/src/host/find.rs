//! Where plugins are: `longshore-exporter-TYPE` and `longshore-frontend-SCHEME` in the directories of
//! `LONGSHORE_PLUGINS`, then in those of `PATH`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use longshore_core::Result;
use rustix::fs::{Access, access};

use super::cache::Cache;
use super::{ExternalExporter, ExternalFrontend, Limits, Plugin};

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It exports: `type=NAME`.
    Exporter,
    /// It reads sources: `NAME:VALUE`.
    Frontend,
}

impl Role {
    /// Returns what the file names of such plugins begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Exporter => "longshore-exporter-",
            Self::Frontend => "longshore-frontend-",
        }
    }
}

/// A plugin that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its type or scheme: what follows the prefix in its file name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The plugins of this machine.
#[derive(Debug, Clone, Default)]
pub struct Plugins {
    directories: Vec<PathBuf>,
    cache: Option<PathBuf>,
    limits: Limits,
    may_have_credentials: bool,
}

impl Plugins {
    /// Returns the plugins in these directories, of which the first that has a name counts.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        // A relative one is a different one wherever the command runs.
        Self { directories: directories.into_iter().filter(|path| path.is_absolute()).collect(), ..Self::default() }
    }

    /// Returns those of the environment: the directories in `LONGSHORE_PLUGINS`, then those in `PATH`; what they say of
    /// themselves is kept in `$XDG_CACHE_HOME/longshore`, or `~/.cache/longshore`.
    pub fn from_environment() -> Self {
        let directories = ["LONGSHORE_PLUGINS", "PATH"].into_iter().filter_map(std::env::var_os);
        let directories = directories.flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>());
        let home = || std::env::home_dir().map(|home| home.join(".cache"));
        let caches =
            std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
        Self { cache: caches.map(|caches| caches.join("longshore/plugins.json")), ..Self::new(directories) }
    }

    /// Sets how long each may take.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Allows those that ask for them the credentials of the user.
    #[must_use]
    pub fn with_credentials(self, may_have_credentials: bool) -> Self {
        Self { may_have_credentials, ..self }
    }

    /// Returns the plugin with a name, if there is one.
    pub fn find(&self, role: Role, name: &str) -> Option<Found> {
        let file = format!("{}{name}", role.prefix());
        let mut paths = self.directories.iter().filter(|_| is_plugin_name(name)).map(|directory| directory.join(&file));
        paths.find(|path| is_executable(path)).map(|path| Found { name: name.to_owned(), path })
    }

    /// Returns all plugins, by name.
    pub fn all(&self, role: Role) -> Vec<Found> {
        let mut all = BTreeMap::new();
        for directory in &self.directories {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            for file in entries.map(|entry| entry.file_name()) {
                let Some(name) = file.to_str().and_then(|file| file.strip_prefix(role.prefix())) else { continue };
                if is_plugin_name(name) && !all.contains_key(name) && is_executable(&directory.join(&file)) {
                    all.insert(name.to_owned(), directory.join(&file));
                }
            }
        }
        all.into_iter().map(|(name, path)| Found { name, path }).collect()
    }

    /// Returns the exporter `found`.
    ///
    /// # Errors
    /// As [`ExternalExporter::new`].
    pub fn exporter(&self, found: &Found) -> Result<ExternalExporter> {
        let plugin = self.plugin(found);
        let described = self.cache().get(&found.path, || plugin.describe_exporter());
        ExternalExporter::described(&*found.name, plugin, described?)
    }

    /// Returns the frontend `found`.
    ///
    /// # Errors
    /// As [`ExternalFrontend::new`].
    pub fn frontend(&self, found: &Found) -> Result<ExternalFrontend> {
        let plugin = self.plugin(found);
        let described = self.cache().get(&found.path, || plugin.describe_frontend());
        ExternalFrontend::described(&*found.name, plugin, described?)
    }

    fn plugin(&self, found: &Found) -> Plugin {
        Plugin::new(&found.path).with_limits(self.limits).with_credentials(self.may_have_credentials)
    }

    fn cache(&self) -> Cache<'_> {
        Cache::new(self.cache.as_deref())
    }
}

/// Returns whether `name` can be the type or scheme of a plugin: lower-case letters, digits, and hyphens between them.
pub fn is_plugin_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(is_word) && name.ends_with(is_word) && name.chars().all(|c| is_word(c) || c == '-')
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file()) && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_directory_that_has_a_name_counts() {
        let root = tempfile::tempdir().unwrap();
        let path = |path: &str| root.path().join(path);
        for (file, mode) in [
            ("a/longshore-exporter-x", 0o755),
            ("b/longshore-exporter-x", 0o755),
            ("b/longshore-exporter-y-2", 0o755),
            ("b/longshore-exporter-not", 0o644),
            ("b/longshore-exporter-Upper", 0o755),
            ("b/longshore-exporter-", 0o755),
            ("b/longshore-frontend-z", 0o755),
        ] {
            fs::create_dir_all(path(file).parent().unwrap()).unwrap();
            fs::write(path(file), "").unwrap();
            fs::set_permissions(path(file), PermissionsExt::from_mode(mode)).unwrap();
        }
        fs::create_dir(path("a/longshore-exporter-directory")).unwrap();
        let plugins = Plugins::new([path("missing"), path("a"), path("b"), "relative".into()]);
        let found = |name: &str, at: &str| Some(Found { name: name.to_owned(), path: path(at) });
        let names: Vec<String> = plugins.all(Role::Exporter).into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["x", "y-2"]);
        assert_eq!(plugins.find(Role::Exporter, "x"), found("x", "a/longshore-exporter-x"));
        assert_eq!(plugins.find(Role::Frontend, "z"), found("z", "b/longshore-frontend-z"));
        for name in ["", "not", "Upper", "directory", "../b/longshore-exporter-x", "x/"] {
            assert_eq!(plugins.find(Role::Exporter, name), None, "{name}");
        }
    }
}
