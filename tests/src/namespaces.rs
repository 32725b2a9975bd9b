//! Hosts that have addresses of their own, on one machine: network namespaces, joined by a bridge.
//!
//! ```text
//!  namespace "here"                 10.77.0.254 ─┐
//!  namespace of host 1  10.77.0.1 ── veth ───────┤ bridge, in "here"
//!  namespace of host 2  10.77.0.2 ── veth ───────┘
//! ```
//!
//! Nothing is made in the machine's own network: the program under test runs in "here", too. So no address can be in
//! somebody's way, and whatever is left goes with the namespaces. Their names hold the id of the test's process; those of
//! tests that were killed are swept away by the next one.
//!
//! A command runs on a host by a *connector*, a script that takes the place of ssh. Like a real ssh it hands on stdin,
//! stdout, stderr and the exit status, and nothing else: what runs at the far end is in a session and an environment of
//! its own, and learns of the end of the connection by the end of its stdin.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::skip::{require_program, skip};

/// Some hosts, numbered from 1. Dropping them kills all that runs on them.
#[derive(Debug)]
pub struct Namespaces {
    ip: PathBuf,
    prefix: String,
    count: usize,
    directory: TempDir,
}

impl Namespaces {
    /// So many hosts, at most 200, or a test reported as skipped: this takes root, and `ip`.
    ///
    /// # Panics
    /// When they cannot be made although this is root; and under `CI=true` whenever there can be none.
    pub fn start(count: usize) -> Option<Namespaces> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let ip = require_program("ip", "iproute2")?;
        if !nix::unistd::geteuid().is_root() {
            skip("only root can make network namespaces");
            return None;
        }
        sweep(&ip);
        let prefix = format!("phalanx-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::tempdir().expect("a directory can be made");
        let namespaces = Namespaces { ip, prefix, count, directory };
        namespaces.build();
        Some(namespaces)
    }

    fn build(&self) {
        let here = self.name(0);
        self.ip(&["netns", "add", &here]);
        self.ip(&["-n", &here, "link", "add", "bridge", "type", "bridge"]);
        self.ip(&["-n", &here, "addr", "add", "10.77.0.254/24", "dev", "bridge"]);
        for device in ["lo", "bridge"] {
            self.ip(&["-n", &here, "link", "set", device, "up"]);
        }
        for host in 1..=self.count {
            let (name, end) = (self.name(host), format!("host{host}"));
            self.ip(&["netns", "add", &name]);
            self.ip(&["-n", &here, "link", "add", &end, "type", "veth", "peer", "name", "net", "netns", &name]);
            self.ip(&["-n", &here, "link", "set", &end, "master", "bridge", "up"]);
            self.ip(&["-n", &name, "addr", "add", &format!("{}/24", self.address(host)), "dev", "net"]);
            for device in ["lo", "net"] {
                self.ip(&["-n", &name, "link", "set", device, "up"]);
            }
            fs::create_dir(self.home(host)).expect("it is in a new directory");
        }
        let connector = include_str!("namespaces/connector.sh");
        let facts = format!("ip={}\nprefix={}\nhosts={}\n", self.ip.display(), self.prefix, self.path().display());
        let script = connector.replacen("# FACTS\n", &facts, 1);
        fs::write(self.connector(), script).expect("it is in a new directory");
        fs::set_permissions(self.connector(), Permissions::from_mode(0o755)).expect("it is ours");
    }

    #[track_caller]
    fn ip(&self, arguments: &[&str]) {
        let output = Command::new(&self.ip).args(arguments).output().expect("ip can be started");
        assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The namespace of a host; of this side of the bridge, for 0.
    pub fn name(&self, host: usize) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// The private directory; it is removed at the end.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> String {
        format!("10.77.0.{host}")
    }

    /// The node set of all hosts.
    pub fn hosts(&self) -> String {
        format!("10.77.0.[1-{}]", self.count)
    }

    /// The home directory of a host, in which its commands begin.
    pub fn home(&self, host: usize) -> PathBuf {
        self.path().join(self.address(host))
    }

    /// The program that takes the place of ssh, for `--ssh`.
    pub fn connector(&self) -> PathBuf {
        self.path().join("connector")
    }

    /// Before each command on a host, its shell does this: `exit 255`, `PATH=/nowhere`, `mount …`.
    pub fn prepare(&self, host: usize, script: &str) {
        fs::write(self.path().join(format!("{}.sh", self.address(host))), script).expect("it is ours");
    }

    /// A program on this side of the bridge.
    pub fn here(&self, program: impl AsRef<Path>) -> Command {
        self.within(0, program)
    }

    /// A program on a host.
    pub fn on(&self, host: usize, program: impl AsRef<Path>) -> Command {
        let mut command = self.within(host, program);
        command.current_dir(self.home(host));
        command
    }

    fn within(&self, host: usize, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", &self.name(host)]).arg(program.as_ref());
        command
    }

    /// Lets no more than so many megabits per second out of each host, and of here.
    pub fn limit(&self, megabits: u32) {
        let rate = format!("{megabits}mbit");
        let shape = |namespace: &str, device: &str| {
            let arguments = ["netns", "exec", namespace, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate"];
            self.ip(&[&arguments[..], &[&rate, "burst", "256k", "latency", "50ms"]].concat());
        };
        (1..=self.count).for_each(|host| shape(&self.name(host), "net"));
        // What leaves here for a host goes through the bridge's end of its cable; what hosts send each other does, too.
        (1..=self.count).for_each(|host| shape(&self.name(0), &format!("host{host}")));
    }

    /// The processes that run on a host.
    pub fn processes(&self, host: usize) -> Vec<u32> {
        pids(&self.ip, &self.name(host))
    }

    /// The words of the command line of a process, as long as it lives.
    pub fn words(pid: u32) -> Vec<String> {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        (0..=self.count).rev().for_each(|host| remove(&self.ip, &self.name(host)));
    }
}

fn pids(ip: &Path, namespace: &str) -> Vec<u32> {
    let output = Command::new(ip).args(["netns", "pids", namespace]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn remove(ip: &Path, namespace: &str) {
    use nix::sys::signal::{Signal, kill};
    for pid in pids(ip, namespace) {
        let pid = nix::unistd::Pid::from_raw(pid.try_into().expect("process ids are small"));
        // It may have ended by itself.
        let _ = kill(pid, Signal::SIGKILL);
    }
    // Nobody looks at the result: the next test sweeps what is left.
    let _ = Command::new(ip).args(["netns", "del", namespace]).output();
}

/// Removes what tests left that were killed: namespaces whose name has the id of a process that is gone.
fn sweep(ip: &Path) {
    let entries: io::Result<Vec<_>> = fs::read_dir("/run/netns").and_then(Iterator::collect);
    for name in entries.unwrap_or_default().iter().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix("phalanx-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(ip, &name);
        }
    }
}
