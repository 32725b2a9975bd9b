//! A space of several axes as few boxes: what a folded set prints.
//!
//! A box is a set of indices for each axis, of which every combination belongs to the space. Covering a space with the fewest disjoint
//! boxes is a hard problem; this is how it is approached, with a result that depends on the set alone and not on its history:
//!
//! 1. **Classes.** Indices of one axis that occur with exactly the same other indices are one class. No smallest cover needs to tell them
//!    apart, so from here on a class is one coordinate: two overlapping boxes of 300 × 300 become seven cells.
//! 2. **Islands.** Two cells can share a box only when a chain of cells that differ in one coordinate joins them. The islands of this
//!    relation are covered one by one.
//! 3. **Slices.** An island is cut along one axis, equal slices are joined, and what is inside a slice is cut along the next axis. Which
//!    axis goes first matters, so the orders of axes are tried, and the one with the fewest boxes wins.
//! 4. **Joins.** Boxes that differ in one axis only are joined while there are any.
//!
//! ClusterShell's way, joining cells pair by pair, costs the square of their number. Where even the cells would be too many (see
//! [`MAX_CELLS`]) the boxes are those of the tree, in its own order of axes.

use crate::index::Key;
use crate::index_tree::Space;
use crate::rangeset::{RangeSet, Span, Spans};
use foldhash::{HashMap, HashMapExt};
use std::cmp::Reverse;

/// Beyond so many cells a fold is no longer improved: a bound on time and memory.
const MAX_CELLS: usize = 1 << 20;

/// Beyond so many cells an island gets only as many orders of axes as it has axes.
const MAX_CELLS_FOR_EVERY_ORDER: usize = 20_000;

/// Of the orders in which every axis is first once, so many are tried that orders × axes × cells stay below this.
const MAX_WORK: usize = 1 << 22;

/// For each axis, the classes of a box in ascending order.
type ClassBox = Vec<Vec<u32>>;

/// Returns the boxes of a space, disjoint, largest first.
pub(crate) fn fold(space: &Space) -> Vec<Vec<RangeSet>> {
    fold_with(space, cover)
}

/// Folds as [`fold`] does, but only the chosen axes (from 0) may have more than one index in a box.
pub(crate) fn fold_on_axes(space: &Space, chosen: &dyn Fn(usize) -> bool) -> Vec<Vec<RangeSet>> {
    fold_with(space, |cells, axes| {
        let free: Vec<usize> = (0..axes).filter(|&axis| chosen(axis)).collect();
        let fixed: Vec<usize> = (0..axes).filter(|&axis| !chosen(axis)).collect();
        sections(cells, axes, &fixed).iter().flat_map(|section| cover_along(section, axes, &free)).collect()
    })
    .into_iter()
    .flat_map(|axes| expand_axes(axes, chosen))
    .collect()
}

fn fold_with(space: &Space, cover: impl Fn(&[u32], usize) -> Vec<ClassBox>) -> Vec<Vec<RangeSet>> {
    let mut boxes = paths(space);
    if boxes.len() > 1 {
        let axes = boxes[0].len();
        if let Some((classes, cells)) = cells_of(&boxes) {
            boxes = cover(&cells, axes).iter().map(|class_box| classes.ranges(class_box)).collect();
        }
        boxes.sort_by_cached_key(|axes| order_of_boxes(axes));
    }
    boxes
}

/// The longest first, then the one with the smaller first index, then with the smaller last one.
type OrderOfAxis = (Reverse<u128>, Key, Key);

/// Compares boxes: the largest first; among equals the one with more indices on the first axis, then with the smaller first
/// index, and so on.
fn order_of_boxes(axes: &[RangeSet]) -> (Reverse<u128>, Vec<OrderOfAxis>) {
    let size = axes.iter().map(RangeSet::len).fold(1, u128::saturating_mul);
    let ends = |axis: &RangeSet| {
        let spans = axis.spans();
        (Reverse(axis.len()), spans[0].first, spans[spans.len() - 1].last)
    };
    (Reverse(size), axes.iter().map(ends).collect())
}

