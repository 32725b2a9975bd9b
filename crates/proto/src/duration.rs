//! Spans of time as people write them, and back. Pure: no clock, no zone.
//!
//! # The formats
//!
//! | written | means |
//! |---|---|
//! | `5`, `5.25`, `.5` | seconds |
//! | `1:02:03`, `100:00:00`, `0:0:5.5` | hours, minutes, seconds: any number of digits for hours, one or two for the others, which may exceed 59 |
//!
//! Fractions are kept to the nanosecond. There are no negative spans: [`Duration`] has none, and nothing here can wait
//! for the past.

use std::time::Duration;

/// A span of time that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use {given:?} as a duration: expected seconds (`90`, `1.5`) or hours:minutes:seconds (`0:01:30`), not negative"
)]
pub struct InvalidDuration {
    /// What was given.
    pub given: String,
}

/// Everything that can be given where a span of time is asked for: a [`Duration`], a number of seconds, or a text (see
/// [the formats](self)).
///
/// ```
/// use phalanx_proto::duration::IntoDuration;
/// use std::time::Duration;
///
/// assert_eq!("0:01:30".into_duration()?, Duration::from_secs(90));
/// assert_eq!(1.5.into_duration()?, Duration::from_millis(1500));
/// assert!((-1).into_duration().is_err());
/// # Ok::<(), phalanx_proto::duration::InvalidDuration>(())
/// ```
pub trait IntoDuration {
    /// The span of time.
    ///
    /// # Errors
    ///
    /// When it is negative, not finite, too large for a [`Duration`], or a text in no known format.
    fn into_duration(self) -> Result<Duration, InvalidDuration>;
}

impl IntoDuration for Duration {
    fn into_duration(self) -> Result<Duration, InvalidDuration> {
        Ok(self)
    }
}

impl IntoDuration for &str {
    fn into_duration(self) -> Result<Duration, InvalidDuration> {
        parse(self)
    }
}

impl IntoDuration for f64 {
    fn into_duration(self) -> Result<Duration, InvalidDuration> {
        Duration::try_from_secs_f64(self).map_err(|_| InvalidDuration { given: self.to_string() })
    }
}

impl IntoDuration for u64 {
    fn into_duration(self) -> Result<Duration, InvalidDuration> {
        Ok(Duration::from_secs(self))
    }
}

/// The type of a number without a suffix.
impl IntoDuration for i32 {
    fn into_duration(self) -> Result<Duration, InvalidDuration> {
        let seconds = u64::try_from(self).map_err(|_| InvalidDuration { given: self.to_string() })?;
        Ok(Duration::from_secs(seconds))
    }
}

/// Understands a span of time; see [the formats](self).
///
/// # Errors
///
/// When it is in no known format, or too large for a [`Duration`].
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    understand(text).ok_or_else(|| InvalidDuration { given: text.to_owned() })
}

fn understand(text: &str) -> Option<Duration> {
    let mut fields = text.split(':');
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(seconds), None, None, None) => decimal(seconds),
        (Some(hours), Some(minutes), Some(seconds), None) => {
            let whole_digits = seconds.find('.').unwrap_or(seconds.len());
            if !(1..=2).contains(&minutes.len()) || !(1..=2).contains(&whole_digits) {
                return None;
            }
            let minutes = integer(hours)?.checked_mul(60)?.checked_add(integer(minutes)?)?;
            Duration::from_secs(minutes.checked_mul(60)?).checked_add(decimal(seconds)?)
        }
        _ => None,
    }
}

fn integer(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Digits, or digits with a fraction, of which the part before the point may be missing. Exact: no detour over floating
/// point.
pub fn decimal(text: &str) -> Option<Duration> {
    let Some((whole, fraction)) = text.split_once('.') else {
        return Some(Duration::from_secs(integer(text)?));
    };
    let whole = if whole.is_empty() { 0 } else { integer(whole)? };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(Duration::new(whole, nanoseconds))
}

/// How much of a fraction of a second to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fraction {
    /// None.
    #[default]
    None,
    /// Three digits, unless they are all 0.
    Milliseconds,
}

