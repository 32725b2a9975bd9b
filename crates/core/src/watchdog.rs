//! Ends our children when this program is killed with SIGKILL.
//!
//! `PR_SET_PDEATHSIG` (see [`crate::spawn`]) ends the direct children of a killed controller; *their* children it does
//! not reach. So every child enters its process group, before it executes anything, into a registry that is a plain
//! file in memory: one line of fixed width per live group. A watchdog, a tiny shell in a session of its own, sleeps
//! on a pipe whose other end only we hold. When that pipe ends, for whatever reason, it kills every group that is
//! still in the registry. After an orderly end the registry is empty and it merely exits.
//!
//! ```text
//!  us ──── write end of a pipe ────▶ watchdog: sh, blocked in read
//!   │                                    │ end of file
//!   └─▶ registry (memfd) ◀── one line each, by the children    └─▶ kill -KILL -GROUP for every line
//! ```
//!
//! The roads not taken: a forked watcher would keep a copy of our memory alive; a watcher that polls our pid, as
//! execo's does, is late and fooled by reused pids; a helper binary would have to be installed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::child::Child;
use crate::pipe::Pipe;
use crate::signal::Signal;
use crate::spawn::{Command, Group, Spawner, Stdio};

/// The length of a line of the registry: ten digits and the newline.
pub const ENTRY_LENGTH: usize = 11;

/// A line without a group.
pub(crate) const EMPTY_ENTRY: [u8; ENTRY_LENGTH] = *b"          \n";

/// Reads its stdin to the end, then kills every group in the registry. That is given as its stdout, since a child has
/// just three descriptors; `<&1` reads the very file, from its start.
const SCRIPT: &str =
    r#"read -r _; while read -r group <&1; do [ -n "$group" ] && kill -s KILL -- "-$group" 2>/dev/null; done"#;

/// The registry and the process that watches over it.
#[derive(Debug)]
pub struct Watchdog {
    registry: OwnedFd,
    shell: Option<Child>,
    life: Option<OwnedFd>,
    free: Vec<u32>,
    entries: u32,
}

/// A child's line in the registry.
#[derive(Debug)]
pub struct Registration(u32);

impl Registration {
    /// Returns its offset in the registry.
    #[must_use]
    pub fn offset(&self) -> i64 {
        i64::from(self.0) * ENTRY_LENGTH as i64
    }
}

impl Watchdog {
    /// Starts the watchdog.
    ///
    /// # Errors
    /// When there is no `/bin/sh`, or no descriptor or process left for it.
    pub fn start(spawner: &mut Spawner) -> io::Result<Self> {
        let registry = memfd_create(c"phalanx-groups", MFdFlags::MFD_CLOEXEC)?;
        let pipe = Pipe::new()?;
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
        let arguments = [c"sh", c"-c"].map(CString::from).into_iter();
        let arguments: Vec<_> = arguments.chain(CString::new(SCRIPT)).chain([c"phalanx-watchdog".into()]).collect();
        let shell = spawner.spawn(&Command {
            program: c"/bin/sh",
            arguments: &arguments,
            environment: &[],
            env_tag: None,
            directory: Some(c"/"),
            terminal: None,
            stdio: [
                Stdio::Descriptor(pipe.reader.as_fd()),
                Stdio::Descriptor(registry.as_fd()),
                Stdio::Descriptor(null.as_fd()),
            ],
            group: Group::Session,
            survives_parent: true,
            registration: None,
        });
        let shell = shell.map_err(|failure| failure.error)?;
        Ok(Self { registry, shell: Some(shell), life: Some(pipe.writer), free: Vec::new(), entries: 0 })
    }

    /// Returns the registry, for [`Command::registration`].
    #[must_use]
    pub fn registry(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }

    /// Reserves a line for one child.
    ///
    /// # Errors
    /// When the registry cannot grow.
    pub fn reserve(&mut self) -> io::Result<Registration> {
        if let Some(number) = self.free.pop() {
            return Ok(Registration(number));
        }
        let entry = Registration(self.entries);
        self.erase(&entry)?;
        self.entries += 1;
        Ok(entry)
    }

    /// Gives the line back. Must come before the leader of the group is reaped: afterwards the number may be
    /// reused.
    pub fn release(&mut self, entry: Registration) {
        match self.erase(&entry) {
            Ok(()) => self.free.push(entry.0),
            Err(error) => {
                log::error!("cannot erase a line of the registry of process groups: {error}")
            }
        }
    }

    /// Closes the pipe, so that the watchdog acts as if this program had been killed.
    pub fn simulate_crash(&mut self) {
        self.life = None;
    }

    fn erase(&self, entry: &Registration) -> io::Result<()> {
        nix::sys::uio::pwrite(&self.registry, &EMPTY_ENTRY, entry.offset())?;
        Ok(())
    }
}

impl Drop for Watchdog {
    /// Ends the shell: the children are gone, and its task with them.
    fn drop(&mut self) {
        if let Some(shell) = self.shell.take() {
            let _ = shell.signal(Signal::KILL);
            let _ = shell.reap();
        }
    }
}