/// Returns the tree's own boxes: one for each way from its root to a leaf.
fn paths(space: &Space) -> Vec<Vec<RangeSet>> {
    fn walk(space: &Space, above: &mut Vec<RangeSet>, out: &mut Vec<Vec<RangeSet>>) {
        match space {
            Space::Point => out.push(above.clone()),
            Space::Line(set) => out.push(above.iter().chain([set]).cloned().collect()),
            Space::Layers(layers) => {
                for layer in layers {
                    above.push(layer.at.clone());
                    walk(&layer.below, above, out);
                    above.pop();
                }
            }
        }
    }
    let mut out = Vec::new();
    walk(space, &mut Vec::new(), &mut out);
    out
}

fn expand_axes(axes: Vec<RangeSet>, chosen: &dyn Fn(usize) -> bool) -> impl Iterator<Item = Vec<RangeSet>> + use<> {
    let choices = axes
        .into_iter()
        .enumerate()
        .map(|(axis, set)| if chosen(axis) { vec![set] } else { set.keys().map(RangeSet::of_key).collect() });
    product(choices.collect())
}

/// Returns every combination of one choice for each axis, the last axis fastest.
pub(crate) fn product(choices: Vec<Vec<RangeSet>>) -> impl Iterator<Item = Vec<RangeSet>> {
    let mut odometer = vec![0; choices.len()];
    let mut done = choices.iter().any(Vec::is_empty);
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let combination = choices.iter().zip(&odometer).map(|(choices, &at)| choices[at].clone()).collect();
        done = !turn(&mut odometer, |axis| choices[axis].len());
        Some(combination)
    })
}

/// Moves on to the next combination; returns false when that is the first again.
fn turn(odometer: &mut [usize], size: impl Fn(usize) -> usize) -> bool {
    for axis in (0..odometer.len()).rev() {
        odometer[axis] += 1;
        if odometer[axis] < size(axis) {
            return true;
        }
        odometer[axis] = 0;
    }
    false
}

// Step 1: classes.

/// The classes of each axis, as the spans of each.
struct Classes {
    of_axis: Vec<Vec<Vec<Span>>>,
}

impl Classes {
    fn ranges(&self, class_box: &ClassBox) -> Vec<RangeSet> {
        let set = |(axis, classes): (usize, &Vec<u32>)| {
            RangeSet::from_spans(
                classes.iter().flat_map(|&class| self.of_axis[axis][class as usize].iter().copied()).collect::<Spans>(),
            )
        };
        class_box.iter().enumerate().map(set).collect()
    }
}

/// Returns the classes, and the cells of all boxes as one flat list of class numbers. `None` when there are too many.
fn cells_of(boxes: &[Vec<RangeSet>]) -> Option<(Classes, Vec<u32>)> {
    let axes = boxes[0].len();
    let mut classes = Classes { of_axis: Vec::with_capacity(axes) };
    let mut class_boxes: Vec<ClassBox> = vec![Vec::with_capacity(axes); boxes.len()];
    let mut listed = 0_usize;
    for axis in 0..axes {
        let segments = segments(boxes, axis);
        for (class_box, ranges) in class_boxes.iter_mut().zip(boxes) {
            let on_axis = segments.classes_in(&ranges[axis], MAX_CELLS * axes - listed)?;
            listed += on_axis.len();
            class_box.push(on_axis);
        }
        classes.of_axis.push(segments.into_classes());
    }
    let mut cells = Vec::new();
    for class_box in &class_boxes {
        let count = class_box.iter().map(Vec::len).try_fold(1_usize, usize::checked_mul)?;
        if count > MAX_CELLS - cells.len() / axes {
            return None;
        }
        push_cells(class_box, &mut cells);
    }
    Some((classes, cells))
}