impl Fraction {
    /// The fraction as it is appended to the seconds. Truncated, not rounded: 59.9996 s are not yet a minute.
    pub fn of(self, nanoseconds: u32) -> String {
        match (self, nanoseconds / 1_000_000) {
            (Self::None, _) | (Self::Milliseconds, 0) => String::new(),
            (Self::Milliseconds, milliseconds) => format!(".{milliseconds:03}"),
        }
    }
}

/// Writes a span of time: `0s`, `1m0s`, `1d11h0m45s`. Units start with the largest that is not 0. The fraction is
/// truncated.
///
/// ```
/// use phalanx_proto::duration::{Fraction, format};
/// use std::time::Duration;
///
/// assert_eq!(format(Duration::from_secs(126_045), Fraction::None), "1d11h0m45s");
/// assert_eq!(format(Duration::from_millis(1500), Fraction::Milliseconds), "1.500s");
/// ```
#[must_use]
pub fn format(duration: Duration, fraction: Fraction) -> String {
    let seconds = duration.as_secs();
    let units = [(seconds / 86_400, 'd'), (seconds / 3_600 % 24, 'h'), (seconds / 60 % 60, 'm')];
    let larger = units.into_iter().skip_while(|(count, _)| *count == 0);
    let larger: String = larger.map(|(count, unit)| format!("{count}{unit}")).collect();
    format!("{larger}{}{}s", seconds % 60, fraction.of(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Item 167, the table of get_seconds.
    #[test]
    fn durations_are_understood_in_all_documented_formats() {
        let table = [
            ("0", 0.0),
            ("5", 5.0),
            ("5.25", 5.25),
            (".5", 0.5),
            ("00:00:05", 5.0),
            ("1:02:03", 3_723.0),
            ("100:00:00", 360_000.0),
            ("0:0:5.5", 5.5),
            ("1:60:61", 7_261.0),
            ("0:0:0.000000001", 1e-9),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_formats_in_the_message() {
        let refused = [
            "",
            " ",
            "00:05",
            "5s",
            "1d",
            "-5",
            "+5",
            "1e9",
            "5.",
            ".",
            "1:2:3:4",
            "1:222:3",
            "1:2:333",
            "::",
            "1:2:",
            ":2:3",
            "1:2:.5",
            "٣",
            "18446744073709551616",
            "18446744073709551615:0:0",
            "inf",
            "NaN",
        ];
        for text in refused {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("hours:minutes:seconds"), "{error}");
        }
        assert!((-5).into_duration().is_err() && (-0.5).into_duration().is_err() && f64::NAN.into_duration().is_err());
    }

    /// Item 210.
    #[test]
    fn numbers_texts_and_durations_are_given_alike() {
        let five = Duration::from_secs(5);
        assert_eq!(
            [5.into_duration(), 5u64.into_duration(), 5.0.into_duration(), "5".into_duration()],
            [const { Ok(Duration::from_secs(5)) }; 4]
        );
        assert_eq!(five.into_duration(), Ok(five));
    }

    /// Item 169, the table of format_duration.
    #[test]
    fn durations_are_written_as_documented() {
        let table = [
            (0.0, "0s", "0s"),
            (0.25, "0s", "0.250s"),
            (1.5, "1s", "1.500s"),
            (59.999, "59s", "59.999s"),
            (59.9999, "59s", "59.999s"),
            (60.0, "1m0s", "1m0s"),
            (3_600.0, "1h0m0s", "1h0m0s"),
            (86_400.0, "1d0h0m0s", "1d0h0m0s"),
            (126_045.0, "1d11h0m45s", "1d11h0m45s"),
            (1e7, "115d17h46m40s", "115d17h46m40s"),
        ];
        for (seconds, whole, milliseconds) in table {
            let duration = Duration::from_secs_f64(seconds);
            assert_eq!(format(duration, Fraction::None), whole);
            assert_eq!(format(duration, Fraction::Milliseconds), milliseconds);
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in ".{0,12}", colons in "[0-9:.]{0,24}") {
            let _ = (parse(&text), parse(&colons));
        }
    }
}
