//! Probably mistyped paths: creating something at one would be more of a surprise than an error.

use std::io;
use std::path::{Component, Path, PathBuf};

use longshore_oci::{Error, Result};

use crate::entry::{directory_of, existing_ancestor};
use crate::nearest::nearest;

/// How many directory entries are examined for a suggestion.
const CANDIDATES: usize = 10_000;

/// Fails, with the reason alone, if a new file or directory at `path` would need a new directory around it, or if the
/// shell left a `~` in it as it is.
///
/// # Errors
/// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption), with the nearest path that can be written as the hint.
pub fn check_parent(path: &Path) -> Result<()> {
    check_expanded(path)?;
    let directory = directory_of(path);
    match directory.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hint = match meant(path, directory) {
                Some(meant) => format!("did you mean {}?", meant.display()),
                None => format!("make it first: mkdir -p {}", directory.display()),
            };
            Err(Error::option(format!("directory {} does not exist", directory.display())).with_hint(hint))
        }
        // Other problems are reported by later checks.
        _ => Ok(()),
    }
}

/// Fails, with the reason alone, if the shell left a `~` at the start of `path` as it is. Nothing is looked at.
///
/// # Errors
/// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption).
pub fn check_expanded(path: &Path) -> Result<()> {
    if path.components().next() == Some(Component::Normal("~".as_ref())) {
        let home = Path::new("$HOME").join(path.strip_prefix("~").unwrap_or(path));
        let error = Error::option("`~` is not your home directory here: the shell left it as it is");
        return Err(error.with_hint(format!("write {}", home.display())));
    }
    Ok(())
}

/// Returns the path in an existing directory with a name similar to the missing one.
fn meant(path: &Path, directory: &Path) -> Option<PathBuf> {
    let found = existing_ancestor(directory);
    let above = if directory.starts_with(&found) { found.as_path() } else { Path::new("") };
    let mut missing = directory.strip_prefix(above).ok()?.components();
    let first = missing.next()?.as_os_str().to_str()?;
    let names = found.read_dir().ok()?.take(CANDIDATES).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| above.join(name).is_dir()).collect();
    let meant = above.join(nearest(first, names.iter().map(String::as_str))?).join(missing.as_path());
    meant.is_dir().then(|| meant.join(path.file_name().unwrap_or_default()))
}