fn push_cells(class_box: &ClassBox, cells: &mut Vec<u32>) {
    let mut odometer = vec![0; class_box.len()];
    loop {
        cells.extend(class_box.iter().zip(&odometer).map(|(classes, &at)| classes[at]));
        if !turn(&mut odometer, |axis| class_box[axis].len()) {
            return;
        }
    }
}

/// Stretches of one axis over which the same boxes are present, in order, each with its class.
struct Segments {
    list: Vec<(Span, u32)>,
    classes: usize,
}

/// Sweeps over the ends of all boxes on this axis. Which boxes are present is summed up in 128 bits, in the
/// manner of Zobrist hashing: lists of them would have the square of their number as their size.
fn segments(boxes: &[Vec<RangeSet>], axis: usize) -> Segments {
    let mut edges: Vec<(Key, u128)> = Vec::new();
    for (number, ranges) in boxes.iter().enumerate() {
        let mark = scatter(number as u64);
        edges.extend(ranges[axis].spans().iter().flat_map(|span| [(span.first, mark), (span.last + 1, mark)]));
    }
    edges.sort_unstable();
    let mut class_of: HashMap<u128, u32> = HashMap::new();
    let mut list = Vec::new();
    let mut present = 0;
    for here in edges.chunk_by(|left, right| left.0 == right.0).collect::<Vec<_>>().windows(2) {
        present = here[0].iter().fold(present, |present, (_, mark)| present ^ mark);
        if present != 0 {
            let next = class_of.len() as u32;
            let class = *class_of.entry(present).or_insert(next);
            list.push((Span { first: here[0][0].0, last: here[1][0].0 - 1 }, class));
        }
    }
    Segments { list, classes: class_of.len() }
}

/// Returns the mark of a class of an axis, to be summed up.
fn mark(axis: usize, class: u32) -> u128 {
    scatter((axis as u64) << 32 | u64::from(class))
}

/// Returns the mark of a set of classes of axes, whatever their order: equal marks are equal sets, but for one
/// chance in 2¹²⁸.
fn mark_of(classes: impl IntoIterator<Item = (usize, u32)>) -> u128 {
    classes.into_iter().fold(0, |sum, (axis, class)| sum ^ mark(axis, class))
}

/// Makes 128 bits without a pattern, by SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn scatter(number: u64) -> u128 {
    let half = |seed: u64| {
        let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    };
    u128::from(half(2 * number + 1)) << 64 | u128::from(half(2 * number + 2))
}

impl Segments {
    /// Returns the classes that the set consists of, or `None` when they are more than `most` segments.
    fn classes_in(&self, set: &RangeSet, most: usize) -> Option<Vec<u32>> {
        let mut classes = Vec::new();
        for span in set.spans() {
            let from = self.list.partition_point(|(segment, _)| segment.last < span.first);
            let inside = self.list[from..].iter().take_while(|(segment, _)| segment.first <= span.last);
            classes.extend(inside.map(|&(_, class)| class).take(most + 1));
            if classes.len() > most {
                return None;
            }
        }
        classes.sort_unstable();
        classes.dedup();
        Some(classes)
    }

    fn into_classes(self) -> Vec<Vec<Span>> {
        let mut classes = vec![Vec::new(); self.classes];
        self.list.into_iter().for_each(|(span, class)| classes[class as usize].push(span));
        classes
    }
}

// Step 2: islands.

fn cover(cells: &[u32], axes: usize) -> Vec<ClassBox> {
    islands(cells, axes).iter().flat_map(|island| cover_island(island, axes)).collect()
}

