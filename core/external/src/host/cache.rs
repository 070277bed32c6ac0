//! What plugins say of themselves, kept from run to run: by path, as long as the file is the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use longshore_core::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::protocol::VERSION;

/// A file of descriptions. One that cannot be read or written is as good as none.
#[derive(Debug)]
pub(super) struct Cache<'a>(Option<&'a Path>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Entries {
    version: u32,
    plugins: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    file: FileState,
    description: serde_json::Value,
}

/// What changes whenever the content of a file does.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    fn of(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl<'a> Cache<'a> {
    pub(super) fn new(path: Option<&'a Path>) -> Self {
        Self(path)
    }

    /// Returns the description of the plugin at `path`, asking it only if it is not known.
    pub(super) fn get<D: Serialize + DeserializeOwned>(
        &self,
        path: &Path,
        ask: impl FnOnce() -> Result<D>,
    ) -> Result<D> {
        let (Some(file), Some(key)) = (FileState::of(path), path.to_str()) else { return ask() };
        let known = self.read().plugins.remove(key).filter(|entry| entry.file == file);
        if let Some(known) = known.and_then(|entry| serde_json::from_value(entry.description).ok()) {
            return Ok(known);
        }
        let description = ask()?;
        if let Ok(value) = serde_json::to_value(&description) {
            self.add(key, Entry { file, description: value });
        }
        Ok(description)
    }

    fn read(&self) -> Entries {
        let read = || serde_json::from_slice::<Entries>(&fs::read(self.0?).ok()?).ok();
        read().filter(|entries| entries.version == VERSION).unwrap_or_default()
    }

    fn add(&self, key: &str, entry: Entry) {
        let mut entries = self.read();
        entries.version = VERSION;
        entries.plugins.insert(key.to_owned(), entry);
        entries.plugins.retain(|path, _| Path::new(path).exists());
        let write = || -> Option<()> {
            let path = self.0?;
            let parent = path.parent()?;
            fs::create_dir_all(parent).ok()?;
            let mut file = tempfile::NamedTempFile::new_in(parent).ok()?;
            file.write_all(&serde_json::to_vec(&entries).ok()?).ok()?;
            file.persist(path).ok()?;
            Some(())
        };
        let _ = write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_asked_once_until_it_changes() {
        let root = tempfile::tempdir().unwrap();
        let (file, plugin) = (root.path().join("new/cache.json"), root.path().join("plugin"));
        fs::write(&plugin, "one").unwrap();
        let mut asked = 0;
        let mut get = |says: &str| {
            let cache = Cache::new(Some(&file));
            cache.get(&plugin, || {
                asked += 1;
                Ok(says.to_owned())
            })
        };
        assert_eq!((get("first").unwrap(), get("second").unwrap()), ("first".to_owned(), "first".to_owned()));
        fs::write(&plugin, "two").unwrap();
        assert_eq!(get("third").unwrap(), "third");
        fs::write(&file, "{").unwrap();
        assert_eq!((get("fourth").unwrap(), asked), ("fourth".to_owned(), 3));
    }
}
