//! Finds the descendants of a child that have left its process group.
//!
//! A group signal reaches the processes that stayed in the group. A grandchild that made a session of its own (`setsid`,
//! a job of an interactive shell, a daemon) is out of its reach, and when its parent has ended nothing in the kernel's
//! tables leads from it to us. So every child carries a *tag* in its environment, which all its descendants inherit, and
//! [`find`] reads `/proc/PID/environ`.
//!
//! What this finds: everything that still has the environment it was started with. What it does not: programs that
//! were started with an emptied environment (`env -i`, `sudo`), that overwrite theirs, or that belong to another user.
//!
//! The roads not taken: a child subreaper (`PR_SET_CHILD_SUBREAPER`) makes *every* orphan of this program ours, including
//! those of other libraries in it, whose pids would then have to be reaped here; walking `/proc/PID/task/*/children`
//! loses every process whose parent has ended, which is what daemons do; a cgroup needs a delegated subtree.

use std::ffi::CString;
use std::fs;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::signal::Signal;

/// The name of the variable, with its equals sign.
const NAME: &[u8] = b"PHALANX_PROCESS=";

/// The largest environment that is read: half of what Linux allows for all arguments by default.
const LARGEST: u64 = 1 << 20;

pub(crate) fn is_env_tag(variable: &[u8]) -> bool {
    variable.starts_with(NAME)
}

/// Makes the tags of one engine. Tags of different engines differ, in one program or in several, and an engine in a
/// child of another keeps the outer tag.
#[derive(Debug, Clone)]
pub struct EnvTags {
    /// The variable up to the number of the process.
    prefix: Vec<u8>,
    /// The offset at which our own part begins in it.
    own: usize,
}

impl Default for EnvTags {
    fn default() -> Self {
        Self::new()
    }
}

impl EnvTags {
    /// Makes tags that no other engine makes.
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

    /// Returns the variable for the process with this number.
    #[must_use]
    pub fn of(&self, number: u64) -> CString {
        let mut variable = self.prefix.clone();
        variable.extend_from_slice(number.to_string().as_bytes());
        CString::new(variable).expect("an environment has no NUL within, and digits are none")
    }

    /// Returns the number of our child from which a process with this environment descends, if it does.
    fn number_in(&self, environment: &[u8]) -> Option<u64> {
        let variable = environment.split(|byte| *byte == 0).find(|variable| is_env_tag(variable))?;
        let parts = variable[NAME.len()..].split(|byte| *byte == b':');
        let number = parts.filter_map(|part| part.strip_prefix(&self.prefix[self.own..])).next()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

/// A process that carries one of our tags.
#[derive(Debug)]
pub struct Descendant {
    /// The number in the tag.
    pub number: u64,
    /// Its process id.
    pub pid: u32,
    /// Its process group.
    pub group: u32,
    pidfd: OwnedFd,
}

impl Descendant {
    /// Sends it a signal. It may have ended meanwhile, which is no error, but it is never another process.
    #[expect(unsafe_code, reason = "no crate in use offers pidfd_send_signal")]
    pub fn signal(&self, signal: Signal) {
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: plain numbers and a null siginfo, which means "as kill(2) would fill it in".
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), signal.number(), info, 0) };
    }
}

/// Returns every process that carries one of our tags with a wanted number; reads every process of the machine once.
pub fn find(tags: &EnvTags, wanted: impl Fn(u64) -> bool) -> Vec<Descendant> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut environment = Vec::new();
    pids.filter_map(|pid| look_at(pid, tags, &wanted, &mut environment)).collect()
}

fn look_at(pid: u32, tags: &EnvTags, wanted: &impl Fn(u64) -> bool, environment: &mut Vec<u8>) -> Option<Descendant> {
    let mut number = || {
        read_environment(pid, environment)?;
        tags.number_in(environment).filter(|number| wanted(*number))
    };
    number()?;
    let pidfd = open(pid)?;
    // Once more: between the first look and the pidfd the pid may have been reused.
    let number = number()?;
    let raw = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    let group = nix::unistd::getpgid(Some(raw)).ok()?.as_raw().unsigned_abs();
    Some(Descendant { number, pid, group, pidfd })
}

/// Returns the environment as it was when the program was executed (proc(5)); `None` for processes of other
/// users, and for dead ones.
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
    fn a_tag_is_read_back_and_those_of_other_engines_are_not() {
        let (ours, theirs) = (EnvTags::new(), EnvTags::new());
        let environment = |env_tag: &CString| [b"A=1\0", env_tag.as_bytes_with_nul(), b"B=2\0"].concat();
        assert_eq!(ours.number_in(&environment(&ours.of(17))), Some(17));
        assert_eq!(ours.number_in(&environment(&theirs.of(17))), None);
        assert_eq!(ours.number_in(b"A=1\0"), None);
    }

    #[test]
    fn an_engine_within_a_child_of_another_keeps_the_outer_tag() {
        let (outer, inner) = (EnvTags::new(), EnvTags::new());
        let mut both = outer.of(3).into_bytes();
        both.push(b':');
        both.extend_from_slice(&inner.of(5).as_bytes()[inner.own..]);
        assert_eq!((outer.number_in(&both), inner.number_in(&both)), (Some(3), Some(5)));
    }
}
