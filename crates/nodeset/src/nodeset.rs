//! [`NodeSet`]: sets of names.

use crate::builder::Builder;
use crate::cover;
use crate::index::{self, Key};
use crate::index_tree::{Budget, SetOp, Space, TooFragmented};
use crate::pattern::{Pattern, split_name};
use crate::rangeset::{Autostep, RangeSet, Span};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops;

/// A set of host names, kept folded.
///
/// An element is its string: `n1` and `n01` are two hosts. What is in memory is what the folded text says and not the hosts one by one,
/// so a million hosts in a row cost some hundred bytes, and counting or cutting them costs nothing.
///
/// ```
/// use phalanx_nodeset::NodeSet;
/// let set: NodeSet = "node[1-9]!node[4-6],login".parse()?;
/// assert_eq!(set.to_string(), "login,node[1-3,7-9]");
/// assert_eq!(set.len(), 7);
/// assert!(set.contains("node7"));
/// assert_eq!(set.iter().take(2).collect::<Vec<_>>(), ["login", "node1"]);
/// # Ok::<(), phalanx_nodeset::ParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct NodeSet {
    patterns: BTreeMap<Pattern, Space>,
    /// Whether some operand was written with negative numbers, `foo[-3-3]`. Its hosts `foo-3` … are kept under the pattern `foo-%s`,
    /// because an element is its string; this only remembers that they want to be shown as numbers again.
    negative_notation: bool,
}

/// Sets are equal when they hold the same names, however they were written.
impl PartialEq for NodeSet {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for NodeSet {}

/// A part of a folded set: one pattern with a set of indices for each axis, of which every combination is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) pattern: Pattern,
    pub(crate) axes: Vec<RangeSet>,
}

impl NodeSet {
    /// Makes the set without names.
    #[must_use]
    pub fn new() -> Self {
        NodeSet::default()
    }

    pub(crate) fn from_parts(patterns: BTreeMap<Pattern, Space>, negative_notation: bool) -> Self {
        NodeSet { patterns, negative_notation }
    }

    pub(crate) fn negative_notation(&self) -> bool {
        self.negative_notation
    }

    /// Makes the set of exactly these names. Nothing in a name is special: no brackets, no operators.
    ///
    /// ```
    /// use phalanx_nodeset::NodeSet;
    /// assert_eq!(NodeSet::from_names(["n2", "n1", "n2"]).to_string(), "n[1-2]");
    /// ```
    pub fn from_names(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut builder = Builder::default();
        names.into_iter().for_each(|name| builder.push_name(name.as_ref()));
        builder.finish_unbounded()
    }

    /// Adds one name, in which nothing is special. To add many, collect them and use [`union`](Self::union).
    pub fn insert(&mut self, name: &str) {
        *self = self.union(&NodeSet::from_names([name]));
    }

