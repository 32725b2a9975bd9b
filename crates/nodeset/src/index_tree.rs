//! Sets of points: what one pattern's indices may be, with any number of axes.
//!
//! ```text
//! a[1-2]b[1-3],a3b[7-9]      [1-2] ──▶ [1-3]
//!                            [3]   ──▶ [7-9]
//! ```
//!
//! A space of n axes is a list of layers, each a set of indices of the first axis and the space of the other axes below it. Layers are
//! disjoint, and no two have equal spaces below, which makes the form canonical: equal sets are equal trees. A million points in a box
//! are one layer per axis; the operations walk two trees at once and cost what the trees weigh, not what they count.
//!
//! The road not taken is ClusterShell's, a list of boxes: adding to it, or taking away, compares with every box there is, and after an
//! operation the pieces must be sorted out again. Boxes are made from the tree for printing only, in [`crate::cover`].

use crate::index::Key;
use crate::rangeset::{RangeSet, Span};
use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;

/// The points of one pattern. All spaces of one pattern have the same number of axes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    /// No axis: the name itself.
    Point,
    /// One axis.
    Line(RangeSet),
    /// More axes.
    Layers(Vec<TreeNode>),
}

/// Indices of the first axis that share the same space below.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TreeNode {
    pub(crate) at: RangeSet,
    pub(crate) below: Arc<Space>,
}

/// Which of two sides an operation keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetOp {
    pub(crate) only_left: bool,
    pub(crate) only_right: bool,
    pub(crate) both: bool,
}

impl SetOp {
    pub(crate) const UNION: SetOp = SetOp { only_left: true, only_right: true, both: true };
    pub(crate) const DIFFERENCE: SetOp = SetOp { only_left: true, only_right: false, both: false };
    pub(crate) const INTERSECTION: SetOp = SetOp { only_left: false, only_right: false, both: true };
    pub(crate) const SYMMETRIC_DIFFERENCE: SetOp = SetOp { only_left: true, only_right: true, both: false };

    fn keeps(self, left: bool, right: bool) -> bool {
        match (left, right) {
            (true, true) => self.both,
            (true, false) => self.only_left,
            (false, true) => self.only_right,
            (false, false) => false,
        }
    }
}

/// How many more pieces may be made: by the operation at hand, which bounds memory, and by all operations, which bounds time.
#[derive(Debug)]
pub(crate) struct Budget {
    operation: usize,
    operations: usize,
    per_operation: usize,
}

/// The operation would have made more pieces than allowed.
#[derive(Debug)]
pub(crate) struct TooFragmented;

/// So many times the pieces of one operation may be made by all operations together: some seconds.
const OPERATIONS: usize = 8;

impl Budget {
    pub(crate) fn unlimited() -> Self {
        Budget { operation: usize::MAX, operations: usize::MAX, per_operation: usize::MAX }
    }

    pub(crate) fn pieces(pieces: usize) -> Self {
        Budget { operation: pieces, operations: pieces * OPERATIONS, per_operation: pieces }
    }

    /// Forgets the pieces of the last operation: they are the operand of the next, or gone.
    pub(crate) fn next_operation(&mut self) {
        self.operation = self.per_operation;
    }

    pub(crate) fn spend(&mut self, pieces: usize) -> Result<(), TooFragmented> {
        self.operation = self.operation.checked_sub(pieces).ok_or(TooFragmented)?;
        self.operations = self.operations.checked_sub(pieces).ok_or(TooFragmented)?;
        Ok(())
    }
}

impl Space {
    /// Returns the box that is the product of the axes. No axis may be empty.
    pub(crate) fn of_axes(axes: &[RangeSet]) -> Space {
        match axes {
            [] => Space::Point,
            [axis] => Space::Line(axis.clone()),
            [axis, below @ ..] => {
                Space::Layers(vec![TreeNode { at: axis.clone(), below: Arc::new(Space::of_axes(below)) }])
            }
        }
    }

