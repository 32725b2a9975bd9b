//! Parts of sets by position: slices, subsets, runs, random picks. Positions are counted in the order of the set, from 0, and computed on
//! folded pieces: the last hundred of a million million names cost as little as the first.

use crate::builder::Builder;
use crate::cover;
use crate::index::Key;
use crate::index_tree::Budget;
use crate::nodeset::{NodeSet, Piece};
use crate::rangeset::{RangeSet, key_of_text, key_text};

/// Positions from 0 as half-open intervals, in order. Padding means nothing here, and negative positions select nothing.
pub(crate) fn position_runs(positions: &RangeSet) -> impl Iterator<Item = (u128, u128)> {
    let mut runs: Vec<(u128, u128)> = positions.by_value().collect();
    runs.sort_unstable();
    runs.into_iter()
}

/// Splits `total` positions into `parts` intervals whose sizes differ by one at most, the larger first; no interval is
/// empty.
fn nearly_equal(total: u128, parts: usize) -> impl Iterator<Item = (u128, u128)> {
    let parts = (parts as u128).clamp(1, total.max(1));
    let (size, larger) = (total / parts, total % parts);
    let start = move |part: u128| part * size + part.min(larger);
    (0..parts).map(move |part| (start(part), start(part + 1))).filter(|(from, to)| from < to)
}

impl RangeSet {
    /// Splits it into as many subsets of nearly equal size as `parts` says, in order, or fewer when there are fewer elements.
    ///
    /// ```
    /// use phalanx_nodeset::RangeSet;
    /// let set: RangeSet = "1-5".parse()?;
    /// assert_eq!(set.split(3).map(|part| part.to_string()).collect::<Vec<_>>(), ["1-2", "3-4", "5"]);
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    pub fn split(&self, parts: usize) -> impl Iterator<Item = RangeSet> + '_ {
        nearly_equal(self.len(), parts).map(|(from, to)| self.at_positions(from, to))
    }

    /// Returns the position of an index, padding included, in the order of the set.
    #[must_use]
    pub fn position(&self, index: &str) -> Option<u128> {
        self.position_of_key(key_of_text(index)?)
    }

    /// Picks this many elements at random; all when there are no more, or when `count` is 0. `random(n)` is a random number below n.
    #[must_use]
    pub fn pick(&self, count: u128, random: impl FnMut(u128) -> u128) -> RangeSet {
        if count == 0 || count >= self.len() {
            return self.clone();
        }
        let positions = distinct(count, self.len(), random);
        RangeSet::union_of(&positions.into_iter().map(|at| self.at_positions(at, at + 1)).collect::<Vec<_>>())
    }
}

/// Returns distinct random numbers below `bound`, by Floyd's method (Bentley, Programming Pearls, CACM 30/9, 1987): no list of all numbers.
fn distinct(count: u128, bound: u128, mut random: impl FnMut(u128) -> u128) -> std::collections::BTreeSet<u128> {
    let mut chosen = std::collections::BTreeSet::new();
    for top in bound - count..bound {
        let at = random(top + 1).min(top);
        if !chosen.insert(at) {
            chosen.insert(top);
        }
    }
    chosen
}

impl NodeSet {
    /// Returns the names at the given positions of the order; positions beyond the end select nothing.
    ///
    /// ```
    /// use phalanx_nodeset::NodeSet;
    /// let set: NodeSet = "bnode[0-9],anode[0-9]".parse()?;
    /// assert_eq!(set.slice(&"0-18/2".parse()?).to_string(), "anode[0,2,4,6,8],bnode[0,2,4,6,8]");
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    #[must_use]
    pub fn slice(&self, positions: &RangeSet) -> NodeSet {
        Positions::of(self).select(position_runs(positions))
    }

    /// Splits it into as many subsets of nearly equal size as `parts` says, in order, or fewer when there are fewer names.
    ///
    /// ```
    /// use phalanx_nodeset::NodeSet;
    /// let set: NodeSet = "node[0-6]".parse()?;
    /// let parts: Vec<String> = set.split(4).map(|part| part.to_string()).collect();
    /// assert_eq!(parts, ["node[0-1]", "node[2-3]", "node[4-5]", "node6"]);
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    pub fn split(&self, parts: usize) -> impl Iterator<Item = NodeSet> + use<> {
        let positions = Positions::of(self);
        nearly_equal(self.count(), parts).map(move |run| positions.select(std::iter::once(run)))
    }

    /// Returns the position of a name in the order of the set.
    ///
    /// ```
    /// use phalanx_nodeset::NodeSet;
    /// let set: NodeSet = "a[1-2]b[1-3]".parse()?;
    /// assert_eq!(set.position("a2b1"), Some(3));
    /// assert_eq!(set.position("a2b4"), None);
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    #[must_use]
    pub fn position(&self, name: &str) -> Option<u128> {
        if !self.contains(name) {
            return None;
        }
        let mut before = 0;
        for piece in self.pieces() {
            if let Some(at) = piece.position(name) {
                return Some(before + at);
            }
            before += piece.len();
        }
        None
    }

    /// Picks this many names at random; all when there are no more, or when `count` is 0. `random(n)` is a random number below n: this crate has
    /// no source of its own.
    #[must_use]
    pub fn pick(&self, count: u128, random: impl FnMut(u128) -> u128) -> NodeSet {
        if count == 0 || count >= self.count() {
            return self.clone();
        }
        let positions = distinct(count, self.count(), random);
        Positions::of(self).select(positions.into_iter().map(|at| (at, at + 1)))
    }

