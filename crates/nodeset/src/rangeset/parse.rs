//! Reading `a-b/step,c,…`.

use super::{RangeSet, Span};
use crate::error::{ParseError, ParseErrorKind, RangeErrorKind};
use crate::index::{self, Key, MAX_DIGITS};
use std::str::FromStr;

/// The most pieces of memory one set may need while it is being read: a stated bound, so that a hostile text exhausts no machine.
///
/// A piece is a run of indices without a gap, some 150 bytes while sets of several axes are combined: the bound is about 200 MB.
/// `a[1-1000000]` needs seven pieces, `a[0-1000000/2]` half a million; a text that needs more is an error.
pub const MAX_PIECES: usize = 1 << 20;

/// A range holds fewer numbers than this, as in ClusterShell.
pub(super) const MAX_RANGE: Key = 1_000_000_000;

/// One range as it was typed: numbers from `first` to `last`, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypedRange {
    first: Key,
    last: Key,
    step: Key,
    /// Digits before every number, joined to it as text. Only ranges with a step have them here: those of others are part of the bounds.
    prefix: Option<Key>,
    /// The width of padded numbers; `None` when nothing is padded.
    width: Option<usize>,
    /// Whether a step was written, even `/1`.
    pub(crate) stepped: bool,
}

impl TypedRange {
    /// Makes the range of the one index with these digits.
    pub(crate) fn of_digits(digits: &str) -> Option<Self> {
        let value = index::value_of_digits(digits.as_bytes())?;
        Some(TypedRange { first: value, last: value, step: 1, prefix: None, width: Some(digits.len()), stepped: false })
    }

    /// Returns how many numbers.
    pub(crate) fn len(self) -> u128 {
        (self.last - self.first).unsigned_abs() / self.step.unsigned_abs() + 1
    }

    /// Returns the index at a position below [`len`](Self::len).
    pub(crate) fn key_at(self, position: u128) -> Key {
        self.key(self.first + position as Key * self.step)
    }

    fn key(self, value: Key) -> Key {
        let key = self.width.map_or_else(|| index::key_of_number(value), |width| index::key(width, value));
        self.prefix.map_or(key, |prefix| index::join(prefix, key))
    }

    fn push_spans(self, spans: &mut Vec<Span>) -> Result<(), RangeErrorKind> {
        if self.step > 1 {
            if spans.len() as u128 + self.len() > MAX_PIECES as u128 {
                return Err(RangeErrorKind::TooLarge);
            }
            let keys = (0..self.len()).map(|at| self.key_at(at));
            spans.extend(keys.map(|key| Span { first: key, last: key }));
        } else if self.width.is_some() {
            spans.push(Span { first: self.key(self.first), last: self.key(self.last) });
        } else {
            spans.extend(unpadded_spans(self.first, self.last));
        }
        Ok(())
    }
}

/// Splits a range of unpadded numbers by width: every width is a span of its own.
pub(super) fn unpadded_spans(mut first: Key, last: Key) -> Vec<Span> {
    let mut spans = Vec::new();
    if first < 0 {
        spans.push(Span { first, last: last.min(-1) });
        first = 0;
    }
    while first <= last {
        let width = index::natural_width(first);
        let end = if width == MAX_DIGITS { last } else { last.min(index::power_of_ten(width) - 1) };
        spans.push(Span { first: index::key(width, first), last: index::key(width, end) });
        first = end + 1;
    }
    spans
}

/// Returns the set that some ranges make.
pub(crate) fn set_of(ranges: &[TypedRange]) -> Result<RangeSet, RangeErrorKind> {
    let mut spans = Vec::new();
    ranges.iter().try_for_each(|range| range.push_spans(&mut spans))?;
    Ok(RangeSet::from_spans(spans))
}

/// Reads the content of a bracket. `prefix` is the digits that touch the bracket on the left; they go before every bound, as text.
/// An error carries its offset in `text`.
pub(crate) fn parse_ranges(text: &str, prefix: &str) -> Result<Vec<TypedRange>, (RangeErrorKind, usize)> {
    let mut offset = 0;
    text.split(',')
        .map(|part| {
            let start = offset + (part.len() - part.trim_start().len());
            offset += part.len() + 1;
            parse_range(part.trim(), prefix).map_err(|kind| (kind, start))
        })
        .collect()
}

