//! The algebra of hosts: `rack[1-4]-node[01-32]!rack2-node07`, compatible with ClusterShell's node sets. Pure: no I/O, no clock, no process.

mod builder;
mod cover;
mod error;
mod folded;
mod glob;
mod groups;
mod index;
mod index_tree;
mod input_order;
mod nodeset;
mod parser;
mod pattern;
mod rangeset;
mod regroup;
mod slice;
mod syntax;

pub use error::{ParseError, ParseErrorKind, RangeErrorKind};
pub use folded::{FoldAxes, FoldedSet};
pub use groups::{GroupError, GroupSource, Groups, NodeSetError, illegal_in_group_name};
pub use index::MAX_DIGITS;
pub use input_order::{InputOrder, expand_in_input_order};
pub use nodeset::{NodeSet, fold_names};
pub use parser::Parser;
pub use pattern::MAX_AXES;
pub use rangeset::{Autostep, Folded, MAX_PIECES, RangeSet};
pub use regroup::Regrouped;
pub use syntax::{Dialect, words};
