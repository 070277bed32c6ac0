//! Sources without a scheme: paths that exist, and names in the image store.

use std::fs::File;
use std::path::Path;

use longshore_core::archive::TarFile;
use longshore_core::compression::{Algorithm, decoder};
use longshore_core::oci::ImageName;
use longshore_core::options::list_value;
use longshore_core::{FrontendRegistry, Source, split_reference};

use crate::args::{Command, IndexCommand};
use crate::store_root::StoreRoot;

/// Gives each source of a command the scheme that it is without. What is neither a path nor a name stays as it is, for the
/// command to refuse.
pub(crate) fn resolve(command: &mut Command, frontends: &FrontendRegistry, root: &StoreRoot) {
    let bare = Bare { frontends, root };
    match command {
        Command::Export(args) => args.sources.iter_mut().for_each(|text| bare.resolve(text)),
        Command::Inspect(args) => bare.resolve(&mut args.source),
        Command::Diff(args) => [&mut args.from, &mut args.to].into_iter().for_each(|text| bare.resolve(text)),
        Command::Verify(args) => bare.resolve(&mut args.source),
        Command::Digest(args) => bare.resolve(&mut args.source),
        Command::Unpack(args) => bare.resolve(&mut args.name),
        Command::Flatten(args) => bare.resolve(&mut args.from),
        Command::Rebase(args) => {
            for text in [&mut args.from, &mut args.old_base, &mut args.new_base] {
                bare.resolve(text);
            }
        }
        Command::Index(args) => match &mut args.command {
            IndexCommand::Create(args) => args.sources.iter_mut().for_each(|text| bare.resolve(text)),
        },
        _ => {}
    }
}

struct Bare<'a> {
    frontends: &'a FrontendRegistry,
    root: &'a StoreRoot,
}

impl Bare<'_> {
    fn resolve(&self, text: &mut String) {
        // A source that cannot be read is an error of the command.
        let Ok(source) = Source::parse(text) else { return };
        if self.frontends.info(&source.scheme).is_ok() && !source.scheme.starts_with(['.', '/']) {
            return;
        }
        let value = match source.value.as_str() {
            "" => source.scheme.clone(),
            value => format!("{}:{value}", source.scheme),
        };
        let Some(scheme) = of_path(&value).or_else(|| self.is_stored(&value).then_some("image")) else { return };
        let platform = source.platform.map(|platform| format!("{platform}=")).unwrap_or_default();
        let options = source.attrs.iter().map(|(key, attr)| format!("{key}={}", attr.value));
        let fields: Vec<String> = [format!("{platform}{scheme}:{value}")].into_iter().chain(options).collect();
        *text = list_value(&fields);
    }

    /// Returns whether the image store has the image; a store that cannot be read has none.
    fn is_stored(&self, text: &str) -> bool {
        let name = text.parse::<ImageName>();
        let store = || self.root.open_existing().ok().flatten();
        name.is_ok_and(|name| store().is_some_and(|store| matches!(store.image(&name), Ok(Some(_)))))
    }
}

/// Returns the scheme for what is at a path, which a reference may follow.
fn of_path(text: &str) -> Option<&'static str> {
    let path = Path::new(split_reference(text).0);
    if text == "-" {
        return Some("docker-archive");
    }
    match path.is_dir() {
        true if path.join("oci-layout").is_file() => Some("oci"),
        true if path == Path::new(text) => Some("rootfs"),
        true => None,
        false => path.is_file().then(|| of_archive(path)).flatten(),
    }
}

/// Returns the scheme for an archive. One that would have to be read whole is left to the frontend that reads both.
fn of_archive(path: &Path) -> Option<&'static str> {
    let (algorithm, _) = decoder(File::open(path).ok()?).ok()?;
    if algorithm != Algorithm::Uncompressed {
        return Some("docker-archive");
    }
    let tar = TarFile::open(File::open(path).ok()?).ok()?;
    match (tar.contains("oci-layout"), tar.contains("manifest.json")) {
        (true, false) => Some("oci-archive"),
        (_, true) => Some("docker-archive"),
        (false, false) => None,
    }
}
