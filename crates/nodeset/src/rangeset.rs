//! Sets of indices: `1-3,7,08-11,20-30/2`.
//!
//! A [`RangeSet`] is a sorted list of intervals of keys (see [`crate::index`]), so its size in memory is the number of gaps in it and
//! not the number of its elements, and every operation is one sweep over two sorted lists.

mod fold;
mod parse;

use crate::index::{self, Key};
use smallvec::SmallVec;
use std::fmt;

pub use fold::{Autostep, Folded};
pub use parse::MAX_PIECES;
pub(crate) use parse::{TypedRange, parse_ranges, set_of};

/// An interval of keys, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) first: Key,
    pub(crate) last: Key,
}

impl Span {
    fn len(self) -> u128 {
        self.first.abs_diff(self.last) + 1
    }
}

/// A set of indices, each with its padding: `1`, `01` and `001` are three elements.
///
/// The order is by length of the string, then by value; negative numbers come first.
///
/// ```
/// use phalanx_nodeset::RangeSet;
/// let set: RangeSet = "9-11,01-03,20-30/5".parse()?;
/// assert_eq!(set.to_string(), "9,01-03,10-11,20,25,30");
/// assert_eq!(set.len(), 9);
/// assert_eq!(set.iter().take(3).collect::<Vec<_>>(), ["9", "01", "02"]);
/// # Ok::<(), phalanx_nodeset::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RangeSet {
    /// Sorted, disjoint, and never touching: the canonical form, so that equality is equality of lists.
    spans: Spans,
}

/// Most sets are one span: an index, or a range. Those need no memory of their own.
pub(crate) type Spans = SmallVec<[Span; 1]>;

impl RangeSet {
    /// Makes the set without elements.
    #[must_use]
    pub fn new() -> Self {
        RangeSet::default()
    }

    pub(crate) fn of_key(key: Key) -> Self {
        RangeSet { spans: Spans::from_buf([Span { first: key, last: key }]) }
    }

    /// Makes a set from intervals in any order, overlapping or not.
    pub(crate) fn from_spans(spans: impl Into<Spans>) -> Self {
        let mut spans = spans.into();
        if !spans.is_sorted() {
            spans.sort_unstable();
        }
        spans.dedup_by(|next, kept| {
            let touches = next.first <= kept.last + 1;
            if touches {
                kept.last = kept.last.max(next.last);
            }
            touches
        });
        RangeSet { spans }
    }

    pub(crate) fn from_keys(keys: impl IntoIterator<Item = Key>) -> Self {
        RangeSet::from_spans(keys.into_iter().map(|key| Span { first: key, last: key }).collect::<Spans>())
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Returns how many elements, which a set of spans knows without counting them.
    #[must_use]
    pub fn len(&self) -> u128 {
        self.spans.iter().map(|span| span.len()).sum()
    }

    /// Reports whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Reports whether the index, padding included, is an element.
    #[must_use]
    pub fn contains(&self, index: &str) -> bool {
        key_of_text(index).is_some_and(|key| self.contains_key(key))
    }

    pub(crate) fn contains_key(&self, key: Key) -> bool {
        let after = self.spans.partition_point(|span| span.first <= key);
        after > 0 && key <= self.spans[after - 1].last
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> + Clone + '_ {
        self.spans.iter().flat_map(|span| span.first..=span.last)
    }

    /// Returns the elements as text, in order.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.keys().map(key_text)
    }

    /// Returns the spans, cut where the width of the strings changes. Negative numbers are of one width here.
    pub(crate) fn by_width(&self) -> Vec<Span> {
        self.spans.iter().copied().flat_map(fold::pieces_of_one_kind).collect()
    }