    /// Returns how many names; `usize::MAX` when there are more than that.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count()).unwrap_or(usize::MAX)
    }

    /// Returns how many names, as far as a `u128` reaches: `a[1-1000000]b[1-1000000]` is counted without being
    /// expanded.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.patterns.values().map(Space::len).fold(0, u128::saturating_add)
    }

    /// Reports whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Reports whether the name is in the set.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        let (mut pattern, mut indices) = (String::new(), Vec::new());
        split_name(name, &mut pattern, &mut indices);
        self.patterns.get(&Pattern::new(&pattern)).is_some_and(|space| space.contains(&indices))
    }

    /// Reports whether every name of the other set is in this one.
    #[must_use]
    pub fn is_superset(&self, other: &NodeSet) -> bool {
        other.difference(self).is_empty()
    }

    /// Reports whether the sets have no name in common.
    #[must_use]
    pub fn is_disjoint(&self, other: &NodeSet) -> bool {
        self.intersection(other).is_empty()
    }

    /// Returns the names of both sets.
    #[must_use]
    pub fn union(&self, other: &NodeSet) -> NodeSet {
        self.combine_unbounded(other, SetOp::UNION)
    }

    /// Returns the names of this set that the other lacks.
    #[must_use]
    pub fn difference(&self, other: &NodeSet) -> NodeSet {
        self.combine_unbounded(other, SetOp::DIFFERENCE)
    }

    /// Returns the names that both sets have.
    #[must_use]
    pub fn intersection(&self, other: &NodeSet) -> NodeSet {
        self.combine_unbounded(other, SetOp::INTERSECTION)
    }

    /// Returns the names that exactly one of the sets has.
    #[must_use]
    pub fn symmetric_difference(&self, other: &NodeSet) -> NodeSet {
        self.combine_unbounded(other, SetOp::SYMMETRIC_DIFFERENCE)
    }

    fn combine_unbounded(&self, other: &NodeSet, keep: SetOp) -> NodeSet {
        self.combine(other, keep, &mut Budget::unlimited()).expect("an unlimited budget is never spent")
    }

    pub(crate) fn combine(&self, other: &NodeSet, keep: SetOp, budget: &mut Budget) -> Result<NodeSet, TooFragmented> {
        let mut result = self.clone();
        result.negative_notation |= other.negative_notation;
        if !keep.only_left {
            result.patterns.retain(|pattern, _| other.patterns.contains_key(pattern));
        }
        if result.patterns.is_empty() && keep.only_right {
            return Ok(NodeSet { patterns: other.patterns.clone(), ..result });
        }
        for (pattern, right) in &other.patterns {
            match result.patterns.entry(pattern.clone()) {
                Entry::Occupied(mut left) => {
                    let space = left.get().combine(right, keep, budget)?;
                    if space.is_empty() {
                        left.remove();
                    } else {
                        left.insert(space);
                    }
                }
                Entry::Vacant(place) if keep.only_right => {
                    place.insert(right.clone());
                }
                Entry::Vacant(_) => {}
            }
        }
        Ok(result)
    }

    /// Returns the patterns as they are to be shown: `foo-%s` under `foo%s` with negative indices, where that was asked
    /// for.
    fn shown_patterns(&self) -> Cow<'_, BTreeMap<Pattern, Space>> {
        if !self.negative_notation {
            return Cow::Borrowed(&self.patterns);
        }
        let mut shown = BTreeMap::new();
        for (pattern, space) in &self.patterns {
            let bare = pattern.without_hyphen_before_its_axis();
            let alone = bare.is_none_or(|bare| !self.patterns.contains_key(&bare)) && space.len() == 1;
            // A single negative number is shown without brackets, and is then no number but a hyphen: it stays where that is sorted.
            let parts =
                if alone { vec![(pattern.clone(), space.clone())] } else { with_negative_indices(pattern, space) };
            for (pattern, space) in parts {
                let space = match (shown.remove(&pattern), space) {
                    (Some(Space::Line(other)), Space::Line(set)) => Space::Line(set.union(&other)),
                    (_, space) => space,
                };
                shown.insert(pattern, space);
            }
        }
        Cow::Owned(shown)
    }

    /// Returns the parts of the folded set, in its order.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        self.pieces_with(&cover::fold)
    }

    pub(crate) fn pieces_with(&self, fold: &dyn Fn(&Space) -> Vec<Vec<RangeSet>>) -> Vec<Piece> {
        let pieces = |(pattern, space): (&Pattern, &Space)| {
            let pattern = pattern.clone();
            fold(space).into_iter().map(move |axes| Piece { pattern: pattern.clone(), axes }).collect::<Vec<_>>()
        };
        self.shown_patterns().iter().flat_map(pieces).collect()
    }

    /// Returns the names one by one, in the order of the set: by pattern, then by index.
    ///
    /// A set of several axes that is no single box comes box after box, as ClusterShell has it.
    pub fn iter(&self) -> impl Iterator<Item = String> + use<> {
        self.pieces().into_iter().flat_map(Piece::into_names)
    }
}

