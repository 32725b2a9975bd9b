//! The algebra of hosts.