fn parse_range(part: &str, prefix: &str) -> Result<TypedRange, RangeErrorKind> {
    if part.is_empty() {
        return Err(RangeErrorKind::Empty);
    }
    let (base, step) = match part.split_once('/') {
        Some((base, step)) => (base, Some(Bound::read(step, "", part)?)),
        None => (part, None),
    };
    let step_value = step.as_ref().map_or(1, |step| step.value);
    // ClusterShell puts the digits before the bounds of a range, but before each number where the range has a step.
    let each = if step_value > 1 { index::key_of_digits(prefix.as_bytes()) } else { None };
    let prefix_of_bounds = if each.is_some() { "" } else { prefix };
    let (first, last) = match split_bounds(base) {
        Bounds::One(_) if step_value != 1 => {
            return Err(RangeErrorKind::StepWithoutRange(part.to_owned()));
        }
        Bounds::One(bound) => {
            let bound = Bound::read(bound, prefix, part)?;
            (bound, bound)
        }
        Bounds::Negative(bound) => {
            let bound = Bound::read_negative(bound, prefix, part)?;
            (bound, bound)
        }
        Bounds::Range(first, last) => {
            (Bound::read(first, prefix_of_bounds, part)?, Bound::read(last, prefix_of_bounds, part)?)
        }
        Bounds::FromNegative(first, last) => {
            (Bound::read_negative(first, prefix, part)?, Bound::read(last, prefix, part)?)
        }
        Bounds::BothNegative(first, last) => {
            (Bound::read_negative(first, prefix, part)?, Bound::read_negative(last, prefix, part)?)
        }
        Bounds::Nonsense => return Err(RangeErrorKind::NotANumber(part.to_owned())),
    };
    let range = range_between(first, last, step_value, part, prefix_of_bounds)?;
    if each.is_some() && prefix.len() + last.width > MAX_DIGITS {
        return Err(RangeErrorKind::TooManyDigits(part.to_owned()));
    }
    Ok(TypedRange { stepped: step.is_some(), prefix: each, ..range })
}

fn range_between(first: Bound, last: Bound, step: Key, part: &str, prefix: &str) -> Result<TypedRange, RangeErrorKind> {
    let padded = first.padded || last.padded;
    if padded && first.width != last.width {
        return Err(RangeErrorKind::PaddingMismatch(with_prefix(part, prefix)));
    }
    if padded && (first.value < 0 || last.value < 0) {
        return Err(RangeErrorKind::NegativePadding(part.to_owned()));
    }
    if last.value < first.value || step < 1 {
        return Err(RangeErrorKind::InvalidValues(part.to_owned()));
    }
    if last.value - first.value >= MAX_RANGE {
        return Err(RangeErrorKind::TooLarge);
    }
    Ok(TypedRange {
        first: first.value,
        last: last.value,
        step,
        prefix: None,
        width: padded.then_some(first.width),
        stepped: false,
    })
}

fn with_prefix(part: &str, prefix: &str) -> String {
    part.split('-').map(|bound| format!("{prefix}{bound}")).collect::<Vec<_>>().join("-")
}

enum Bounds<'a> {
    One(&'a str),
    Negative(&'a str),
    Range(&'a str, &'a str),
    FromNegative(&'a str, &'a str),
    BothNegative(&'a str, &'a str),
    Nonsense,
}

/// Returns which hyphens are signs. ClusterShell ignores what stands before the first of three hyphen-separated parts,
/// so that `1-2-3` is `-2-3`; its recorded cases insist on that for numbers.
fn split_bounds(base: &str) -> Bounds<'_> {
    let parts: Vec<&str> = base.splitn(5, '-').collect();
    match parts[..] {
        [one] => Bounds::One(one),
        [sign, one] if sign.trim().is_empty() => Bounds::Negative(one),
        [first, last] => Bounds::Range(first, last),
        [sign, first, last] if sign.trim().bytes().all(|byte| byte.is_ascii_digit()) => {
            Bounds::FromNegative(first, last)
        }
        [sign, first, between, last] if sign.trim().is_empty() && between.trim().is_empty() => {
            Bounds::BothNegative(first, last)
        }
        _ => Bounds::Nonsense,
    }
}

#[derive(Clone, Copy)]
struct Bound {
    value: Key,
    width: usize,
    padded: bool,
}

