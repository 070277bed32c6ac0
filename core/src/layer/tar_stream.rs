//! A tar archive as a layer: verbatim but checked, or rewritten by rules.

use std::io::{self, Read, Write};

use longshore_content::Cancel;
use longshore_oci::{Context, Error, Result};

use super::entries::{Visit, checked, parsed};
use super::{Rules, TarSource};
use crate::archive::{Entry, EntryKind, Reader, Writer, copy};
use crate::compression::decoder;
use crate::tree::merged::WHITEOUT;

/// Writes the layer of `source` to `out`; returns the newest time of its files.
pub(super) fn write(source: &TarSource, out: &mut dyn Write, cancel: &Cancel) -> Result<Option<i64>> {
    let written = open(source).and_then(|mut input| {
        match (source.rules.is_identity(), &source.diff_id) {
            // The diffID identifies the archive; the caller's writer checks for cancellation.
            (true, Some(_)) => match copy(&mut input, &mut &mut *out)? {
                0 => Err(empty()),
                _ => Ok(None),
            },
            (true, None) => verbatim(input, out, cancel),
            (false, _) => {
                let mut tar = Writer::new(out);
                let mut newest = None;
                rewritten(input, &source.rules, cancel, &mut |entry, content| {
                    newest = newest.max(Some(entry.mtime));
                    Ok(tar.append(&entry, content)?)
                })?;
                tar.finish()?;
                Ok(newest)
            }
        }
    });
    written.attempt(|| format!("cannot read layer {}", source.stream.name()))
}

/// Visits the entries of the layer in `source`, and checks its diffID if known.
pub(super) fn entries(source: &TarSource, cancel: &Cancel, visit: &mut Visit<'_>) -> Result<()> {
    let input = open(source)?;
    let has_bytes = match (source.rules.is_identity(), &source.diff_id) {
        (true, Some(diff_id)) => checked(input, diff_id, cancel, &mut |entry, _, content| visit(entry, content))?,
        (true, None) => parsed(input, cancel, &mut |entry, _, content| visit(entry, content))?,
        (false, _) => return rewritten(input, &source.rules, cancel, visit),
    };
    if has_bytes { Ok(()) } else { Err(empty()) }
}

fn open(source: &TarSource) -> Result<Box<dyn Read + Send + '_>> {
    let input = source.stream.open()?;
    // An archive of known size is uncompressed, even if the name of its first file looks compressed.
    if source.size.is_some() { Ok(input) } else { decoder(input).map(|(_, input)| input) }
}

/// Copies an archive byte for byte, and fails if it is not a tar archive.
pub(super) fn verbatim(input: impl Read, out: &mut dyn Write, cancel: &Cancel) -> Result<Option<i64>> {
    let mut newest = None;
    let has_bytes = parsed(Tee { input, out }, cancel, &mut |entry, _, _| {
        newest = newest.max(Some(entry.mtime));
        Ok(())
    })?;
    if has_bytes { Ok(newest) } else { Err(empty()) }
}

/// Returns the error for an empty archive: readers refuse an empty gzip stream as a layer.
fn empty() -> Error {
    Error::input("the tar archive is empty: it lacks even the two empty blocks at its end")
}

/// Copies everything read from `input` to `out`.
struct Tee<'a, R> {
    input: R,
    out: &'a mut dyn Write,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.out.write_all(&buffer[..count])?;
        Ok(count)
    }
}

/// Visits the entries of an archive, changed by the rules.
fn rewritten(input: impl Read, rules: &Rules, cancel: &Cancel, visit: &mut Visit<'_>) -> Result<()> {
    let mut reader = Reader::new(input);
    while let Some(entry) = reader.next_entry()? {
        cancel.check()?;
        let moved = moved(entry, rules).attempt(|| format!("cannot move the tar entry at byte {}", reader.offset()));
        if let Some(entry) = moved? {
            visit(entry, &mut reader)?;
        }
    }
    reader.drain()
}

/// Returns the entry, changed by the rules; `None` if they exclude it.
fn moved(mut entry: Entry, rules: &Rules) -> Result<Option<Entry>> {
    let path = clean(&entry.path)
        .ok_or_else(|| Error::input(format!("the tar entry `{}` is outside the archive", entry.display())))?;
    if path.is_empty() || is_excluded(rules, &path) {
        return Ok(None);
    }
    if entry.kind == EntryKind::HardLink {
        let outside = || Error::input(format!("the hard link `{}` points outside the archive", entry.display()));
        let target = clean(&entry.link).filter(|target| !target.is_empty()).ok_or_else(outside)?;
        if is_excluded(rules, &target) {
            return Err(Error::input(format!("the hard link `{}` points to an excluded file", entry.display()))
                .with_hint("exclude both or neither"));
        }
        entry.link = rules.place(&target);
    }
    if let Some((uid, gid)) = rules.owner {
        (entry.uid, entry.gid) = (uid.into(), gid.into());
    }
    entry.path = rules.place(&path);
    Ok(Some(entry))
}

/// Returns a path without empty and `.` components; `None` if it has a `..`.
fn clean(path: &[u8]) -> Option<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let parts: Vec<&[u8]> = parts.collect();
    (!parts.contains(&&b".."[..])).then(|| parts.join(&b'/'))
}

/// Returns whether a path is excluded. A whiteout is about lower layers and stays.
fn is_excluded(rules: &Rules, path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    !rules.excludes.is_empty() && !name.starts_with(WHITEOUT) && rules.excludes.excludes(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Patterns;

    #[test]
    fn rules_move_own_and_exclude() {
        let rules = Rules {
            owner: Some((7, 8)),
            excludes: Patterns::new(["*.log", "!keep.log"]).unwrap(),
            destination: b"opt/app".to_vec(),
        };
        let moved = |entry| moved(entry, &rules).unwrap().map(|entry| (entry.display(), entry.uid, entry.gid));
        let file = |path: &str| Entry::file(path, 0o644, 0);
        assert_eq!(moved(file("./bin/x")), Some(("opt/app/bin/x".to_owned(), 7, 8)));
        assert_eq!(moved(file("/keep.log")).unwrap().0, "opt/app/keep.log");
        assert_eq!(moved(file("a.log")), None);
        assert_eq!(moved(Entry::new(".", EntryKind::Directory, 0o755)), None);
    }

    #[test]
    fn links_stay_inside() {
        let rules = Rules { excludes: Patterns::new(["secret"]).unwrap(), ..Rules::default() };
        let link =
            |target: &str| moved(Entry { link: target.into(), ..Entry::new("l", EntryKind::HardLink, 0o644) }, &rules);
        assert!(link("./a").unwrap().is_some());
        assert!(link("../a").unwrap_err().message().contains("outside"));
        assert!(link("secret").unwrap_err().message().contains("excluded"));
        assert!(moved(Entry::file("a/../../b", 0o644, 0), &rules).is_err());
    }
}
