//! A node set as text, with choices.

use crate::cover;
use crate::index_tree::Space;
use crate::nodeset::{NodeSet, Piece};
use crate::rangeset::{Autostep, RangeSet};
use std::fmt;
use std::str::FromStr;

/// The axes along which names of several axes are folded.
///
/// ```
/// use phalanx_nodeset::{FoldAxes, NodeSet};
/// let set: NodeSet = "node[1-2]-ib[0-1]".parse()?;
/// let only_nodes: FoldAxes = "1".parse()?;
/// assert_eq!(set.folded().axes(&only_nodes).to_string(), "node[1-2]-ib0,node[1-2]-ib1");
/// let only_last: FoldAxes = "-1".parse()?;
/// assert_eq!(set.folded().axes(&only_last).to_string(), "node1-ib[0-1],node2-ib[0-1]");
/// # Ok::<(), phalanx_nodeset::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FoldAxes {
    /// Every axis.
    #[default]
    All,
    /// These axes, from 1; others that a name may have are expanded.
    Listed(RangeSet),
    /// This axis from the end, 1 being the last.
    FromEnd(usize),
    /// These axes, counted as Python counts: 0 is the first, -1 the last.
    Counted(Vec<i64>),
}

impl FoldAxes {
    fn includes(&self, axis: usize, axes: usize) -> bool {
        match self {
            FoldAxes::All => true,
            FoldAxes::Listed(listed) => listed.contains(&(axis + 1).to_string()),
            FoldAxes::FromEnd(from_end) => axis + from_end == axes,
            FoldAxes::Counted(counted) => {
                let is = |place: i64| counted.contains(&place);
                let (axis, axes) = (axis as i64, axes as i64);
                is(axis) || is(axis - axes)
            }
        }
    }
}

impl FromStr for FoldAxes {
    type Err = crate::ParseError;

    /// Parses a range set counted from 1, or one negative number counted from the end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().strip_prefix('-').map(str::parse) {
            Some(Ok(from_end)) => Ok(FoldAxes::FromEnd(from_end)),
            _ => text.parse().map(FoldAxes::Listed),
        }
    }
}

/// The folded text of a node set. From [`NodeSet::folded`].
#[derive(Debug, Clone)]
pub struct FoldedSet<'a> {
    set: &'a NodeSet,
    autostep: Autostep,
    axes: FoldAxes,
}

impl NodeSet {
    /// Returns the folded text, with choices; `to_string()` is this without any.
    #[must_use]
    pub fn folded(&self) -> FoldedSet<'_> {
        FoldedSet { set: self, autostep: Autostep::Never, axes: FoldAxes::All }
    }
}

impl FoldedSet<'_> {
    /// Folds equally spaced indices with a step.
    ///
    /// ```
    /// use phalanx_nodeset::{Autostep, NodeSet};
    /// let set: NodeSet = "node[1,5,9,13]".parse()?;
    /// assert_eq!(set.folded().autostep(Autostep::AtLeast(3)).to_string(), "node[1-13/4]");
    /// # Ok::<(), phalanx_nodeset::ParseError>(())
    /// ```
    #[must_use]
    pub fn autostep(mut self, autostep: Autostep) -> Self {
        self.autostep = autostep;
        self
    }

    /// Folds along some axes only.
    #[must_use]
    pub fn axes(mut self, axes: &FoldAxes) -> Self {
        self.axes = axes.clone();
        self
    }

    fn pieces(&self) -> Vec<Piece> {
        if self.axes == FoldAxes::All {
            return self.set.pieces();
        }
        self.set.pieces_with(&|space| match axes_of(space) {
            0 => cover::fold(space),
            axes => cover::fold_on_axes(space, &|axis| self.axes.includes(axis, axes)),
        })
    }
}

fn axes_of(space: &Space) -> usize {
    match space {
        Space::Point => 0,
        Space::Line(_) => 1,
        Space::Layers(layers) => 1 + layers.first().map_or(0, |layer| axes_of(&layer.below)),
    }
}

impl fmt::Display for FoldedSet<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, piece) in self.pieces().iter().enumerate() {
            if at > 0 {
                out.write_str(",")?;
            }
            piece.write(out, self.autostep)?;
        }
        Ok(())
    }
}