    /// Returns the set of the given points, `axes` keys each in one flat list. The points need neither be sorted nor
    /// distinct.
    pub(crate) fn of_points(axes: usize, flat: Vec<Key>) -> Space {
        match axes {
            0 => Space::Point,
            1 => Space::Line(RangeSet::from_keys(flat)),
            _ => {
                let mut points: Vec<&[Key]> = flat.chunks_exact(axes).collect();
                points.sort_unstable();
                points.dedup();
                of_sorted_points(&points, 0)
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Space::Point => false,
            Space::Line(set) => set.is_empty(),
            Space::Layers(layers) => layers.is_empty(),
        }
    }

    /// Returns how many points, or `u128::MAX` when there are more.
    pub(crate) fn len(&self) -> u128 {
        match self {
            Space::Point => 1,
            Space::Line(set) => set.len(),
            Space::Layers(layers) => layers
                .iter()
                .map(|layer| layer.at.len().saturating_mul(layer.below.len()))
                .fold(0, u128::saturating_add),
        }
    }

    pub(crate) fn contains(&self, point: &[Key]) -> bool {
        match (self, point) {
            (Space::Point, []) => true,
            (Space::Line(set), [key]) => set.contains_key(*key),
            (Space::Layers(layers), [key, rest @ ..]) => {
                layers.iter().any(|layer| layer.at.contains_key(*key) && layer.below.contains(rest))
            }
            _ => false,
        }
    }

    /// Applies the set operation that `keep` describes. Both spaces have the same number of axes.
    pub(crate) fn combine(&self, other: &Space, keep: SetOp, budget: &mut Budget) -> Result<Space, TooFragmented> {
        match (self, other) {
            (Space::Line(left), Space::Line(right)) => {
                let set = left.combine(right, |left, right| keep.keeps(left, right));
                budget.spend(set.spans().len())?;
                Ok(Space::Line(set))
            }
            (Space::Layers(left), Space::Layers(right)) => combine_layers(left, right, keep, budget),
            _ if keep.both => Ok(Space::Point),
            // A point less itself: the only empty space without axes is one that has lost its axes.
            _ => Ok(Space::Layers(Vec::new())),
        }
    }
}

fn of_sorted_points(points: &[&[Key]], axis: usize) -> Space {
    if axis + 1 == points[0].len() {
        return Space::Line(RangeSet::from_keys(points.iter().map(|point| point[axis])));
    }
    let layers = points.chunk_by(|left, right| left[axis] == right[axis]).map(|group| {
        (Span { first: group[0][axis], last: group[0][axis] }, Arc::new(of_sorted_points(group, axis + 1)))
    });
    Space::Layers(merge_equal(layers))
}

/// Layers in canonical form from disjoint spans and what is below them.
fn merge_equal(parts: impl IntoIterator<Item = (Span, Arc<Space>)>) -> Vec<TreeNode> {
    let mut layer_of: HashMap<Arc<Space>, usize> = HashMap::new();
    let mut layers: Vec<(Vec<Span>, Arc<Space>)> = Vec::new();
    for (span, below) in parts {
        let at = *layer_of.entry(below).or_insert_with_key(|below| {
            layers.push((Vec::new(), Arc::clone(below)));
            layers.len() - 1
        });
        layers[at].0.push(span);
    }
    let mut layers: Vec<TreeNode> =
        layers.into_iter().map(|(spans, below)| TreeNode { at: RangeSet::from_spans(spans), below }).collect();
    layers.sort_unstable_by_key(|layer| layer.at.spans()[0].first);
    layers
}

/// A layer of each side, where there is one.
type Pair = (Option<usize>, Option<usize>);

fn combine_layers(
    left: &[TreeNode],
    right: &[TreeNode],
    keep: SetOp,
    budget: &mut Budget,
) -> Result<Space, TooFragmented> {
    let mut parts = Vec::new();
    // What is below a pair of layers is the same wherever the pair meets.
    let mut done: HashMap<Pair, Option<Arc<Space>>> = HashMap::new();
    for meeting in meetings(left, right) {
        let below = match done.get(&(meeting.left, meeting.right)) {
            Some(below) => below.clone(),
            None => {
                let below = combine_below(
                    meeting.left.map(|at| &left[at].below),
                    meeting.right.map(|at| &right[at].below),
                    keep,
                    budget,
                )?;
                done.insert((meeting.left, meeting.right), below.clone());
                below
            }
        };
        if let Some(below) = below {
            budget.spend(1)?;
            parts.push((meeting.span, below));
        }
    }
    Ok(Space::Layers(merge_equal(parts)))
}

/// Combines the layers below; returns `None` when nothing is kept.
fn combine_below(
    left: Option<&Arc<Space>>,
    right: Option<&Arc<Space>>,
    keep: SetOp,
    budget: &mut Budget,
) -> Result<Option<Arc<Space>>, TooFragmented> {
    match (left, right) {
        (Some(below), None) => Ok(keep.only_left.then(|| Arc::clone(below))),
        (None, Some(below)) => Ok(keep.only_right.then(|| Arc::clone(below))),
        (Some(left), Some(right)) if left == right => Ok(keep.both.then(|| Arc::clone(left))),
        (Some(left), Some(right)) => {
            let below = left.combine(right, keep, budget)?;
            Ok((!below.is_empty()).then(|| Arc::new(below)))
        }
        (None, None) => Ok(None),
    }
}

/// A stretch of the first axis over which neither side changes its layer.
struct Meeting {
    span: Span,
    left: Option<usize>,
    right: Option<usize>,
}

/// Cuts the first axis wherever a layer of either side begins or ends.
fn meetings(left: &[TreeNode], right: &[TreeNode]) -> Vec<Meeting> {
    let (left, right) = (sorted_spans(left), sorted_spans(right));
    let (mut left, mut right) = (left.as_slice(), right.as_slice());
    let mut meetings = Vec::new();
    let mut from = Key::MIN;
    loop {
        let (left_at, left_edge) = look(left, from);
        let (right_at, right_edge) = look(right, from);
        let Some(edge) = left_edge.into_iter().chain(right_edge).min() else {
            return meetings;
        };
        if left_at.is_some() || right_at.is_some() {
            meetings.push(Meeting { span: Span { first: from, last: edge - 1 }, left: left_at, right: right_at });
        }
        from = edge;
        left = skip_ended(left, from);
        right = skip_ended(right, from);
    }
}

fn sorted_spans(layers: &[TreeNode]) -> Vec<(Span, usize)> {
    let mut spans: Vec<(Span, usize)> = layers
        .iter()
        .enumerate()
        .flat_map(|(at, layer)| layer.at.spans().iter().map(move |&span| (span, at)))
        .collect();
    spans.sort_unstable();
    spans
}

/// Returns the layer at `from`, and where that changes next.
fn look(spans: &[(Span, usize)], from: Key) -> (Option<usize>, Option<Key>) {
    match spans.first() {
        Some((span, at)) if span.first <= from => (Some(*at), Some(span.last + 1)),
        Some((span, _)) => (None, Some(span.first)),
        None => (None, None),
    }
}

fn skip_ended(spans: &[(Span, usize)], from: Key) -> &[(Span, usize)] {
    match spans.first() {
        Some((span, _)) if span.last < from => &spans[1..],
        _ => spans,
    }
}
