//! What a user sets once: configuration files, groups of hosts, and how things look.
//!
//! Modules in reading order: [`toml_doc`] reads TOML so that every mistake in it has a place, for the [`configuration`] and
//! for plans; [`groups`] finds the hosts behind `@names`, in ClusterShell's own configuration; [`style`] says in words how
//! things look on a terminal.

pub mod configuration;
pub mod groups;
pub mod style;
pub mod toml_doc;