    /// Returns the parts of the set that are contiguous on every axis, one by one.
    ///
    /// ```
    /// use phalanx_nodeset::NodeSet;
    /// let set: NodeSet = "dc[1,3]n[1-2,4]".parse()?;
    /// let runs: Vec<String> = set.contiguous().map(|run| run.to_string()).collect();
    /// assert_eq!(runs, ["dc1n[1-2]", "dc1n4", "dc3n[1-2]", "dc3n4"]);
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    pub fn contiguous(&self) -> impl Iterator<Item = NodeSet> + use<> {
        let negative = self.negative_notation();
        self.pieces().into_iter().flat_map(move |piece| {
            let runs: Vec<Vec<RangeSet>> = piece.axes.iter().map(|axis| axis.contiguous().collect()).collect();
            cover::product(runs).map(move |axes| piece_set(&Piece { pattern: piece.pattern.clone(), axes }, negative))
        })
    }
}

/// Returns a set of one piece.
fn piece_set(piece: &Piece, negative_notation: bool) -> NodeSet {
    let mut builder = Builder::default();
    push_piece(piece, &mut builder);
    if negative_notation {
        builder.note_negative_notation();
    }
    builder.finish_unbounded()
}

fn push_piece(piece: &Piece, builder: &mut Builder) {
    // A piece may be shown with negative numbers; a set has them as text, and one axis at most.
    let (negative, rest) = match &piece.axes[..] {
        [axis] if axis.has_negative() => axis.split_negative(),
        _ => {
            let pushed = builder.push_box(piece.pattern.as_str(), &piece.axes, &mut Budget::unlimited());
            return pushed.expect("an unlimited budget is never spent");
        }
    };
    let hyphenated = piece.pattern.as_str().replacen("%s", "-%s", 1);
    for (pattern, set) in [(hyphenated.as_str(), negative), (piece.pattern.as_str(), rest)] {
        if !set.is_empty() {
            builder.push_box(pattern, &[set], &mut Budget::unlimited()).expect("an unlimited budget is never spent");
        }
    }
}

/// The pieces of a set with the position of their first name.
struct Positions {
    pieces: Vec<(u128, Piece)>,
    negative_notation: bool,
}

impl Positions {
    fn of(set: &NodeSet) -> Self {
        let mut next = 0_u128;
        let numbered = set.pieces().into_iter().map(|piece| {
            let first = next;
            next = next.saturating_add(piece.len());
            (first, piece)
        });
        Positions { pieces: numbered.collect(), negative_notation: set.negative_notation() }
    }

    /// Returns the names at positions in these intervals, which ascend.
    fn select(&self, runs: impl Iterator<Item = (u128, u128)>) -> NodeSet {
        let mut builder = Builder::default();
        if self.negative_notation {
            builder.note_negative_notation();
        }
        for (from, to) in runs {
            let start = self.pieces.partition_point(|(first, piece)| first.saturating_add(piece.len()) <= from);
            for (first, piece) in self.pieces[start..].iter().take_while(|(first, _)| *first < to) {
                let (low, high) = (from.max(*first) - first, to.min(first.saturating_add(piece.len())) - first);
                piece.part(low, high, &mut |part| push_piece(&part, &mut builder));
            }
        }
        builder.finish_unbounded()
    }
}

impl Piece {
    /// Returns the position of a name among the names of the piece.
    fn position(&self, name: &str) -> Option<u128> {
        let keys = self.keys_of(name)?;
        let mut position = 0;
        for (axis, key) in self.axes.iter().zip(keys) {
            position = position * axis.len() + axis.position_of_key(key)?;
        }
        Some(position)
    }

    fn keys_of(&self, name: &str) -> Option<Vec<Key>> {
        // A name is as long as its pattern wants on every axis, so reading it against the pattern is unambiguous but for a sign.
        let (mut pattern, mut keys) = (String::new(), Vec::new());
        crate::pattern::split_name(name, &mut pattern, &mut keys);
        if pattern == self.pattern.as_str() {
            return Some(keys);
        }
        let bare = crate::pattern::Pattern::new(&pattern).without_hyphen_before_its_axis()?;
        (bare == self.pattern)
            .then(|| keys.iter().filter_map(|&key| key_of_text(&format!("-{}", key_text(key)))).collect())
    }

    /// Gives the boxes that the names at positions `from..to` of the piece make: at most two for each axis.
    fn part(&self, from: u128, to: u128, give: &mut impl FnMut(Piece)) {
        self.part_below(&mut Vec::new(), 0, from, to, give);
    }

    fn part_below(&self, fixed: &mut Vec<RangeSet>, axis: usize, from: u128, to: u128, give: &mut impl FnMut(Piece)) {
        if from >= to {
            return;
        }
        let Some(set) = self.axes.get(axis) else {
            return give(Piece { pattern: self.pattern.clone(), axes: fixed.clone() });
        };
        let below = self.axes[axis + 1..].iter().map(RangeSet::len).fold(1, u128::saturating_mul);
        let (first_whole, end_whole) = (from.div_ceil(below), to / below);
        let descend = |at: u128, low: u128, high: u128, fixed: &mut Vec<RangeSet>, give: &mut _| {
            fixed.push(set.at_positions(at, at + 1));
            self.part_below(fixed, axis + 1, low, high, give);
            fixed.pop();
        };
        if first_whole > end_whole {
            return descend(end_whole, from - end_whole * below, to - end_whole * below, fixed, give);
        }
        if !from.is_multiple_of(below) {
            descend(first_whole - 1, from % below, below, fixed, give);
        }
        if first_whole < end_whole {
            fixed.push(set.at_positions(first_whole, end_whole));
            let whole = fixed.iter().chain(&self.axes[axis + 1..]).cloned().collect();
            give(Piece { pattern: self.pattern.clone(), axes: whole });
            fixed.pop();
        }
        if !to.is_multiple_of(below) {
            descend(end_whole, 0, to % below, fixed, give);
        }
    }
}
