//! The record of runs: the events of `docs/json.md`, one JSON object per line, written while things happen.
//!
//! ```text
//!  FILE ──read──▶ Record ─▶ Step (one command on some hosts) ─▶ Process (one host of it)
//!                   │
//!                   ├──▶ text     execo's tables, and who failed why
//!                   ├──▶ json     the same for machines
//!                   ├──▶ junit    for continuous integration
//!                   └──▶ html     one page with a timeline
//! ```
//!
//! In reading order: [`event`] is the schema, as it is written; [`read`](read()) makes a [`Record`] of it; one module
//! for each way to render. All of it is pure: nothing here opens a file, prints, or looks at a clock. So a record is
//! rendered alike wherever and whenever that is done.

pub mod date;
pub mod event;
mod html;
mod json;
mod junit;
mod model;
mod read;
pub mod report;
mod text;
mod totals;

pub use self::html::to_html;
pub use self::json::to_json;
pub use self::junit::to_junit;
pub use self::model::{End, Piece, Process, Record, Said, Step};
pub use self::read::{LONGEST_LINE, NotARecord, ReadError, Skipped, read};
pub use self::text::to_text;
pub use self::totals::Totals;
