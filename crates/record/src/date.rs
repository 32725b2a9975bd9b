//! Points in time as people write them, and back. The time zone and the present are given, so that everything here can
//! be tested; only the functions that say so ask the system.
//!
//! # The formats
//!
//! | written | means |
//! |---|---|
//! | `2026-01-02 03:04:05`, `2026-1-2T3:4:5` | a local time; each field but the year may have one digit |
//! | `26-07-02 03:04:05` | a year of two digits: 69 and more are in the last century |
//! | `07-02 03:04:05`, `2 03:04:05`, `03:04:05` | the current year, month, day |
//! | …`.5`, …`.250` | fractions of a second, to the nanosecond |
//! | …`Z`, …`+02:00`, …`-05:30` | not local, but this far from UTC |
//! | `1260000000`, `1260000000.5`, `.5` | seconds since 1970 began, UTC |
//!
//! A local time that does not exist (clocks are put forward) is taken by the offset before the change, one that exists
//! twice is the first of the two. Second 60 is the first of the next minute. Blanks around are ignored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use phalanx_process::duration::{Fraction, decimal};

/// A date that cannot be understood, or does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {given:?} as a date: {reason}")]
pub struct InvalidDate {
    /// What was given.
    pub given: String,
    /// What is wrong with it.
    pub reason: String,
}

const FORMATS: &str = "expected `2026-01-02 03:04:05`, with a zone (`Z`, `+02:00`) or without, or seconds since 1970";

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this process: `TZ` if set, else that of the machine, else UTC.
    #[must_use]
    pub fn system() -> Self {
        Self(TimeZone::system())
    }

    /// A zone by its name in the zone database: `Europe/Paris`.
    ///
    /// # Errors
    ///
    /// When the database does not know it, or cannot be read.
    pub fn named(name: &str) -> Result<Self, InvalidDate> {
        TimeZone::get(name).map(Self).map_err(|error| InvalidDate { given: name.to_owned(), reason: error.to_string() })
    }
}

/// Everything that can be given where a point in time is asked for: a [`SystemTime`], seconds since 1970 began (before
/// it if negative), or a text (see [the formats](self)).
pub trait IntoDate {
    /// The point in time; texts without a zone are local in `zone`, and what they leave out is as in `now`.
    ///
    /// # Errors
    ///
    /// When it does not exist, is out of range, or is a text in no known format.
    fn into_date_in(self, zone: &Zone, now: SystemTime) -> Result<SystemTime, InvalidDate>;

    /// The point in time, by the clock and the zone of the system.
    ///
    /// # Errors
    ///
    /// As [`IntoDate::into_date_in`].
    fn into_date(self) -> Result<SystemTime, InvalidDate>
    where
        Self: Sized,
    {
        self.into_date_in(&Zone::system(), SystemTime::now())
    }
}

impl IntoDate for SystemTime {
    fn into_date_in(self, _: &Zone, _: SystemTime) -> Result<SystemTime, InvalidDate> {
        Ok(self)
    }
}

impl IntoDate for &str {
    fn into_date_in(self, zone: &Zone, now: SystemTime) -> Result<SystemTime, InvalidDate> {
        parse(self, zone, now)
    }
}

impl IntoDate for f64 {
    fn into_date_in(self, _: &Zone, _: SystemTime) -> Result<SystemTime, InvalidDate> {
        let distance = Duration::try_from_secs_f64(self.abs()).ok();
        let date = distance.and_then(|distance| {
            if self < 0.0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
        });
        date.ok_or_else(|| InvalidDate { given: self.to_string(), reason: "it is out of range".to_owned() })
    }
}

impl IntoDate for i64 {
    fn into_date_in(self, _: &Zone, _: SystemTime) -> Result<SystemTime, InvalidDate> {
        let distance = Duration::from_secs(self.unsigned_abs());
        let date = if self < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        date.ok_or_else(|| InvalidDate { given: self.to_string(), reason: "it is out of range".to_owned() })
    }
}

