//! Suggestions for unknown words.

/// Returns the word of `known` that is nearest to `word`, if it is near enough to be a typo.
///
/// At most a third of the letters may differ; letters that changed places count once.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &'a str| (edits(word.as_bytes(), candidate.as_bytes()), candidate);
    let (edits, candidate) = known.into_iter().map(distance).min_by_key(|(edits, _)| *edits)?;
    (edits <= word.len().max(candidate.len()).div_ceil(3)).then_some(candidate)
}

/// Counts the insertions, deletions, replacements and swaps of neighbours between `a` and `b`.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let known = ["name", "compression", "compression-level", "tar"];
        for (word, expected) in [
            ("compresion", Some("compression")),
            ("nmae", Some("name")),
            ("compression-levle", Some("compression-level")),
            ("rat", None),
            ("annotation", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
