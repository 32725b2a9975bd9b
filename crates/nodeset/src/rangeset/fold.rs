//! Range sets as text: contiguous runs always, arithmetic ones when asked (autostep).
//!
//! A run never mixes padded and unpadded indices, and a padded run keeps one width: `[9,09-11]`, `[000-001,099-100,1000]`. These are
//! ClusterShell's rules; they make the folded text read back as exactly the same strings.

use super::parse::MAX_RANGE;
use super::{RangeSet, Span};
use crate::index::{self, Key};
use std::fmt;

/// Whether equally spaced indices are folded as `first-last/step`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Autostep {
    /// Only contiguous runs are folded: `1,3,5`.
    #[default]
    Never,
    /// At least so many equally spaced indices are folded with a step: `1-5/2`. Less than 2 means 2.
    AtLeast(u64),
}

/// The folded form of a range set, with a choice of autostep. From [`RangeSet::folded`].
#[derive(Debug, Clone, Copy)]
pub struct Folded<'a> {
    set: &'a RangeSet,
    autostep: Autostep,
}

impl RangeSet {
    /// Returns the set as text with the given autostep; `to_string()` is `folded(Autostep::Never)`.
    ///
    /// ```
    /// use phalanx_nodeset::{Autostep, RangeSet};
    /// let set: RangeSet = "1,3,5,6,7,9,11".parse()?;
    /// assert_eq!(set.folded(Autostep::AtLeast(3)).to_string(), "1-5/2,6-7,9,11");
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    #[must_use]
    pub fn folded(&self, autostep: Autostep) -> Folded<'_> {
        Folded { set: self, autostep }
    }

    /// Returns the contiguous runs of the folded form, one set each.
    ///
    /// ```
    /// use phalanx_nodeset::RangeSet;
    /// let set: RangeSet = "1-3,5,01-02".parse()?;
    /// assert_eq!(set.contiguous().map(|run| run.to_string()).collect::<Vec<_>>(), ["1-3", "5", "01-02"]);
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    pub fn contiguous(&self) -> impl Iterator<Item = RangeSet> + '_ {
        contiguous_runs(self).map(|run| {
            let inside = Span { first: run.first, last: run.last };
            self.intersection(&RangeSet::from_spans([inside]))
        })
    }
}

impl fmt::Display for Folded<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_runs(out, self.set, self.autostep)
    }
}

/// Indices from `first` to `last`, `step` apart in value. Contiguous ones may cross from one width to the next.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: Key,
    last: Key,
    step: Key,
}

pub(super) fn write_runs(out: &mut impl fmt::Write, set: &RangeSet, autostep: Autostep) -> fmt::Result {
    let mut separate = "";
    let mut write = |run: Run| {
        out.write_str(std::mem::replace(&mut separate, ","))?;
        write_run(out, run)
    };
    match autostep {
        Autostep::Never => contiguous_runs(set).try_for_each(write),
        Autostep::AtLeast(least) => fold_steps(&contiguous_runs(set).collect::<Vec<_>>(), least.max(2), &mut write),
    }
}

fn write_run(out: &mut impl fmt::Write, run: Run) -> fmt::Result {
    index::write_key(out, run.first)?;
    if run.first == run.last {
        return Ok(());
    }
    out.write_char('-')?;
    index::write_key(out, run.last)?;
    if run.step == 1 { Ok(()) } else { write!(out, "/{}", run.step) }
}

/// Returns the longest runs that can be written `first-last`.
fn contiguous_runs(set: &RangeSet) -> impl Iterator<Item = Run> + '_ {
    longest_runs(set).flat_map(readable_parts)
}

/// Cuts runs longer than [`MAX_RANGE`], which could not be read back.
fn readable_parts(run: Run) -> impl Iterator<Item = Run> {
    let padded_width = index::is_padded(run.first).then(|| index::width_and_value(run.first).0);
    let key =
        move |value: Key| padded_width.map_or_else(|| index::key_of_number(value), |width| index::key(width, value));
    let (first, last) = (number(run.first), number(run.last));
    (0..=(last - first) / MAX_RANGE).map(move |part| {
        let from = first + part * MAX_RANGE;
        Run { first: key(from), last: key(last.min(from + MAX_RANGE - 1)), step: 1 }
    })
}

fn longest_runs(set: &RangeSet) -> impl Iterator<Item = Run> + '_ {
    let mut pieces = set.spans.iter().copied().flat_map(pieces_of_one_kind).peekable();
    std::iter::from_fn(move || {
        let mut run = pieces.next()?;
        while let Some(next) = pieces.peek().filter(|next| continues(run, next.first)) {
            run.last = next.last;
            pieces.next();
        }
        Some(Run { first: run.first, last: run.last, step: 1 })
    })
}

/// Cuts a span of keys where the width of the strings changes.
pub(super) fn pieces_of_one_kind(span: Span) -> impl Iterator<Item = Span> {
    let mut next = Some(span.first);
    std::iter::from_fn(move || {
        let first = next?;
        let end_of_kind = if first < 0 { -1 } else { index::last_key(index::width_and_value(first).0) };
        let last = span.last.min(end_of_kind);
        next = (last < span.last).then_some(last + 1);
        Some(Span { first, last })
    })
}

fn continues(run: Span, next: Key) -> bool {
    step_between(run.first, run.last, next) == Some(1)
}

