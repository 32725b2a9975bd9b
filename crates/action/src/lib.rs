//! Many processes as one thing: the same command on many hosts, within a fan-out, judged and reported together.
//!
//! Modules in reading order: [`rollout`] decides who starts when, and [`crew`] joins that to an engine; [`substitute`]
//! puts the host into a command; [`action`] is the handle to many processes; [`remote`] and [`local`] make actions;
//! [`files`] copies files to hosts and back; [`report`] adds results up; [`record`] reads what a run recorded, and renders
//! it. [`groups`] finds the hosts behind `@names`, in ClusterShell's own configuration. [`sweep`] multiplies parameters
//! out, and remembers on disk which combinations are done. [`factory`] names the tools one can choose from. [`document`]
//! reads TOML so that every mistake in it has a place, for the [`configuration`] and for [`plan`]s: files that compose all
//! of this, and are played.
//!
//! Whatever decides is pure (`rollout`, `substitute`, `report`, `record`): no clock, no process, no thread.

pub mod action;
pub mod chain;
pub mod configuration;
pub mod crew;
pub mod document;
pub mod factory;
pub mod files;
pub mod groups;
pub mod local;
pub mod plan;
pub mod record;
pub mod remote;
pub mod report;
pub mod substitute;
pub mod sweep;
pub mod taktuk;
mod terms;

pub use action::Action;
pub use phalanx_process::rollout;
