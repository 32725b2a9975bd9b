//! When a file was changed, as an archive states it: any date, those before 1970 and parts of a second included.

use std::fs::{File, FileTimes};
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use tar::Entry;

/// Seconds since 1970, which may be negative, and nanoseconds after these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    seconds: i64,
    nanoseconds: u32,
}

impl Date {
    /// Returns the date of an entry; nothing if what stands there is none.
    pub(super) fn of<R: Read>(entry: &mut Entry<'_, R>) -> Option<Self> {
        let mut extended = None;
        if let Some(extensions) = entry.pax_extensions().ok()? {
            for extension in extensions.flatten().filter(|extension| extension.key_bytes() == b"mtime") {
                extended = Some(Self::from_decimal(extension.value().ok()?)?);
            }
        }
        extended.or_else(|| Self::from_field(&entry.header().as_old().mtime))
    }

    /// A field of a header: octal digits, or a binary number behind a byte that is 0x80, or 0xff before a negative one.
    fn from_field(field: &[u8; 12]) -> Option<Self> {
        let number = |bytes: &[u8]| bytes.iter().fold(0_i128, |number, byte| number << 8 | i128::from(*byte));
        let seconds = match field[0] {
            0x80 => number(&field[1..]),
            0xff => number(&field[1..]) - (1 << 88),
            _ => {
                let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
                i128::from(if text.is_empty() { 0 } else { u64::from_str_radix(text, 8).ok()? })
            }
        };
        Some(Self { seconds: clamp(seconds), nanoseconds: 0 })
    }

    /// `SECONDS` or `SECONDS.FRACTION`, with or without a minus before it.
    fn from_decimal(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !(whole.to_owned() + fraction).bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let whole = whole.parse().unwrap_or(i128::MAX >> 1);
        let nanoseconds = format!("{fraction:0<9.9}").parse::<u32>().ok()?;
        Some(match (negative, nanoseconds) {
            (false, nanoseconds) => Self { seconds: clamp(whole), nanoseconds },
            (true, 0) => Self { seconds: clamp(-whole), nanoseconds: 0 },
            (true, nanoseconds) => Self { seconds: clamp(-whole - 1), nanoseconds: 1_000_000_000 - nanoseconds },
        })
    }

    /// Gives a file this date, or the nearest one that the system knows.
    pub(super) fn set(self, file: &File) -> io::Result<()> {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let second = if self.seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(whole)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(whole)
        };
        let date = second.and_then(|second| second.checked_add(Duration::from_nanos(self.nanoseconds.into())));
        let Some(date) = date else {
            log::warn!("a file has the date {} s, which this system does not know: it is left out", self.seconds);
            return Ok(());
        };
        file.set_times(FileTimes::new().set_modified(date))
    }
}

/// A date of which the system can be told. File systems have narrower limits of their own, which the system knows.
fn clamp(seconds: i128) -> i64 {
    let clamped = seconds.clamp(i64::MIN.into(), i64::MAX.into());
    if clamped != seconds {
        log::warn!("a file has a date that is too far away, and gets the last one that there is");
    }
    i64::try_from(clamped).expect("it is clamped")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(seconds: i128) -> [u8; 12] {
        let mut field = [0; 12];
        field.copy_from_slice(&seconds.to_be_bytes()[4..]);
        field[0] |= 0x80;
        field
    }

    #[test]
    fn headers_may_state_any_date() {
        let seconds = |field: &[u8; 12]| Date::from_field(field).map(|date| date.seconds);
        for number in [0, 1, -1, -14_182_940, 1 << 33, i64::MAX.into(), i64::MIN.into()] {
            assert_eq!(seconds(&field(number)), i64::try_from(number).ok());
        }
        assert_eq!(seconds(&field(u64::MAX.into())), Some(i64::MAX));
        assert_eq!(seconds(&field(-(1 << 80))), Some(i64::MIN));
        assert_eq!(seconds(b"00000000017\0"), Some(15));
        assert_eq!(seconds(b"        17 \0"), Some(15));
        assert_eq!(seconds(&[0; 12]), Some(0));
        for garbage in [b"zzzzzzzzzzzz", b"-0000000001\0", b"\xc0aaaaaaaaaaa"] {
            assert_eq!(seconds(garbage), None);
        }
    }

    #[test]
    fn extensions_have_parts_of_a_second() {
        let date = |seconds, nanoseconds| Some(Date { seconds, nanoseconds });
        let table = [
            ("1", date(1, 0)),
            ("1.5", date(1, 500_000_000)),
            ("1.0000000019", date(1, 1)),
            ("-1", date(-1, 0)),
            ("-1.5", date(-2, 500_000_000)),
            ("-0.25", date(-1, 750_000_000)),
            ("99999999999999999999999999999999999999999999", date(i64::MAX, 0)),
            ("-99999999999999999999999999999999999999999999", date(i64::MIN, 0)),
            ("", None),
            (".5", None),
            ("1e9", None),
            ("+1", None),
            ("--1", None),
        ];
        for (text, expected) in table {
            assert_eq!(Date::from_decimal(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_file_gets_any_date_without_a_panic() {
        let file = tempfile::tempfile().unwrap();
        for seconds in [0, -1, 1 << 40, i64::MAX, i64::MIN] {
            Date { seconds, nanoseconds: 999_999_999 }.set(&file).unwrap();
        }
    }
}