/// Understands a point in time; see [the formats](self) and [`IntoDate::into_date_in`].
///
/// ```
/// use phalanx_record::date::{Zone, parse};
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let date = parse("2009-12-05 09:00:00+01:00", &Zone::utc(), UNIX_EPOCH)?;
/// assert_eq!(date, UNIX_EPOCH + Duration::from_secs(1_260_000_000));
/// # Ok::<(), phalanx_record::date::InvalidDate>(())
/// ```
///
/// # Errors
///
/// When it is in no known format, does not exist, or is out of range.
pub fn parse(text: &str, zone: &Zone, now: SystemTime) -> Result<SystemTime, InvalidDate> {
    let invalid = |reason: String| InvalidDate { given: text.to_owned(), reason };
    let trimmed = text.trim_matches([' ', '\t']);
    if let Some(since) = decimal(trimmed) {
        return UNIX_EPOCH.checked_add(since).ok_or_else(|| invalid("it is out of range".to_owned()));
    }
    let written = Written::parse(trimmed).ok_or_else(|| invalid(FORMATS.to_owned()))?;
    written.resolve(zone, now).map_err(|error| invalid(error.to_string()))
}

/// A date as it was written.
#[derive(Debug)]
struct Written {
    /// Year, month and day, as far as they were given.
    date: [Option<i16>; 3],
    hour: i8,
    minute: i8,
    second: i8,
    fraction: Duration,
    offset: Option<Offset>,
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once([' ', 'T', 't']) {
            Some((date, time)) => (Self::date(date)?, time),
            None => ([None; 3], text),
        };
        let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
            Some(at) => (&time[..at], Some(offset(&time[at..])?)),
            None => (time, None),
        };
        let (time, fraction) = match time.split_once('.') {
            Some((time, digits)) => (time, decimal(&format!(".{digits}"))?),
            None => (time, Duration::ZERO),
        };
        let mut fields = time.split(':');
        let [hour, minute, second] = [fields.next()?, fields.next()?, fields.next()?].map(field);
        fields.next().is_none().then_some(())?;
        Some(Self { date, hour: hour? as i8, minute: minute? as i8, second: second? as i8, fraction, offset })
    }

    fn date(text: &str) -> Option<[Option<i16>; 3]> {
        let fields: Vec<&str> = text.split('-').collect();
        Some(match fields[..] {
            [day] => [None, None, Some(field(day)?)],
            [month, day] => [None, Some(field(month)?), Some(field(day)?)],
            [year, month, day] => [Some(self::year(year)?), Some(field(month)?), Some(field(day)?)],
            _ => return None,
        })
    }

    fn resolve(&self, zone: &Zone, now: SystemTime) -> Result<SystemTime, jiff::Error> {
        let zone = self.offset.map_or_else(|| zone.0.clone(), TimeZone::fixed);
        let today = Timestamp::try_from(now)?.to_zoned(zone.clone()).date();
        let [year, month, day] = self.date;
        let month = month.map_or(today.month(), |month| month as i8);
        let date = civil::Date::new(year.unwrap_or(today.year()), month, day.map_or(today.day(), |day| day as i8))?;
        // A leap second, or what was taken for one.
        let (second, more) = if self.second == 60 { (59, 1) } else { (self.second, 0) };
        let time =
            date.to_datetime(civil::Time::new(self.hour, self.minute, second, self.fraction.subsec_nanos() as i32)?);
        let timestamp = zone.to_ambiguous_timestamp(time).compatible()?;
        timestamp.checked_add(SignedDuration::from_secs(more)).map(SystemTime::from)
    }
}

