//! Many names and boxes into one set at once, in the time it takes to sort them: added one by one, each would move all the others.

use crate::index::Key;
use crate::index_tree::{Budget, SetOp, Space, TooFragmented};
use crate::nodeset::NodeSet;
use crate::pattern::{Pattern, split_name};
use crate::rangeset::{RangeSet, Span};
use foldhash::HashMap;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Builder {
    heaps: Vec<Heap>,
    heap_of: HashMap<Box<str>, usize>,
    /// The heap of the last name: names come in herds.
    last: usize,
    negative_notation: bool,
    /// Reused from name to name.
    pattern: String,
    indices: Vec<Key>,
}

/// All that has been added under one pattern.
#[derive(Debug)]
struct Heap {
    pattern: Box<str>,
    axes: usize,
    /// One axis: everything.
    spans: Vec<Span>,
    /// More axes: single points, `axes` keys each.
    points: Vec<Key>,
    /// More axes: boxes.
    boxes: Vec<Space>,
}

impl Builder {
    pub(crate) fn is_empty(&self) -> bool {
        self.heaps.is_empty()
    }

    pub(crate) fn note_negative_notation(&mut self) {
        self.negative_notation = true;
    }

    /// Adds a name in which nothing is special. The empty name is no name.
    pub(crate) fn push_name(&mut self, name: &str) {
        if name.is_empty() {
            return;
        }
        let mut indices = std::mem::take(&mut self.indices);
        let mut pattern = std::mem::take(&mut self.pattern);
        indices.clear();
        pattern.clear();
        split_name(name, &mut pattern, &mut indices);
        let heap = self.heap(&pattern, indices.len());
        match indices[..] {
            [key] => heap.spans.push(Span { first: key, last: key }),
            _ => heap.points.extend_from_slice(&indices),
        }
        self.indices = indices;
        self.pattern = pattern;
    }

    /// Adds all combinations of the axes' indices.
    pub(crate) fn push_box(
        &mut self,
        pattern: &str,
        axes: &[RangeSet],
        budget: &mut Budget,
    ) -> Result<(), TooFragmented> {
        let heap = self.heap(pattern, axes.len());
        if let [axis] = axes {
            budget.spend(axis.spans().len())?;
            heap.spans.extend_from_slice(axis.spans());
            return Ok(());
        }
        match axes.iter().map(single_key).collect::<Option<Vec<Key>>>() {
            Some(point) => heap.points.extend(point),
            None => {
                budget.spend(axes.iter().map(|axis| axis.spans().len()).sum())?;
                heap.boxes.push(Space::of_axes(axes));
            }
        }
        Ok(())
    }

    fn heap(&mut self, pattern: &str, axes: usize) -> &mut Heap {
        let is_last = self.heaps.get(self.last).is_some_and(|heap| *heap.pattern == *pattern);
        if !is_last {
            self.last = match self.heap_of.get(pattern) {
                Some(&at) => at,
                None => {
                    let empty = Heap {
                        pattern: pattern.into(),
                        axes,
                        spans: Vec::new(),
                        points: Vec::new(),
                        boxes: Vec::new(),
                    };
                    self.heap_of.insert(pattern.into(), self.heaps.len());
                    self.heaps.push(empty);
                    self.heaps.len() - 1
                }
            };
        }
        &mut self.heaps[self.last]
    }

    pub(crate) fn finish_unbounded(self) -> NodeSet {
        self.finish(&mut Budget::unlimited()).expect("an unlimited budget is never spent")
    }

    pub(crate) fn finish(self, budget: &mut Budget) -> Result<NodeSet, TooFragmented> {
        let negative_notation = self.negative_notation;
        let mut heaps = self.heaps;
        heaps.sort_unstable_by(|left, right| left.pattern.cmp(&right.pattern));
        let spaces = heaps.into_iter().map(|heap| Ok((Pattern::new(&heap.pattern), heap.into_space(budget)?)));
        Ok(NodeSet::from_parts(spaces.collect::<Result<BTreeMap<_, _>, TooFragmented>>()?, negative_notation))
    }
}

fn single_key(axis: &RangeSet) -> Option<Key> {
    match axis.spans() {
        [span] if span.first == span.last => Some(span.first),
        _ => None,
    }
}

impl Heap {
    fn into_space(self, budget: &mut Budget) -> Result<Space, TooFragmented> {
        match self.axes {
            0 => return Ok(Space::Point),
            1 => return Ok(Space::Line(RangeSet::from_spans(self.spans))),
            _ => {}
        }
        let mut spaces = self.boxes;
        if !self.points.is_empty() {
            spaces.push(Space::of_points(self.axes, self.points));
        }
        union_of(spaces, budget)
    }
}

/// Unites spaces in halves, so that each piece takes part in few operations.
fn union_of(mut spaces: Vec<Space>, budget: &mut Budget) -> Result<Space, TooFragmented> {
    while spaces.len() > 1 {
        let mut halves = Vec::with_capacity(spaces.len().div_ceil(2));
        let mut pairs = spaces.into_iter();
        while let Some(left) = pairs.next() {
            halves.push(match pairs.next() {
                Some(right) => left.combine(&right, SetOp::UNION, budget)?,
                None => left,
            });
        }
        spaces = halves;
    }
    Ok(spaces.pop().expect("a heap is made when something is put on it"))
}
