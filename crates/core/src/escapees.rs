//! Finds what a child started and what has left its process group.
//!
//! A group signal reaches whoever stayed in the group. A grandchild that made a session of its own (`setsid`, a job of
//! an interactive shell, a daemon) is out of its reach, and when its parent has ended nothing in the kernel's tables
//! leads from it to us. So every child carries a *mark* in its environment, which all that it starts inherits, and
//! whoever hunts reads `/proc/PID/environ`.
//!
//! What this finds: everything that still has the environment it was started with. What it does not: programs that
//! were started with an emptied environment (`env -i`, `sudo`), that overwrite theirs, or that belong to somebody else.
//!
//! The roads not taken: a child subreaper (`PR_SET_CHILD_SUBREAPER`) makes *every* orphan of this program ours, also
//! those of other libraries in it, and their pids would have to be reaped unseen; walking `/proc/PID/task/*/children`
//! loses whoever's parent has ended, which is what daemons do; a cgroup needs a delegated subtree.

use std::ffi::CString;
use std::fs;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::signal::Signal;

/// The name of the variable.
const NAME: &[u8] = b"PHALANX_PROCESS=";

/// The largest environment that is looked at: half of what Linux allows for all arguments by default.
const LARGEST: u64 = 1 << 20;

pub(crate) fn is_mark(variable: &[u8]) -> bool {
    variable.starts_with(NAME)
}

/// Makes the marks of one engine. Marks of different engines differ, whatever program they live in, and one engine
/// within a child of another keeps the other's.
#[derive(Debug, Clone)]
pub struct Marks {
    /// The variable up to the number of the process.
    prefix: Vec<u8>,
    /// Where in it our own part begins.
    own: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self::new()
    }
}

impl Marks {
    /// Marks that nobody else makes.
    #[must_use]
    pub fn new() -> Self {
        use std::hash::{BuildHasher as _, Hasher as _};
        // The standard library's own source of randomness; different at every call.
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let mut prefix = NAME.to_vec();
        if let Some(outer) = std::env::var_os("PHALANX_PROCESS") {
            prefix.extend_from_slice(outer.as_encoded_bytes());
            prefix.push(b':');
        }
        let own = prefix.len();
        prefix.extend_from_slice(format!("{random:016x}{:x}.", std::process::id()).as_bytes());
        Self { prefix, own }
    }

    /// The variable for the process with this number.
    #[must_use]
    pub fn of(&self, number: u64) -> CString {
        let mut variable = self.prefix.clone();
        variable.extend_from_slice(number.to_string().as_bytes());
        CString::new(variable).expect("an environment has no NUL within, and digits are none")
    }

    /// The number of the process that whoever has this environment descends from, if it is one of ours.
    fn number_in(&self, environment: &[u8]) -> Option<u64> {
        let variable = environment.split(|byte| *byte == 0).find(|variable| is_mark(variable))?;
        let parts = variable[NAME.len()..].split(|byte| *byte == b':');
        let number = parts.filter_map(|part| part.strip_prefix(&self.prefix[self.own..])).next()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

/// A process that carries a mark of ours.
#[derive(Debug)]
pub struct Escapee {
    /// The number in the mark.
    pub number: u64,
    /// Its process id.
    pub pid: u32,
    /// Its process group.
    pub group: u32,
    pidfd: OwnedFd,
}

impl Escapee {
    /// Sends it a signal. It may have ended meanwhile, which is no error, but it is never another process.
    #[expect(unsafe_code, reason = "no crate in use offers pidfd_send_signal")]
    pub fn signal(&self, signal: Signal) {
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: plain numbers and a null siginfo, which means "as kill(2) would fill it in".
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), signal.number(), info, 0) };
    }
}

/// Everybody who carries a mark of ours with a number that is wanted: one look at every process there is.
pub fn find(marks: &Marks, wanted: impl Fn(u64) -> bool) -> Vec<Escapee> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut environment = Vec::new();
    pids.filter_map(|pid| look_at(pid, marks, &wanted, &mut environment)).collect()
}

fn look_at(pid: u32, marks: &Marks, wanted: &impl Fn(u64) -> bool, environment: &mut Vec<u8>) -> Option<Escapee> {
    let mut number = || {
        read_environment(pid, environment)?;
        marks.number_in(environment).filter(|number| wanted(*number))
    };
    number()?;
    let pidfd = open(pid)?;
    // Once more: between the first look and the pidfd the pid may have become somebody else's.
    let number = number()?;
    let raw = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    let group = nix::unistd::getpgid(Some(raw)).ok()?.as_raw().unsigned_abs();
    Some(Escapee { number, pid, group, pidfd })
}

/// The environment as it was when the program was executed (proc(5)); `None` for those of others, and for the dead.
fn read_environment(pid: u32, environment: &mut Vec<u8>) -> Option<()> {
    environment.clear();
    let file = fs::File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(LARGEST).read_to_end(environment).ok()?;
    Some(())
}

#[expect(unsafe_code, reason = "no crate in use offers pidfd_open")]
fn open(pid: u32) -> Option<OwnedFd> {
    // SAFETY: two plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: a fresh descriptor, close-on-exec, that is ours alone.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_those_of_others_are_not() {
        let (ours, theirs) = (Marks::new(), Marks::new());
        let environment = |mark: &CString| [b"A=1\0", mark.as_bytes_with_nul(), b"B=2\0"].concat();
        assert_eq!(ours.number_in(&environment(&ours.of(17))), Some(17));
        assert_eq!(ours.number_in(&environment(&theirs.of(17))), None);
        assert_eq!(ours.number_in(b"A=1\0"), None);
    }

    #[test]
    fn an_engine_within_a_child_of_another_keeps_the_others_mark() {
        let (outer, inner) = (Marks::new(), Marks::new());
        let mut both = outer.of(3).into_bytes();
        both.push(b':');
        both.extend_from_slice(&inner.of(5).as_bytes()[inner.own..]);
        assert_eq!((outer.number_in(&both), inner.number_in(&both)), (Some(3), Some(5)));
    }
}
