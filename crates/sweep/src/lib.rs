//! Parameter sweeps: every combination of some factors, and a queue of them on disk that several processes share and
//! that outlives all of them.
//!
//! ```
//! use phalanx_sweep::{Factors, Queue};
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let factors = Factors::new().factor("congestion", ["cubic", "bbr"]).factor("rtt", [1, 10]);
//! let queue = Queue::open(directory)?;
//! queue.set(factors.combinations()?)?;
//! while let Some(combination) = queue.next()? {
//!     println!("measuring {combination} in {}", combination.slug());
//!     queue.done(&combination)?;
//! }
//! assert_eq!(queue.stats()?.done, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules in reading order: [`value`] is what a factor can be set to, [`combination`] is one experiment and its name,
//! `factors` multiplies them out; `record` is one line of the journal, `ledger` is what all the lines add up to,
//! `owner` tells whether the process that took a combination still lives, `journal` is the file, and `queue` the handle that
//! joins these. [`series`], [`slug`] and [`count_levels`] help to write sweeps.
//!
//! Everything but `owner`, `journal` and `queue` is pure. Nothing here runs anything: what is done with a combination
//! is the caller's business. The format of the files and the rules of sharing are in `docs/sweeps.md`.

pub mod combination;
pub mod error;
pub mod factors;
mod journal;
mod ledger;
pub mod owner;
pub mod queue;
mod record;
pub mod series;
pub mod slug;
pub mod value;

pub use combination::{Combination, count_levels};
pub use error::QueueError;
pub use factors::{Factors, Level};
pub use queue::{Queue, Stats};
pub use record::State;
pub use series::{geometric, geometric_integers};
pub use slug::slugify;
pub use value::Value;