/// Groups the cells, in order of each group's first cell.
fn islands(cells: &[u32], axes: usize) -> Vec<Vec<u32>> {
    let mut leaders = Leaders::new(cells.len() / axes);
    let marks: Vec<u128> = cells.chunks_exact(axes).map(|cell| mark_of(cell.iter().copied().enumerate())).collect();
    for axis in 0..axes {
        // Cells that differ on this axis only are those whose marks are equal without it.
        let mut first_on_line: HashMap<u128, usize> = HashMap::with_capacity(marks.len());
        for (number, cell) in cells.chunks_exact(axes).enumerate() {
            let first = *first_on_line.entry(marks[number] ^ mark(axis, cell[axis])).or_insert(number);
            leaders.join(first, number);
        }
    }
    let mut island_of: HashMap<usize, usize> = HashMap::new();
    let mut islands: Vec<Vec<u32>> = Vec::new();
    for (number, cell) in cells.chunks_exact(axes).enumerate() {
        let at = *island_of.entry(leaders.of(number)).or_insert_with(|| {
            islands.push(Vec::new());
            islands.len() - 1
        });
        islands[at].extend_from_slice(cell);
    }
    islands
}

/// Disjoint sets with path halving.
struct Leaders(Vec<usize>);

impl Leaders {
    fn new(count: usize) -> Self {
        Leaders((0..count).collect())
    }

    fn of(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.of(left), self.of(right));
        self.0[left.max(right)] = left.min(right);
    }
}

// Step 3: slices.

fn single_cell(cell: &[u32]) -> ClassBox {
    cell.iter().map(|&class| vec![class]).collect()
}

fn cover_island(cells: &[u32], axes: usize) -> Vec<ClassBox> {
    cover_along(cells, axes, &(0..axes).collect::<Vec<_>>())
}

/// Returns the fewest boxes over all orders of the `free` axes; on the others all cells have the same coordinate.
fn cover_along(cells: &[u32], axes: usize, free: &[usize]) -> Vec<ClassBox> {
    if cells.len() == axes {
        return vec![single_cell(cells)];
    }
    let varies = |axis: usize| cells.chunks_exact(axes).any(|cell| cell[axis] != cells[axis]);
    let (varying, constant): (Vec<usize>, Vec<usize>) = free.iter().partition(|&&axis| varies(axis));
    let fixed: Vec<usize> = (0..axes).filter(|axis| !free.contains(axis)).chain(constant).collect();
    let covers = orders(&varying, cells.len() / axes).into_iter().map(|order| {
        let order: Vec<usize> = fixed.iter().chain(&order).copied().collect();
        join_boxes(slice(cells, axes, &order), &varying)
    });
    covers.min_by_key(Vec::len).unwrap_or_default()
}

/// Returns all orders of few axes over few cells, else every axis once as the first.
fn orders(axes: &[usize], cells: usize) -> Vec<Vec<usize>> {
    if axes.len() <= 4 && cells <= MAX_CELLS_FOR_EVERY_ORDER {
        return permutations(axes);
    }
    let affordable = MAX_WORK / (cells * axes.len().max(1)).max(1);
    let rotation = |first: usize| axes[first..].iter().chain(&axes[..first]).copied().collect();
    (0..axes.len().min(affordable.max(1)).max(1)).map(rotation).collect()
}

fn permutations(axes: &[usize]) -> Vec<Vec<usize>> {
    if axes.is_empty() {
        return vec![Vec::new()];
    }
    let starting_with = |at: usize| {
        let rest: Vec<usize> = axes.iter().copied().filter(|&axis| axis != axes[at]).collect();
        permutations(&rest)
            .into_iter()
            .map(move |order| [axes[at]].into_iter().chain(order).collect())
            .collect::<Vec<_>>()
    };
    (0..axes.len()).flat_map(starting_with).collect()
}

