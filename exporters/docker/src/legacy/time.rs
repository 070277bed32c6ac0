//! Times in image configurations, as Go reads and prints them.

use serde::{Serialize, Serializer};

const DAY: i64 = 24 * 60 * 60;

/// The latest time that fits 64 bits of nanoseconds, in the year 2262.
const LAST: (i64, u32) = (9_223_372_036, 854_775_807);

/// An RFC 3339 time with its offset, to the nanosecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// As printed by Go's `RFC3339Nano`.
    text: String,
    /// Since 1970, rounded down.
    seconds: i64,
    nanoseconds: u32,
}

impl Time {
    /// Returns Go's zero value, for images without a creation time.
    pub(super) fn zero() -> Self {
        Self { text: "0001-01-01T00:00:00Z".into(), seconds: -62_135_596_800, nanoseconds: 0 }
    }

    /// Returns Docker's time for all layers but the top one. Docker uses the time zone of its daemon, this uses UTC.
    pub(super) fn epoch() -> Self {
        Self { text: "1970-01-01T00:00:00Z".into(), seconds: 0, nanoseconds: 0 }
    }

    /// Reads RFC 3339, in upper case and without leap seconds, as Go does. Refuses the extras that Go before 1.20
    /// accepted: hours of one digit, a comma before the fraction, offsets of 24 hours and more.
    /// Fractions are truncated after nine digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (main, rest) = text.split_at_checked("2006-01-02T15:04:05".len())?;
        let seconds = whole_seconds(main)?;
        let (fraction, offset) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit()).filter(|end| *end > 0)?),
            None => ("", rest),
        };
        let fraction = fraction.get(..9).unwrap_or(fraction);
        let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
        let east = offset_seconds(offset)?;
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        let offset = if east == 0 { "Z" } else { offset };
        Some(Self { text: format!("{main}{dot}{fraction}{offset}"), seconds: seconds - east, nanoseconds })
    }

    /// Returns the file time that Docker derives from it, in seconds since 1970: 0 if it is earlier, or does
    /// not fit 64 bits of nanoseconds.
    pub(super) fn mtime(&self) -> i64 {
        if self.seconds < 0 || (self.seconds, self.nanoseconds) > LAST { 0 } else { self.seconds }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Seconds since 1970 of `2006-01-02T15:04:05`, read as UTC.
fn whole_seconds(text: &str) -> Option<i64> {
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, separator)| text.as_bytes().get(*at) != Some(separator)) {
        return None;
    }
    let (year, month, day) = (digits(&text[..4])?, digits(&text[5..7])?, digits(&text[8..10])?);
    let (hour, minute, second) = (digits(&text[11..13])?, digits(&text[14..16])?, digits(&text[17..])?);
    let is_clock = hour < 24 && minute < 60 && second < 60;
    is_clock.then_some(days(year, month, day)? * DAY + hour * 3600 + minute * 60 + second)
}

/// Days since 1970, in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (before, from) = lengths.split_at_checked(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !(1..=*from.first()?).contains(&day) {
        return None;
    }
    // Leap years before this one, counted from the year 0, which is one.
    let leap_years = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    Some(year * 365 + leap_years + before.iter().sum::<i64>() + day - 1 - 719_528)
}

/// Parses `Z`, `+01:30` or `-01:30` into seconds east of UTC.
fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, clock) = match text.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = clock.split_once(':')?;
    let is_clock = hours.len() == 2 && minutes.len() == 2;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (is_clock && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What dockerd 20.10 makes of them: the text in `json`, the time of the file.
    #[test]
    fn times_are_printed_and_set_as_docker_does() {
        for (text, printed, mtime) in [
            ("2024-05-06T07:08:09.120Z", "2024-05-06T07:08:09.12Z", 1_714_979_289),
            ("2000-01-01T00:00:00.1234567899Z", "2000-01-01T00:00:00.123456789Z", 946_684_800),
            ("2000-01-01T00:00:00.0000000009+01:00", "2000-01-01T00:00:00+01:00", 946_681_200),
            ("2000-01-01T00:00:00.000000000Z", "2000-01-01T00:00:00Z", 946_684_800),
            ("2000-01-01T00:00:00+23:59", "2000-01-01T00:00:00+23:59", 946_598_460),
            ("2000-01-01T00:00:00-05:30", "2000-01-01T00:00:00-05:30", 946_704_600),
            ("2020-02-29T23:59:59.100000000-00:00", "2020-02-29T23:59:59.1Z", 1_583_020_799),
            ("1970-01-01T00:00:00+01:00", "1970-01-01T00:00:00+01:00", 0),
            ("1969-12-31T23:00:00-01:00", "1969-12-31T23:00:00-01:00", 0),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z", 0),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z", 0),
            ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00", 0),
            ("2250-01-01T00:00:00.5Z", "2250-01-01T00:00:00.5Z", 8_835_955_200),
            ("2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775807Z", 9_223_372_036),
            ("2262-04-11T23:47:16.854775808Z", "2262-04-11T23:47:16.854775808Z", 0),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", 0),
        ] {
            let time = Time::parse(text).unwrap_or_else(|| panic!("{text} is refused"));
            assert_eq!((time.text.as_str(), time.mtime()), (printed, mtime), "{text}");
        }
    }

    #[test]
    fn constants_are_the_times_that_they_print() {
        for time in [Time::zero(), Time::epoch()] {
            assert_eq!(Time::parse(&time.text), Some(time));
        }
    }

    /// Every day of ten thousand years follows the one before.
    #[test]
    fn days_are_counted_without_gaps() {
        let mut expected = days(0, 1, 1).unwrap();
        for (year, month, day) in (0..10_000).flat_map(|y| (0..14).flat_map(move |m| (0..33).map(move |d| (y, m, d)))) {
            if let Some(count) = days(year, month, day) {
                assert_eq!(count, expected, "{year}-{month}-{day}");
                expected += 1;
            }
        }
        assert_eq!(expected, 2_932_897, "days from 1970 to 10000");
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2000-01-01T00:00:00",
            "2000-01-01t00:00:00z",
            "2000-01-01 00:00:00Z",
            "2000-01-01T00:00:00+0000",
            "2000-01-01T00:00:00,5Z",
            "2000-01-01T0:00:00Z",
            "2000-01-01T24:00:00Z",
            "2000-01-01T00:00:60Z",
            "2000-02-30T00:00:00Z",
            "2000-00-01T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2000-01-01T00:00:00.Z",
            "2000-01-01T00:00:00.5",
            "2000-01-01T00:00:00+24:00",
            "2000-01-01T00:00:00-23:60",
            "2000-01-01T00:00:00+1:000",
            "2000-01-01T00:00:00Zz",
            "+200-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2000-01-01T00:00:0\u{e9}Z",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
