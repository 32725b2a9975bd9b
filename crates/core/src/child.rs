//! Signals and reaps exactly the child that was meant.
//!
//! Process ids are reused (32,768 of them by default), so nothing is ever sent to an id that may have been
//! reused: a process is signalled through its pidfd, or by its id while it is *unreaped*, and a process
//! group only while its leader is unreaped. For that reason looking at the exit ([`Child::peek`]) and reaping
//! ([`Child::reap`]) are two calls: between them the id, and with it the group, still belongs to us.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

pub use phalanx_proto::ExitStatus;

use crate::signal::Signal;

/// A started child that has not been reaped yet.
///
/// Dropping it leaves the process alone: the code that starts children reaps them.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    pidfd: Option<OwnedFd>,
}

impl Child {
    pub(crate) fn new(pid: i32, pidfd: Option<OwnedFd>) -> Self {
        Self { pid, pidfd }
    }

    /// Returns its process id, which is also its process group unless it was started in ours.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Returns a descriptor that becomes readable when the process has ended; `None` when it was started to be watched
    /// by SIGCHLD.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Returns how it ended, if it did, without reaping it.
    ///
    /// # Errors
    /// What `waitid(2)` says, except that a child reaped by other code is [`ExitStatus::Lost`].
    pub fn peek(&self) -> io::Result<Option<ExitStatus>> {
        self.wait(libc::WNOHANG | libc::WNOWAIT)
    }

    /// Reaps it and gives its id back to the system. It must have ended, or this waits until it has.
    ///
    /// # Errors
    /// As [`Child::peek`].
    pub fn reap(self) -> io::Result<ExitStatus> {
        Ok(self.wait(0)?.expect("a wait without WNOHANG returns a status"))
    }

    fn wait(&self, flags: i32) -> io::Result<Option<ExitStatus>> {
        let (kind, id) = match &self.pidfd {
            Some(fd) => (libc::P_PIDFD, fd.as_raw_fd().unsigned_abs()),
            None => (libc::P_PID, self.pid()),
        };
        loop {
            match wait_id(kind, id, libc::WEXITED | flags) {
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                    return Ok(Some(ExitStatus::Lost));
                }
                other => return other,
            }
        }
    }

    /// Sends `signal` to this process alone.
    ///
    /// # Errors
    /// `EPERM` when it changed to another user. A process that has ended already is not an error.
    #[expect(unsafe_code, reason = "no crate in use offers pidfd_send_signal")]
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let result = match &self.pidfd {
            // SAFETY: plain numbers and a null siginfo, which means "as kill(2) would fill it in".
            Some(fd) => unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    fd.as_raw_fd(),
                    signal.number(),
                    std::ptr::null::<libc::siginfo_t>(),
                    0,
                )
            },
            // SAFETY: `self` is unreaped, so the id is still that of our child.
            None => unsafe { libc::c_long::from(libc::kill(self.pid, signal.number())) },
        };
        forgive_ended(result)
    }

    /// Sends `signal` to its whole process group. Only for children that lead a group of their own.
    ///
    /// # Errors
    /// `EPERM` when no member may be signalled. A group that is gone already is not an error.
    #[expect(unsafe_code, reason = "one kill for real-time signals too, which nix's enum lacks")]
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: the leader is unreaped, so the number still names our group.
        forgive_ended(unsafe { libc::c_long::from(libc::kill(-self.pid, signal.number())) })
    }
}

fn forgive_ended(result: libc::c_long) -> io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

/// Returns `waitid(2)`, with the status decoded.
///
/// nix decodes into its `Signal` enum and so fails for a child that died of a real-time signal.
#[expect(unsafe_code, reason = "the reason is above")]
fn wait_id(kind: libc::idtype_t, id: u32, flags: i32) -> io::Result<Option<ExitStatus>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is a valid place for one siginfo_t.
    if unsafe { libc::waitid(kind, id, info.as_mut_ptr(), flags) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeroes is a valid siginfo_t, and waitid has filled it in or left it so.
    let info = unsafe { info.assume_init() };
    // SAFETY: after waitid, the siginfo is of the SIGCHLD kind, which has a pid.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above, and a status.
    let status = unsafe { info.si_status() };
    if pid == 0 {
        return Ok(None); // WNOHANG, and it still runs
    }
    Ok(Some(match info.si_code {
        libc::CLD_EXITED => ExitStatus::Exited(status),
        code => ExitStatus::Signaled {
            signal: Signal::from_number(status).expect("the kernel reports signals it has"),
            core_dumped: code == libc::CLD_DUMPED,
        },
    }))
}
