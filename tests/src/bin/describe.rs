//! Says how it was started, one `name=value` per line: what a spawn got right or wrong.
//!
//! ```text
//! pid, ppid, pgid, sid          numbers; a group leader has pgid = pid, a session leader sid = pid
//! argument                      one line for each
//! directory                     where it runs
//! descriptors                   the numbers of all open ones, comma separated; a leaked one shows here
//! tty                           the name of the terminal behind stdin, or "none"
//! blocked, ignored              signal masks in hexadecimal, as in /proc/self/status
//! nofile                        the soft and the hard limit of open files
//! environment NAME              one line for each variable
//! ```

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{getpgrp, getpid, getppid, getsid};

fn main() -> io::Result<()> {
    // Before anything here opens a descriptor of its own.
    let descriptors = open_descriptors();
    let mut text = String::new();
    let session = getsid(None).map_err(io::Error::from)?;
    let _ = writeln!(text, "pid={}\nppid={}\npgid={}\nsid={session}", getpid(), getppid(), getpgrp());
    for argument in std::env::args().skip(1) {
        let _ = writeln!(text, "argument={argument}");
    }
    let _ = writeln!(text, "directory={}", std::env::current_dir()?.display());
    let _ = writeln!(text, "descriptors={descriptors}");
    let tty = nix::unistd::ttyname(io::stdin()).map_or("none".to_owned(), |path| path.display().to_string());
    let _ = writeln!(text, "tty={tty}");
    let status = fs::read_to_string("/proc/self/status")?;
    for (name, field) in [("blocked", "SigBlk:"), ("ignored", "SigIgn:")] {
        let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("unknown");
        let _ = writeln!(text, "{name}={}", value.trim());
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(io::Error::from)?;
    let _ = writeln!(text, "nofile={soft} {hard}");
    for (name, value) in std::env::vars_os() {
        let _ = writeln!(text, "environment {}={}", name.display(), value.display());
    }
    io::stdout().write_all(text.as_bytes())
}

/// The listing's own descriptor is closed by the time it is looked up again, and so left out.
fn open_descriptors() -> String {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut numbers: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.retain(|number| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok());
    numbers.sort_unstable();
    numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
