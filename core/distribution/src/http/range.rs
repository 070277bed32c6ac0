//! Ranges as registries state them: parts of blobs (RFC 9110, section 14.4), and the progress of uploads
//! (distribution-spec 1.1, "Pushing a blob in chunks").

/// Returns the first byte of `bytes 5-9/10`, if that is a range.
pub(crate) fn content_range_start(header: &str) -> Option<u64> {
    let (unit, rest) = header.trim().split_once([' ', '\t'])?;
    let (range, size) = rest.trim().split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let size = if size.trim() == "*" { u64::MAX } else { number(size)? };
    (unit.eq_ignore_ascii_case("bytes") && first <= last && last < size).then_some(first)
}

/// Returns how many bytes of an upload `0-9` stands for. `0-0` means either one byte or none. Some registries state
/// the range of the last chunk: only its end counts.
pub(crate) fn uploaded(header: &str) -> Option<u64> {
    let range = header.trim();
    let range = range.strip_prefix("bytes=").or_else(|| range.strip_prefix("bytes ")).unwrap_or(range);
    let (first, last) = range.split_once('-')?;
    number(first)?;
    Some(number(last)?.saturating_add(1))
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Random;

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes 5-9/10", Some(5)),
            ("Bytes 0-9/*", Some(0)),
            ("bytes */10", None),
            ("bytes 5-9", None),
            ("bytes 9-5/10", None),
            ("bytes 5-10/10", None),
            ("lines 5-9/10", None),
            ("bytes +5-9/10", None),
            ("5-9/10", None),
        ] {
            assert_eq!(content_range_start(header), expected, "{header}");
        }
        for (header, expected) in [
            ("0-0", Some(1)),
            (" bytes=0-99 ", Some(100)),
            ("0-", None),
            ("0", None),
            ("7-9", Some(10)),
            ("0-18446744073709551615", Some(u64::MAX)),
            ("0-18446744073709551616", None),
            ("0--1", None),
        ] {
            assert_eq!(uploaded(header), expected, "{header}");
        }
    }

    #[test]
    fn ranges_of_the_grammar_are_read_and_broken_ones_end() {
        for mut random in Random::seeded(14, 50_000) {
            let shift = random.below(50);
            let (first, length) = (random.bits() >> shift, (random.bits() >> shift).max(1));
            let last = first + length - 1;
            let size = if random.below(2) == 0 { "*".to_owned() } else { (last + 1 + random.bits() % 9).to_string() };
            let text = format!("bytes {first}-{last}/{size}");
            assert_eq!(content_range_start(&text), Some(first), "{text}");
            assert_eq!(uploaded(&format!("0-{last}")), Some(last + 1));
            let broken = random.broken(&text);
            assert!(content_range_start(&broken).is_none_or(|start| broken.contains(&start.to_string())), "{broken}");
            uploaded(&random.broken(&format!("bytes=0-{last}")));
        }
    }
}
