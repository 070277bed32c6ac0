//! How layers are compressed.

/// How the bytes of a layer are compressed. The set is closed by the image specification (image-spec,
/// layer.md, "gzip" and "zstd" media types).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::EnumIter, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Algorithm {
    /// Not at all.
    Uncompressed,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Algorithm {
    /// Returns how people expect the tar archive of this name to be compressed; `None` for names of other files.
    ///
    /// # Examples
    /// ```
    /// use longshore_oci::Algorithm;
    ///
    /// assert_eq!(Algorithm::of_file_name("app.tgz"), Some(Algorithm::Gzip));
    /// assert_eq!(Algorithm::of_file_name("app.tar"), Some(Algorithm::Uncompressed));
    /// assert_eq!(Algorithm::of_file_name("app.zip"), None);
    /// ```
    pub fn of_file_name(name: &str) -> Option<Self> {
        let endings = [
            (".tar", Self::Uncompressed),
            (".tar.gz", Self::Gzip),
            (".tgz", Self::Gzip),
            (".tar.zst", Self::Zstd),
            (".tzst", Self::Zstd),
        ];
        endings.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, algorithm)| algorithm)
    }
}
