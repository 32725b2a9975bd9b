//! The algebra of hosts: `rack[1-4]-node[01-32]!rack2-node07`, compatible with ClusterShell's node sets. Pure: no I/O, no clock, no process.

mod boxes;
mod builder;
mod error;
mod folded;
mod glob;
mod groups;
mod index;
mod nodeset;
mod order;
mod parser;
mod pattern;
mod rangeset;
mod regroup;
mod select;
mod space;
mod syntax;

pub use error::{ParseError, ParseErrorKind, RangeErrorKind};
pub use folded::{FoldAxes, FoldedSet};
pub use groups::{Error, GroupError, GroupSource, Groups, illegal_in_group_name};
pub use index::MAX_DIGITS;
pub use nodeset::{NodeSet, fold_names};
pub use order::{InputOrder, expand_in_input_order};
pub use parser::Parser;
pub use pattern::MAX_AXES;
pub use rangeset::{Autostep, Folded, MAX_PIECES, RangeSet};
pub use regroup::Regrouped;
pub use syntax::{Dialect, words};