/// Returns a space whose pattern ends in a hyphen before its one axis, split into what a negative number can say and
/// what it cannot.
fn with_negative_indices(pattern: &Pattern, space: &Space) -> Vec<(Pattern, Space)> {
    let (Some(bare), Space::Line(set)) = (pattern.without_hyphen_before_its_axis(), space) else {
        return vec![(pattern.clone(), space.clone())];
    };
    let (mut negative, mut rest) = (Vec::new(), Vec::new());
    for span in set.by_width() {
        let unpadded = Span { first: span.first.max(index::first_unpadded(span.first)).max(1), last: span.last };
        if unpadded.first > unpadded.last {
            rest.push(span);
            continue;
        }
        let value = |key: Key| index::width_and_value(key).1;
        negative.push(Span { first: -value(unpadded.last), last: -value(unpadded.first) });
        if span.first < unpadded.first {
            rest.push(Span { first: span.first, last: unpadded.first - 1 });
        }
    }
    let parts = [(bare, negative), (pattern.clone(), rest)];
    parts
        .into_iter()
        .filter(|(_, spans)| !spans.is_empty())
        .map(|(pattern, spans)| (pattern, Space::Line(RangeSet::from_spans(spans))))
        .collect()
}

impl Piece {
    /// Returns how many names, or `u128::MAX` when there are more.
    pub(crate) fn len(&self) -> u128 {
        self.axes.iter().map(RangeSet::len).fold(1, u128::saturating_mul)
    }

    pub(crate) fn write(&self, out: &mut impl fmt::Write, autostep: Autostep) -> fmt::Result {
        self.pattern.write(out, |out, axis| write_axis(out, &self.axes[axis], autostep))
    }

    /// Returns the names, the last axis fastest.
    pub(crate) fn into_names(self) -> impl Iterator<Item = String> {
        let mut keys: Vec<Key> = self.axes.iter().map(|axis| axis.spans()[0].first).collect();
        let mut cursors = vec![0; keys.len()];
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let mut name = String::new();
            self.pattern
                .write(&mut name, |out, axis| index::write_key(out, keys[axis]))
                .expect("writing to a String cannot fail");
            done = !advance(&self.axes, &mut keys, &mut cursors);
            Some(name)
        })
    }
}

/// Turns the odometer; false when it is back at the start.
fn advance(axes: &[RangeSet], keys: &mut [Key], cursors: &mut [usize]) -> bool {
    for axis in (0..axes.len()).rev() {
        let spans = axes[axis].spans();
        if keys[axis] < spans[cursors[axis]].last {
            keys[axis] += 1;
            return true;
        }
        cursors[axis] += 1;
        if let Some(span) = spans.get(cursors[axis]) {
            keys[axis] = span.first;
            return true;
        }
        cursors[axis] = 0;
        keys[axis] = spans[0].first;
    }
    false
}

fn write_axis(out: &mut impl fmt::Write, axis: &RangeSet, autostep: Autostep) -> fmt::Result {
    match axis.spans() {
        [one] if one.first == one.last => index::write_key(out, one.first),
        _ => write!(out, "[{}]", axis.folded(autostep)),
    }
}

/// The folded text, which reads back as the same set.
impl fmt::Display for NodeSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.folded().fmt(out)
    }
}

impl<S: AsRef<str>> FromIterator<S> for NodeSet {
    /// Makes the set of these names; see [`NodeSet::from_names`].
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        NodeSet::from_names(names)
    }
}

impl<S: AsRef<str>> Extend<S> for NodeSet {
    fn extend<I: IntoIterator<Item = S>>(&mut self, names: I) {
        *self = self.union(&NodeSet::from_names(names));
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $operation:ident, $words:literal) => {
        #[doc = $words]
        impl ops::$trait<&NodeSet> for &NodeSet {
            type Output = NodeSet;

            fn $method(self, other: &NodeSet) -> NodeSet {
                self.$operation(other)
            }
        }

        #[doc = $words]
        impl ops::$trait for NodeSet {
            type Output = NodeSet;

            fn $method(self, other: NodeSet) -> NodeSet {
                (&self).$method(&other)
            }
        }
    };
}

operator!(BitOr, bitor, union, "`a | b` is the union.");
operator!(Sub, sub, difference, "`a - b` is the difference.");
operator!(BitAnd, bitand, intersection, "`a & b` is the intersection.");
operator!(BitXor, bitxor, symmetric_difference, "`a ^ b` is the symmetric difference.");

impl IntoIterator for &NodeSet {
    type Item = String;
    type IntoIter = Box<dyn Iterator<Item = String>>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// Folds names into one text.
///
/// ```
/// assert_eq!(phalanx_nodeset::fold_names(["n1", "n3", "n2", "login"]), "login,n[1-3]");
/// ```
pub fn fold_names(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    NodeSet::from_names(names).to_string()
}
