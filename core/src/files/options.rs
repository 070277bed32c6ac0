//! The options shared by exporters of files.

use longshore_oci::{Error, Result};

use super::chmod::Chmod;
use super::platforms;
use crate::archive::Entry;
use crate::epoch::{Epoch, EpochOption};
use crate::options::{Options, Owner, Visitor};
use crate::result::BuildResult;
use crate::tree::Patterns;

/// The options shared by exporters of files.
#[derive(Debug, Clone, Default)]
pub struct FilesOptions {
    pub(super) platform_split: Option<bool>,
    pub(super) include: Option<Patterns>,
    pub(super) exclude: Option<Patterns>,
    pub(super) chown: Option<Owner>,
    pub(super) chmod: Option<Chmod>,
    pub(super) source_date_epoch: Option<EpochOption>,
    pub(super) attestation_prefix: Option<String>,
}

impl Options for FilesOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option(
            "platform-split",
            "Put the files of each platform into a directory of its own, such as linux_arm64",
            "true for several platforms",
            &mut self.platform_split,
        )?;
        visitor.option("include", "Only files that match these .dockerignore patterns", "all", &mut self.include)?;
        visitor.option("exclude", "No files that match these .dockerignore patterns", "none", &mut self.exclude)?;
        visitor.option("chown", "Owner of every file", "as in the image", &mut self.chown)?;
        visitor.option("chmod", "Mode of every file: octal, or as in chmod(1)", "as in the image", &mut self.chmod)?;
        visitor.option(
            "source-date-epoch",
            "Time of every file; empty for the times in the image",
            "SOURCE_DATE_EPOCH of the build",
            &mut self.source_date_epoch,
        )?;
        visitor.option(
            "attestation-prefix",
            "What the names of files with attestations begin with",
            "none",
            &mut self.attestation_prefix,
        )
    }

    fn validate(&self) -> Result<()> {
        for (key, patterns) in [("include", &self.include), ("exclude", &self.exclude)] {
            if patterns.as_ref().is_some_and(Patterns::is_empty) {
                return Err(Error::option(format!("{key} has no pattern")).with_hint(format!("leave out {key}")));
            }
        }
        match &self.attestation_prefix {
            Some(prefix) if prefix.contains('/') => {
                Err(Error::option("attestation-prefix is a part of a file name").with_hint("leave out the slash"))
            }
            _ => Ok(()),
        }
    }
}

impl FilesOptions {
    /// Checks that `result` has the files of one image.
    ///
    /// # Errors
    /// Several images, whose files would be mixed.
    pub fn check_result(&self, result: &BuildResult) -> Result<()> {
        match result.images.len() {
            1 => Ok(()),
            0 => Err(Error::input("there is no image whose files could be written")),
            count => Err(Error::option(format!("the files of {count} images would be mixed"))
                .with_hint("give one source, or one of each platform")),
        }
    }

    /// Describes what would be written, one line a platform.
    ///
    /// # Errors
    /// As [`check_result`](Self::check_result).
    pub fn plan(&self, result: &BuildResult) -> Result<Vec<String>> {
        self.check_result(result)?;
        Ok(result.images.iter().flat_map(platforms::plan).collect())
    }

    /// Returns the time of every file, if there is one; `of_build` is that of the build.
    pub fn epoch(&self, of_build: Option<Epoch>) -> Option<Epoch> {
        EpochOption::or_of_build(self.source_date_epoch, of_build)
    }

    /// Returns an entry with the owner that every file gets, if there is one.
    pub(super) fn owned(&self, mut entry: Entry) -> Entry {
        if let Some(owner) = self.chown {
            (entry.uid, entry.gid) = (owner.uid.into(), owner.gid.into());
        }
        entry
    }

    /// Returns whether files are left out.
    pub(super) fn selects(&self) -> bool {
        self.include.is_some() || self.exclude.is_some()
    }
}
