//! Plans: actions composed in a file. What `phalanx play` plays; the keys are described in `docs/plans.md`.
//!
//! ```text
//!  FILE.toml ──Plan::read──▶ Plan ─▶ Step ─▶ Work: processes, a forwarded port, a pause, or a block of steps
//!      │                      │
//!      ▼                      ▼
//!   Diagnostics, each   Player: Workflow (which step is next; pure)  ⇄  Engine (the processes)
//!   with its line         │
//!                         ▼
//!                       Happening: what those who watch are told
//! ```
//!
//! Everything that can be known before is found out by reading: who the hosts are, which names are used, whether regular
//! expressions compile. What is left for later is what the world decides: whether files to be put are there, whether a
//! host answers.
//!
//! In reading order: [`model`] is what a plan says, as data; `read` makes it of a document, and complains; [`workflow`]
//! decides which step is next, pure; [`remote_kill`] ends commands on other hosts; [`Player`] does it all.
//!
//! Why the composition is not a tree of [`Action`](phalanx_action::Action)s: a plan is driven by one engine on the caller's thread,
//! which reads no more than can be shown, hears signals, and needs a workflow of its own anyway, for steps in the
//! background, for sweeps whose next combination nobody knows, and for what did not run and why.

pub mod model;
pub mod player;
mod read;
pub mod remote_kill;
pub mod workflow;

pub use self::model::Plan;
pub use self::player::{Happening, Player};
pub use self::read::{Overrides, ReadError, keys};