/// Returns how far `next` is from `last`, when a run that starts with `first` may go on to `next` at all.
fn step_between(first: Key, last: Key, next: Key) -> Option<Key> {
    let one_width = last >= 0 && index::width_and_value(last).0 == index::width_and_value(next).0;
    if one_width {
        return Some(next - last);
    }
    let unpadded = !index::is_padded(first) && !index::is_padded(next);
    unpadded.then(|| number(next) - number(last))
}

fn number(key: Key) -> Key {
    if key < 0 { key } else { index::width_and_value(key).1 }
}

/// Folds greedily, from left to right, as ClusterShell does: a contiguous run stays whole but for its first index, which may close a sequence.
fn fold_steps(runs: &[Run], least: u64, write: &mut impl FnMut(Run) -> fmt::Result) -> fmt::Result {
    let mut at = 0;
    // The first index of runs[at] when a sequence has not already taken it.
    let mut first = runs.first().map(|run| run.first);
    while let Some(start) = first {
        if start != runs[at].last {
            write(Run { first: start, ..runs[at] })?;
            at += 1;
            first = runs.get(at).map(|run| run.first);
            continue;
        }
        let sequence = sequence_from(runs, at);
        if sequence.count >= least && sequence.count > 1 {
            write(Run { first: start, last: sequence.last, step: sequence.step })?;
            at = sequence.ends_in;
            let whole = runs[at].first == runs[at].last;
            at += usize::from(whole);
            first = runs.get(at).map(|run| if whole { run.first } else { after(run.first) });
        } else {
            // Every later start inside the same sequence would find the same step and fewer indices, so all but its last are single.
            // Trying them one by one would make a long, evenly spaced set quadratic.
            let singles = sequence.ends_in.max(at + 1);
            for run in &runs[at..singles] {
                write(Run { first: run.last, ..*run })?;
            }
            at = singles;
            first = runs.get(at).map(|run| run.first);
        }
    }
    Ok(())
}

/// Returns the key that follows in a contiguous run, which may change width: after `9` comes `10`, not `00`.
fn after(key: Key) -> Key {
    if index::is_padded(key) || key < 0 { key + 1 } else { index::key_of_number(number(key) + 1) }
}

struct Sequence {
    last: Key,
    step: Key,
    count: u64,
    /// The run that holds `last`.
    ends_in: usize,
}

/// Returns the longest evenly spaced sequence that starts with the single index of `runs[at]`.
fn sequence_from(runs: &[Run], at: usize) -> Sequence {
    let start = runs[at].last;
    let mut sequence = Sequence { last: start, step: 0, count: 1, ends_in: at };
    for (ends_in, run) in runs.iter().enumerate().skip(at + 1) {
        let Some(step) = step_between(start, sequence.last, run.first) else {
            break;
        };
        if sequence.count > 1 && step != sequence.step || number(run.first) - number(start) >= MAX_RANGE {
            break;
        }
        sequence = Sequence { last: run.first, step, count: sequence.count + 1, ends_in };
        if run.first != run.last {
            break;
        }
    }
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(least: u64, text: &str, folded: &str) {
        let set: RangeSet = text.parse().unwrap();
        assert_eq!(set.folded(Autostep::AtLeast(least)).to_string(), folded, "{text} with {least}");
        assert_eq!(folded.parse::<RangeSet>().unwrap(), set, "{folded} reads back");
    }

    #[test]
    fn steps_are_folded_greedily_from_the_left() {
        // All recorded from ClusterShell 1.9.1.
        check(3, "1,2,4,6", "1-2,4,6");
        check(3, "1,3,5,6,7,9,11", "1-5/2,6-7,9,11");
        check(3, "1,3,4,6,8", "1,3-4,6,8");
        check(2, "1,4,5,6", "1-4/3,5-6");
        check(3, "8,09,10,12,14", "8,09-10,12,14");
        check(3, "07,09,11,13,100,102", "07-13/2,100,102");
        check(3, "96,98,100,102", "96-102/2");
        check(3, "096,098,100,102", "096-102/2");
        check(3, "099,101,103,1,3,5", "1-5/2,099-103/2");
        check(3, "1,4,5,6,8", "1,4-6,8");
        check(4, "1,3,5,8,11,14,17", "1,3,5-17/3");
        check(3, "1,3,5-100", "1-5/2,6-100");
        check(4, "1,3,5-100", "1,3,5-100");
        check(3, "98,99,100,101,103,105,1,3", "1,3,98-101,103,105");
    }

    #[test]
    fn a_sequence_that_takes_the_first_of_two_leaves_the_second() {
        check(3, "1,5,9,10", "1-9/4,10");
        check(2, "5,7,9-10", "5-9/2,10");
    }

    #[test]
    fn what_is_too_long_to_be_read_is_cut() {
        let set: RangeSet =
            "0-999999999,999999999-1999999998,00000000000-00999999999,01000000000-01000000001".parse().unwrap();
        assert_eq!(
            set.to_string(),
            "0-999999999,1000000000-1999999998,00000000000-00999999999,01000000000-01000000001"
        );
        check(2, "1,1000000001", "1,1000000001");
    }

    #[test]
    fn a_long_run_just_below_the_threshold_is_not_quadratic() {
        let even: RangeSet = (0..400_000_u64).map(|number| number * 2).collect();
        let folded = even.folded(Autostep::AtLeast(400_001)).to_string();
        assert_eq!(folded, even.to_string());
    }
}
