//! The limit on open descriptors: raised for this program, restored in children.
//!
//! A thousand children need some three thousand descriptors, and the usual soft limit is 1024. So the soft limit is
//! raised to the hard one, once per program. Children get the old one back (see [`crate::spawn`]): programs built on
//! `select(2)` break above 1024, others close every number up to the limit at their start.

use std::io;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The limit on open descriptors as we found it and as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// The soft limit this program was started with, and that children get.
    pub original: u64,
    /// The hard limit.
    pub hard: u64,
    /// The soft limit in force for this program.
    pub current: u64,
}

/// Raises the soft limit to the hard one the first time it is called; later calls return the same result.
///
/// # Errors
/// When the limits cannot even be read.
pub fn raise_descriptor_limit() -> io::Result<DescriptorLimit> {
    static RAISED: OnceLock<DescriptorLimit> = OnceLock::new();
    if let Some(limit) = RAISED.get() {
        return Ok(*limit);
    }
    let (original, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let current = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            log::warn!("cannot raise the limit on open files from {original} to {hard}: {error}");
            original
        }
    };
    Ok(*RAISED.get_or_init(|| DescriptorLimit { original, hard, current }))
}

/// Returns the number of descriptors that this process has open, where the system tells.
#[must_use]
pub fn open_descriptors() -> Option<usize> {
    // The directory is itself open while it is read.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}
