//! The exporters of a program, by type.

use indexmap::IndexMap;
use longshore_oci::{Error, Result};

use crate::exporter::{Exporter, ExporterInfo, ExporterInstance};
use crate::options::{Attrs, nearest};

/// The exporters of a program, in the order in which they were added.
#[derive(Debug, Default)]
pub struct ExporterRegistry(IndexMap<String, Box<dyn Exporter>>);

impl ExporterRegistry {
    /// Adds an exporter.
    ///
    /// # Panics
    /// If its type is already registered, which is a bug in the program.
    #[must_use]
    pub fn with(mut self, exporter: impl Exporter + 'static) -> Self {
        let kind = exporter.info().kind.into_owned();
        let replaced = self.0.insert(kind.clone(), Box::new(exporter));
        assert!(replaced.is_none(), "two exporters are called `{kind}`");
        self
    }

    /// Adds an exporter, in place of one of the same type.
    #[must_use]
    pub fn replacing(mut self, exporter: impl Exporter + 'static) -> Self {
        self.0.insert(exporter.info().kind.into_owned(), Box::new(exporter));
        self
    }

    /// Returns the description of each exporter.
    pub fn infos(&self) -> impl Iterator<Item = ExporterInfo> {
        self.0.values().map(|exporter| exporter.info())
    }

    /// Returns the exporter of a type.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) for an unknown type, with the nearest one as the hint.
    pub fn get(&self, kind: &str) -> Result<&dyn Exporter> {
        self.0.get(kind).map(AsRef::as_ref).ok_or_else(|| {
            let known = || self.0.keys().map(String::as_str);
            let hint = nearest(kind, known()).map_or_else(
                || format!("available exporters: {}", known().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            Error::option(format!("unknown exporter `{}`", kind.escape_debug())).with_hint(hint)
        })
    }

    /// Checks the options of one output.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`Exporter::resolve`].
    pub fn resolve(&self, kind: &str, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        self.get(kind)?.resolve(attrs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its instances are never made: the error names the exporter and an option.
    struct Named(&'static str);

    impl Exporter for Named {
        fn info(&self) -> ExporterInfo {
            ExporterInfo::new(self.0, "none", Vec::new())
        }

        fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
            let keys: Vec<&str> = attrs.iter().map(|(key, _)| key).collect();
            Err(Error::option(format!("{} with {}", self.0, keys.join(","))))
        }
    }

    /// A host with a list of exporters could not add them.
    #[test]
    fn exporters_can_be_added_from_a_list() {
        let list: Vec<Box<dyn Exporter>> = vec![Box::new(Named("one")), Box::new(Named("two"))];
        let exporters = list.into_iter().fold(ExporterRegistry::default(), ExporterRegistry::with);
        let kinds: Vec<_> = exporters.infos().map(|info| info.kind).collect();
        assert_eq!(kinds, ["one", "two"]);
        let error = exporters.resolve("two", &Attrs::from_iter([("a", "1")])).unwrap_err();
        assert_eq!(error.message(), "two with a");
    }
}