    /// Returns the values of the indices as half-open intervals, without the negative ones.
    pub(crate) fn by_value(&self) -> impl Iterator<Item = (u128, u128)> + '_ {
        let value = |key: Key| index::width_and_value(key).1.unsigned_abs();
        let counted = self.spans.iter().copied().flat_map(fold::pieces_of_one_kind).filter(|span| span.first >= 0);
        counted.map(move |span| (value(span.first), value(span.last) + 1))
    }

    pub(crate) fn has_negative(&self) -> bool {
        self.spans.first().is_some_and(|span| span.first < 0)
    }

    /// Returns the negative numbers without their sign, and the rest.
    pub(crate) fn split_negative(&self) -> (RangeSet, RangeSet) {
        let (negative, rest): (Vec<Span>, Vec<Span>) = self.by_width().into_iter().partition(|span| span.first < 0);
        let negated: Spans =
            negative.into_iter().flat_map(|span| parse::unpadded_spans(-span.last, -span.first)).collect();
        (RangeSet::from_spans(negated), RangeSet::from_spans(rest))
    }

    /// Returns the position of a key in the order of the set, from 0.
    pub(crate) fn position_of_key(&self, key: Key) -> Option<u128> {
        let mut before = 0;
        for span in &self.spans {
            if key <= span.last {
                return (key >= span.first).then(|| before + span.first.abs_diff(key));
            }
            before += span.len();
        }
        None
    }

    /// Returns the elements at positions `from..to` of the order.
    pub(crate) fn at_positions(&self, from: u128, to: u128) -> RangeSet {
        let mut spans = Spans::new();
        let mut before = 0;
        for span in &self.spans {
            let (low, high) = (from.max(before), to.min(before + span.len()));
            if low < high {
                spans.push(Span {
                    first: span.first + (low - before) as Key,
                    last: span.first + (high - 1 - before) as Key,
                });
            }
            before += span.len();
            if before >= to {
                break;
            }
        }
        RangeSet { spans }
    }

    /// Returns the elements at the given positions of the order, from 0; positions beyond the end select nothing.
    #[must_use]
    pub fn slice(&self, positions: &RangeSet) -> RangeSet {
        RangeSet::from_spans(
            crate::slice::position_runs(positions)
                .flat_map(|(from, to)| self.at_positions(from, to).spans)
                .collect::<Spans>(),
        )
    }

    /// Returns the elements of both sets, in either.
    #[must_use]
    pub fn union(&self, other: &RangeSet) -> RangeSet {
        self.combine(other, |left, right| left || right)
    }

    /// Returns the elements of all sets, in one go.
    #[must_use]
    pub fn union_of<'a>(sets: impl IntoIterator<Item = &'a RangeSet>) -> RangeSet {
        RangeSet::from_spans(sets.into_iter().flat_map(|set| set.spans.iter().copied()).collect::<Spans>())
    }

    /// Returns the elements of this set that the other lacks.
    #[must_use]
    pub fn difference(&self, other: &RangeSet) -> RangeSet {
        self.combine(other, |left, right| left && !right)
    }

    /// Returns the elements that both sets have.
    #[must_use]
    pub fn intersection(&self, other: &RangeSet) -> RangeSet {
        self.combine(other, |left, right| left && right)
    }

    /// Returns the elements that exactly one of the sets has.
    #[must_use]
    pub fn symmetric_difference(&self, other: &RangeSet) -> RangeSet {
        self.combine(other, |left, right| left != right)
    }

    /// Sweeps once over the ends of all spans of both sets; `keep` says which side's presence makes an element of the result.
    pub(crate) fn combine(&self, other: &RangeSet, keep: impl Fn(bool, bool) -> bool) -> RangeSet {
        let mut spans = Spans::new();
        let mut open: Option<Key> = None;
        let (mut left, mut right) = (Edges::new(&self.spans), Edges::new(&other.spans));
        while let Some(at) = left.next_edge().into_iter().chain(right.next_edge()).min() {
            left.pass(at);
            right.pass(at);
            match (open, keep(left.inside, right.inside)) {
                (None, true) => open = Some(at),
                (Some(first), false) => {
                    spans.push(Span { first, last: at - 1 });
                    open = None;
                }
                _ => {}
            }
        }
        RangeSet { spans }
    }
}

/// Walks over the places where a list of spans is entered and left.
struct Edges<'a> {
    spans: &'a [Span],
    inside: bool,
}

impl<'a> Edges<'a> {
    fn new(spans: &'a [Span]) -> Self {
        Edges { spans, inside: false }
    }

    fn next_edge(&self) -> Option<Key> {
        let span = self.spans.first()?;
        Some(if self.inside { span.last + 1 } else { span.first })
    }

    fn pass(&mut self, at: Key) {
        if self.next_edge() == Some(at) {
            if self.inside {
                self.spans = &self.spans[1..];
            }
            self.inside = !self.inside;
        }
    }
}

pub(crate) fn key_text(key: Key) -> String {
    let mut text = String::new();
    index::write_key(&mut text, key).expect("writing to a String cannot fail");
    text
}

pub(crate) fn key_of_text(index: &str) -> Option<Key> {
    match index.strip_prefix('-') {
        Some(digits) if digits.starts_with('0') => None,
        Some(digits) => index::value_of_digits(digits.as_bytes()).map(|value| -value),
        None => index::key_of_digits(index.as_bytes()),
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fold::write_runs(out, self, Autostep::Never)
    }
}

impl FromIterator<u64> for RangeSet {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        RangeSet::from_keys(numbers.into_iter().map(|number| index::key_of_number(Key::from(number))))
    }
}
