//! Many processes as one thing: the same command on many hosts, within a fan-out, judged and reported together.
//!
//! Modules in reading order: [`rollout`] describes how the members of a job are started, [`job`] starts them on an engine, and [`source`]
//! is what makes them: [`commands`], copies, chains, taktuk; [`substitute`]
//! puts the host into a command; [`action`] is the handle to many processes; [`remote`] and [`local`] make actions;
//! [`files`], [`chain`] and [`taktuk`] copy files to hosts and back. [`factory`] names the tools one can choose from.
//! Reports, configuration, plans and sweeps are crates of their own, which know this one.

pub mod action;
pub mod chain;
pub mod commands;
pub mod exec;
pub mod factory;
pub mod files;
pub mod job;
pub mod local;
pub mod remote;
pub mod source;
pub mod substitute;
pub mod taktuk;
mod terms;

pub use action::Action;
pub use phalanx_process::rollout;
