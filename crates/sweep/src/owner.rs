//! Identifies the process that has taken a combination, and judges whether it still lives.
//!
//! A pid alone says too little: it is used again, and means something else on another machine. An owner is judged only
//! by a process that sees the same kernel (the same boot) and the same pids (the same namespace). It is dead when
//!
//! 1. no process has its pid: `kill(pid, 0)` says ESRCH. (That `/proc/PID` is missing does not say so: `hidepid` hides
//!    the processes of other users.)
//! 2. or the process with its pid is a zombie, or began at another time (proc_pid_stat(5), fields 3 and 22).
//!
//! In doubt it lives: doing something twice is worse than having to ask for a reset. That holds for owners on other
//! machines, before a reboot (clones too often share names and machine ids), in other containers, and where there is
//! no `/proc`.

use std::fmt;
use std::fs;

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::Pid;
use serde_json::{Value as Json, json};

/// A process that has taken a combination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The name of its machine, for people.
    pub host: String,
    /// The boot of the kernel it runs on: `/proc/sys/kernel/random/boot_id`.
    boot: Option<String>,
    /// Its pid namespace: `/proc/self/ns/pid`.
    namespace: Option<String>,
    /// Its pid.
    pub pid: u32,
    /// When it began, in clock ticks since the boot.
    start: Option<u64>,
}

impl Owner {
    /// Identifies this process.
    pub(super) fn this_process() -> Self {
        let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let namespace = fs::read_link("/proc/self/ns/pid").ok();
        let pid = std::process::id();
        Owner {
            host,
            boot: boot.map(|boot| boot.trim().to_owned()),
            namespace: namespace.map(|link| link.to_string_lossy().into_owned()),
            pid,
            start: stat(pid).map(|(_, start)| start),
        }
    }

    /// Reports whether `self`, which is this process, knows for certain that `other` has ended.
    pub(super) fn sees_dead(&self, other: &Owner) -> bool {
        let same_pids = self.boot.is_some()
            && self.namespace.is_some()
            && (&self.boot, &self.namespace) == (&other.boot, &other.namespace);
        same_pids && other.has_ended()
    }

    fn has_ended(&self) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().filter(|pid| *pid > 0) else {
            return false; // No pid at all: kill would signal whole groups.
        };
        if signal::kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
            return true;
        }
        match (stat(self.pid), self.start) {
            (Some((state, start)), Some(own)) => matches!(state, 'Z' | 'X') || start != own,
            (Some((state, _)), None) => matches!(state, 'Z' | 'X'),
            (None, _) => false,
        }
    }

    pub(super) fn to_json(&self) -> Json {
        json!({
            "host": self.host, "boot": self.boot, "namespace": self.namespace, "pid": self.pid, "start": self.start,
        })
    }

    pub(super) fn from_json(json: &Json) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let number = |name: &str| json.get(name).and_then(Json::as_u64);
        Some(Owner {
            host: text("host").unwrap_or_default(),
            boot: text("boot"),
            namespace: text("namespace"),
            pid: u32::try_from(number("pid")?).ok()?,
            start: number("start"),
        })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} on {}", self.pid, self.host)
    }
}

/// Reads the state and start time of a process from `/proc/PID/stat`.
fn stat(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name of the program in parentheses, and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let start = fields.nth(22 - 4)?.parse().ok()?;
    Some((state, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives() {
        let own = Owner::this_process();
        assert!(!own.sees_dead(&own));
        assert_eq!(Owner::from_json(&own.to_json()).as_ref(), Some(&own));
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let own = Owner::this_process();
        assert!(own.sees_dead(&Owner { start: own.start.map(|start| start - 1), ..own.clone() }));
    }

    #[test]
    fn a_pid_without_a_process_is_dead() {
        // Above the largest value of /proc/sys/kernel/pid_max.
        let own = Owner::this_process();
        assert!(own.sees_dead(&Owner { pid: 1 << 30, ..own.clone() }));
    }

    #[test]
    fn owners_elsewhere_are_not_judged() {
        let own = Owner::this_process();
        let ended = Owner { pid: 1 << 30, ..own.clone() };
        assert!(!own.sees_dead(&Owner { boot: Some("another".into()), ..ended.clone() }));
        assert!(!own.sees_dead(&Owner { namespace: Some("pid:[1]".into()), ..ended.clone() }));
        assert!(!own.sees_dead(&Owner { boot: None, ..ended.clone() }));
        assert!(!own.sees_dead(&Owner { pid: 0, ..own.clone() }));
        assert!(!own.sees_dead(&Owner { pid: u32::MAX, ..own.clone() }));
        let blind = Owner { boot: None, ..own.clone() };
        assert!(!blind.sees_dead(&Owner { boot: None, ..ended }));
    }
}
