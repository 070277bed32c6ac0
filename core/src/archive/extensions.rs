//! Headers that extend the entry after them: PAX headers and GNU's long names.
//!
//! Readers disagree about which of two such headers for one entry counts, so an entry has either one PAX
//! header, or at most one long name and one long link.

use longshore_oci::Result;

use super::pax::{self, Records};
use super::place::Place;

/// The contents of the extension headers before the next entry.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Records>,
    /// The last extension header.
    last: Option<Place>,
}

/// Returns the name of this kind of extension header; `None` for the header of an entry.
pub(super) fn noun(kind: u8) -> Option<&'static str> {
    match kind {
        b'x' => Some("PAX header"),
        b'g' => Some("global PAX header"),
        b'L' => Some("GNU long name"),
        b'K' => Some("GNU long link"),
        _ => None,
    }
}

impl Extensions {
    /// Adds the data of the extension header of `kind` at `place`.
    ///
    /// # Errors
    /// Malformed data; a header that may not follow the ones before it.
    pub(super) fn add(&mut self, kind: u8, place: Place, data: Vec<u8>) -> Result<()> {
        if let Some(last) = &self.last
            && let Some(why) = self.conflict(kind)
        {
            return Err(place.ambiguous(format!("follows the {last} for the same entry: {why}")));
        }
        match kind {
            b'g' => return pax::check_global(&data, &place),
            b'x' => self.pax = Some(Records::parse(&data, &place)?),
            b'L' => self.long_name = Some(long(data, &place)?),
            _ => self.long_link = Some(long(data, &place)?),
        }
        self.last = Some(place);
        Ok(())
    }

    /// Returns why a header of `kind` may not follow those before it.
    fn conflict(&self, kind: u8) -> Option<&'static str> {
        let has_long = self.long_name.is_some() || self.long_link.is_some();
        match kind {
            b'g' => Some("a global PAX header may not come between"),
            b'x' if self.pax.is_some() => Some("an entry has one PAX header"),
            b'x' if has_long => Some("an entry has a PAX header or GNU long names, not both"),
            b'L' | b'K' if self.pax.is_some() => Some("an entry has a PAX header or GNU long names, not both"),
            b'L' if self.long_name.is_some() => Some("an entry has one long name"),
            b'K' if self.long_link.is_some() => Some("an entry has one long link"),
            _ => None,
        }
    }

    /// Fails if the last header was an extension header, as no entry follows.
    pub(super) fn check_end(&self) -> Result<()> {
        self.last.as_ref().map_or(Ok(()), |last| Err(last.ambiguous("is followed by no entry")))
    }

    /// Returns the path of the next entry, if it overrides the one in its header.
    pub(super) fn path(&self) -> Option<&[u8]> {
        let pax = self.pax.as_ref();
        let sparse = pax.and_then(|records| records.sparse_path.as_ref());
        sparse.or_else(|| pax?.path.as_ref()).or(self.long_name.as_ref()).map(Vec::as_slice)
    }

    /// Returns the link target of the next entry, if it overrides its header's, and the records of its PAX header.
    pub(super) fn into_parts(self) -> (Option<Vec<u8>>, Records) {
        let mut records = self.pax.unwrap_or_default();
        (records.link.take().or(self.long_link), records)
    }
}

/// Returns the data of a GNU long name, up to a NUL.
fn long(mut data: Vec<u8>, place: &Place) -> Result<Vec<u8>> {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    data.truncate(end);
    if data.is_empty() { Err(place.ambiguous("is empty")) } else { Ok(data) }
}
