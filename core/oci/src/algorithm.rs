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