/// Returns the boxes of the tree that has its axes in this order.
fn slice(cells: &[u32], axes: usize, order: &[usize]) -> Vec<ClassBox> {
    let mut sorted: Vec<&[u32]> = cells.chunks_exact(axes).collect();
    sorted.sort_unstable_by(|left, right| {
        order
            .iter()
            .map(|&axis| left[axis].cmp(&right[axis]))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut tree = Tree { order, layers: Vec::new(), number_of: HashMap::new() };
    let root = tree.grow(&sorted, 0);
    let mut boxes = Vec::new();
    tree.paths(root, &mut vec![Vec::new(); axes], 0, &mut boxes);
    boxes
}

/// What is below a coordinate that nothing is below.
const LEAF: u32 = u32::MAX;

/// Coordinates of one axis with the number of the tree below them.
type Layers = Vec<(Vec<u32>, u32)>;

/// Trees in canonical form, each stored once, so that equal slices have equal numbers.
struct Tree<'a> {
    order: &'a [usize],
    layers: Vec<Layers>,
    number_of: HashMap<Layers, u32>,
}

impl Tree<'_> {
    fn grow(&mut self, cells: &[&[u32]], depth: usize) -> u32 {
        let Some(&axis) = self.order.get(depth) else {
            return LEAF;
        };
        let mut layers: Layers = Vec::new();
        let mut layer_of: HashMap<u32, usize> = HashMap::new();
        for group in cells.chunk_by(|left, right| left[axis] == right[axis]) {
            let below = self.grow(group, depth + 1);
            let at = *layer_of.entry(below).or_insert_with(|| {
                layers.push((Vec::new(), below));
                layers.len() - 1
            });
            layers[at].0.push(group[0][axis]);
        }
        let next = self.layers.len() as u32;
        let (known, layers_of) = (&mut self.number_of, &mut self.layers);
        *known.entry(layers).or_insert_with_key(|layers| {
            layers_of.push(layers.clone());
            next
        })
    }

    fn paths(&self, tree: u32, above: &mut ClassBox, depth: usize, boxes: &mut Vec<ClassBox>) {
        let Some(&axis) = self.order.get(depth) else {
            boxes.push(above.clone());
            return;
        };
        for (coordinates, below) in &self.layers[tree as usize] {
            above[axis].clone_from(coordinates);
            self.paths(*below, above, depth + 1, boxes);
        }
    }
}

/// Returns the cells grouped by their coordinates on the fixed axes.
fn sections(cells: &[u32], axes: usize, fixed: &[usize]) -> Vec<Vec<u32>> {
    let mut section_of: HashMap<Vec<u32>, usize> = HashMap::new();
    let mut sections: Vec<Vec<u32>> = Vec::new();
    for cell in cells.chunks_exact(axes) {
        let at = *section_of.entry(fixed.iter().map(|&axis| cell[axis]).collect()).or_insert_with(|| {
            sections.push(Vec::new());
            sections.len() - 1
        });
        sections[at].extend_from_slice(cell);
    }
    sections
}

// Step 4: joins.

/// Joins boxes that differ in one of these axes only, until there are none.
fn join_boxes(mut boxes: Vec<ClassBox>, axes: &[usize]) -> Vec<ClassBox> {
    loop {
        let before = boxes.len();
        for &axis in axes {
            boxes = join_along(boxes, axis);
        }
        if boxes.len() == before {
            return boxes;
        }
    }
}

fn join_along(boxes: Vec<ClassBox>, axis: usize) -> Vec<ClassBox> {
    let mut place_of: HashMap<u128, usize> = HashMap::with_capacity(boxes.len());
    let mut joined: Vec<ClassBox> = Vec::with_capacity(boxes.len());
    for mut class_box in boxes {
        let others = class_box.iter().enumerate().filter(|(other, _)| *other != axis);
        let key = mark_of(others.flat_map(|(other, classes)| classes.iter().map(move |&class| (other, class))));
        match place_of.get(&key) {
            Some(&place) => {
                joined[place][axis].append(&mut class_box[axis]);
                joined[place][axis].sort_unstable();
            }
            None => {
                place_of.insert(key, joined.len());
                joined.push(class_box);
            }
        }
    }
    joined
}