impl Bound {
    fn read(text: &str, prefix: &str, part: &str) -> Result<Bound, RangeErrorKind> {
        let text = text.trim();
        let digits = text.strip_prefix('+').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match digits.strip_prefix('-') {
                // Only a step can get here with a sign: "1-2/-1".
                Some(negative) if negative.bytes().all(|byte| byte.is_ascii_digit()) && !negative.is_empty() => {
                    Err(RangeErrorKind::InvalidValues(part.to_owned()))
                }
                _ => Err(RangeErrorKind::NotANumber(part.to_owned())),
            };
        }
        let joined;
        let digits = if prefix.is_empty() {
            digits
        } else {
            joined = format!("{prefix}{digits}");
            &joined
        };
        let value =
            index::value_of_digits(digits.as_bytes()).ok_or_else(|| RangeErrorKind::TooManyDigits(part.to_owned()))?;
        Ok(Bound { value, width: digits.len(), padded: digits.len() > 1 && digits.starts_with('0') })
    }

    fn read_negative(text: &str, prefix: &str, part: &str) -> Result<Bound, RangeErrorKind> {
        if !prefix.is_empty() {
            return Err(RangeErrorKind::NegativeBesideDigits(part.to_owned()));
        }
        let bound = Bound::read(text, "", part)?;
        if bound.padded {
            return Err(RangeErrorKind::NegativePadding(part.to_owned()));
        }
        Ok(Bound { value: -bound.value, ..bound })
    }
}

impl FromStr for RangeSet {
    type Err = ParseError;

    /// Reads a range set; the empty text is the empty set.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Ok(RangeSet::new());
        }
        let ranges = parse_ranges(text, "").map_err(|(kind, offset)| range_error(kind, text, offset))?;
        set_of(&ranges).map_err(|kind| range_error(kind, text, 0))
    }
}

fn range_error(kind: RangeErrorKind, text: &str, offset: usize) -> ParseError {
    ParseError::new(ParseErrorKind::RangeSet(kind), text, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, folded: &str) {
        assert_eq!(text.parse::<RangeSet>().unwrap().to_string(), folded, "{text}");
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        assert_eq!(text.parse::<RangeSet>().unwrap_err().to_string(), message, "{text}");
    }

    #[test]
    fn ranges_steps_and_padding_are_read() {
        reads("", "");
        reads("1-10/3", "1,4,7,10");
        reads("3,1-2,2-2", "1-3");
        reads("001,01,1", "1,01,001");
        reads(" 1 - 3 , +5", "1-3,5");
        reads("98-101", "98-101");
        reads("1-5/1,9/1", "1-5,9");
    }

    #[test]
    fn digits_before_a_bracket_go_before_bounds_or_before_each_stepped_number() {
        let keys = |text: &str, prefix: &str| set_of(&parse_ranges(text, prefix).unwrap()).unwrap().to_string();
        assert_eq!(keys("9-11", "1"), "19-111");
        assert_eq!(keys("8-12/2", "1"), "18,110,112");
        assert_eq!(keys("8-12/2", "0"), "08,010,012");
        assert_eq!(keys("00-02,000-032/8", "1"), "100-102,1000,1008,1016,1024,1032");
        assert!(parse_ranges("9-11", "00").is_err());
        assert!(parse_ranges("1-9/2", &"1".repeat(38)).is_err());
    }

    #[test]
    fn negative_numbers_are_the_oddities_that_were_recorded() {
        reads("-5--1", "-5--1");
        reads("-3-3", "-3-3");
        reads("1-2-3", "-2-3");
        reads("-0", "0");
        refused("-05--01", "padding not supported in negative ranges : \"-05--01\"");
        refused("1--3", "cannot convert string to integer : \"1--3\"");
        refused("--5", "cannot convert string to integer : \"--5\"");
    }

    #[test]
    fn bad_ranges_say_why() {
        refused("1,,2", "empty range");
        refused("1-a", "cannot convert string to integer : \"1-a\"");
        refused("1/2", "invalid step usage : \"1/2\"");
        refused("5-1", "invalid values in range : \"5-1\"");
        refused("1-2/0", "invalid values in range : \"1-2/0\"");
        refused("1-2/-1", "invalid values in range : \"1-2/-1\"");
        refused("01-1", "padding length mismatch : \"01-1\"");
        refused("0-1000000000", "range too large");
        refused("0-999999999/2", "range too large");
        refused(&"9".repeat(39), &format!("number of more than 38 digits : \"{}\"", "9".repeat(39)));
    }

    #[test]
    fn an_error_points_at_the_part() {
        assert_eq!("1-3, x".parse::<RangeSet>().unwrap_err().offset(), 5);
    }
}
