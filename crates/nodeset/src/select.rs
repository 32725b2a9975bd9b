//! Parts of sets by position.

use crate::rangeset::RangeSet;

/// Positions from 0 as half-open intervals, in order. Padding means nothing here, and negative positions select nothing.
pub(crate) fn position_runs(positions: &RangeSet) -> impl Iterator<Item = (u128, u128)> {
    let mut runs: Vec<(u128, u128)> = positions.by_value().collect();
    runs.sort_unstable();
    runs.into_iter()
}