/// One or two digits.
fn field(text: &str) -> Option<i16> {
    ((1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Four digits, or two by the rule of POSIX (`%y` of strptime).
fn year(text: &str) -> Option<i16> {
    let year = match text.len() {
        2 => field(text)?,
        4 if text.bytes().all(|byte| byte.is_ascii_digit()) => return text.parse().ok(),
        _ => return None,
    };
    Some(if year >= 69 { 1900 + year } else { 2000 + year })
}

/// `Z`, `+hh:mm` or `-hh:mm`.
fn offset(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (i32::from(field(hours)?), i32::from(field(minutes)?));
    let seconds = (hours * 60 + minutes) * 60;
    (hours < 24 && minutes < 60)
        .then(|| Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok())
        .flatten()
}

/// Writes a point in time as it is in a zone: `2009-12-05 09:00:00+01:00`. The fraction is truncated.
///
/// ```
/// use phalanx_record::date::{Zone, format};
/// use phalanx_process::duration::Fraction;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let date = UNIX_EPOCH + Duration::from_millis(1_260_000_000_250);
/// assert_eq!(format(date, Fraction::None, &Zone::utc()), "2009-12-05 08:00:00+00:00");
/// assert_eq!(format(date, Fraction::Milliseconds, &Zone::utc()), "2009-12-05 08:00:00.250+00:00");
/// ```
///
/// Points in time beyond the year 9999 are written as those of its last second: nobody waits for them.
#[must_use]
pub fn format(date: SystemTime, fraction: Fraction, zone: &Zone) -> String {
    let limit = if date < UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    let local = Timestamp::try_from(date).unwrap_or(limit).to_zoned(zone.0.clone());
    let seconds = local.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60);
    let fraction = fraction.of(local.subsec_nanosecond() as u32);
    format!(
        "{} {:02}:{:02}:{:02}{fraction}{sign}{hours:02}:{minutes:02}",
        local.date(),
        local.hour(),
        local.minute(),
        local.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paris() -> Zone {
        Zone::named("Europe/Paris").expect("the zone database is installed")
    }

    fn unix(seconds: f64) -> SystemTime {
        seconds.into_date_in(&Zone::utc(), UNIX_EPOCH).expect("in range")
    }

    /// The present of these tests: 2026-11-21 08:30:00 UTC, half past nine in Paris.
    const NOW: f64 = 1_795_249_800.0;

    /// Items 166 and 211: the table of get_unixts under two zones. What is written, and what it is in UTC; in Paris it
    /// is `earlier` by so many hours, unless a zone was written.
    #[test]
    fn dates_are_understood_in_all_documented_formats_under_two_zones() {
        let table = [
            ("2026-01-02 03:04:05", 1_767_323_045.0, 1),
            ("2026-1-2 03:04:05", 1_767_323_045.0, 1),
            ("2026-01-02T03:04:05", 1_767_323_045.0, 1),
            ("2026-07-02 03:04:05", 1_782_961_445.0, 2),
            ("2026-01-02T03:04:05Z", 1_767_323_045.0, 0),
            ("2026-01-02t03:04:05z", 1_767_323_045.0, 0),
            ("2026-01-02 03:04:05+02:00", 1_767_315_845.0, 0),
            ("2026-01-02 03:04:05-05:30", 1_767_342_845.0, 0),
            ("2026-01-02 03:04:05.5", 1_767_323_045.5, 1),
            ("2026-01-02 03:04:05.250Z", 1_767_323_045.25, 0),
            ("26-07-02 03:04:05", 1_782_961_445.0, 2),
            ("69-07-02 03:04:05", -15_800_155.0, 1),
            ("07-02 03:04:05", 1_782_961_445.0, 2),
            ("2 3:4:5", 1_793_588_645.0, 1),
            ("03:04:05", 1_795_230_245.0, 1),
            ("  03:04:05  ", 1_795_230_245.0, 1),
            ("2026-01-02 03:04:60", 1_767_323_100.0, 1),
            ("1260000000", 1_260_000_000.0, 0),
            ("1260000000.5", 1_260_000_000.5, 0),
            (".5", 0.5, 0),
        ];
        for (text, utc, earlier) in table {
            assert_eq!(parse(text, &Zone::utc(), unix(NOW)), Ok(unix(utc)), "{text} in UTC");
            assert_eq!(
                parse(text, &paris(), unix(NOW)),
                Ok(unix(utc - f64::from(earlier) * 3600.0)),
                "{text} in Paris"
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let refused = [
            "",
            "2026-01-02",
            "03:04",
            "-5",
            "1e9",
            "2026-01-02 03:04:05+0100",
            "2026-01-02 03:04:05 +01:00",
            "2026-02-30 00:00:00",
            "2026-01-02 25:00:00",
            "2026-01-02 03:04:61",
            "2026-13-01 00:00:00",
            "026-01-02 03:04:05",
            "1-2-3-4 03:04:05",
            "03:04:05:06",
            "03:04:05.",
            "03:04:05Zebra",
            "2026-01-02 03:04:05+24:00",
            "1.2.3",
            "99999999999999999999",
            "é",
            "03:04:05+é",
        ];
        for text in refused {
            let error = parse(text, &paris(), unix(NOW)).expect_err(text).to_string();
            assert!(error.starts_with(&format!("cannot use {text:?} as a date: ")), "{error}");
        }
    }

    #[test]
    fn local_times_that_do_not_exist_or_exist_twice_have_a_rule() {
        // Clocks are put forward at 01:00 UTC on 2026-03-29, and back at 01:00 UTC on 2026-10-25.
        assert_eq!(
            parse("2026-03-29 02:30:00", &paris(), unix(NOW)),
            parse("2026-03-29 01:30:00Z", &paris(), unix(NOW))
        );
        assert_eq!(
            parse("2026-10-25 02:30:00", &paris(), unix(NOW)),
            parse("2026-10-25 00:30:00Z", &paris(), unix(NOW))
        );
    }

    #[test]
    fn numbers_texts_and_times_are_given_alike() {
        let date = unix(1_260_000_000.0);
        assert_eq!(1_260_000_000_i64.into_date(), Ok(date));
        assert_eq!("1260000000".into_date(), Ok(date));
        assert_eq!(date.into_date(), Ok(date));
        assert!(f64::INFINITY.into_date().is_err() && f64::NAN.into_date().is_err());
    }

    /// Item 168, the table of format_date under two zones.
    #[test]
    fn dates_are_written_as_documented_under_two_zones() {
        let table = [
            (1_260_000_000.0, Fraction::None, "2009-12-05 08:00:00+00:00", "2009-12-05 09:00:00+01:00"),
            (1_260_000_000.25, Fraction::None, "2009-12-05 08:00:00+00:00", "2009-12-05 09:00:00+01:00"),
            (
                1_260_000_000.25,
                Fraction::Milliseconds,
                "2009-12-05 08:00:00.250+00:00",
                "2009-12-05 09:00:00.250+01:00",
            ),
            (1_260_000_000.0, Fraction::Milliseconds, "2009-12-05 08:00:00+00:00", "2009-12-05 09:00:00+01:00"),
            (
                1_260_000_000.999_6,
                Fraction::Milliseconds,
                "2009-12-05 08:00:00.999+00:00",
                "2009-12-05 09:00:00.999+01:00",
            ),
            (1_782_961_445.0, Fraction::None, "2026-07-02 03:04:05+00:00", "2026-07-02 05:04:05+02:00"),
            (0.0, Fraction::None, "1970-01-01 00:00:00+00:00", "1970-01-01 01:00:00+01:00"),
        ];
        for (seconds, fraction, utc, local) in table {
            assert_eq!(format(unix(seconds), fraction, &Zone::utc()), utc);
            assert_eq!(format(unix(seconds), fraction, &paris()), local);
        }
    }

    #[test]
    fn a_zone_that_is_unknown_is_an_error_that_names_it() {
        assert!(Zone::named("Mars/Olympus").expect_err("unknown").to_string().contains("Mars/Olympus"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_understood_again(seconds in -30_000_000_000_i64..30_000_000_000, milliseconds in 0_u32..1000) {
            let date = seconds.into_date_in(&Zone::utc(), UNIX_EPOCH).expect("in range") + Duration::from_millis(milliseconds.into());
            for zone in [Zone::utc(), paris()] {
                let text = format(date, Fraction::Milliseconds, &zone);
                // Offsets of before 1911 have seconds, which nobody writes.
                if seconds > 0 || zone == Zone::utc() {
                    proptest::prop_assert_eq!(parse(&text, &Zone::utc(), UNIX_EPOCH), Ok(date));
                }
            }
        }

        #[test]
        fn arbitrary_texts_never_panic(text in ".{0,30}", digits in "[0-9 :.TZ+-]{0,30}") {
            let _ = (parse(&text, &paris(), unix(NOW)), parse(&digits, &paris(), unix(NOW)));
        }
    }
}
