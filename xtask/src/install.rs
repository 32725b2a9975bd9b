//! What a machine may lack: installed with apt-get when this is root, named in one sentence when it is not.
//!
//! Never a reason to stop by itself: the demonstration has another way, tests report themselves as skipped, and under
//! CI they fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use phalanx_tests::{Browser, find_program};

/// A program and the Debian package that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The program, as it is called.
    pub program: &'static str,
    /// The package, as apt-get knows it.
    pub package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// What the fleet of ssh hosts needs.
pub const FLEET: &[Need] =
    &[need("sshd", "openssh-server"), need("ssh", "openssh-client"), need("ssh-keygen", "openssh-client")];

/// What the tests need: the fleet, and the peers that Phalanx works with or is compared to.
pub const TESTS: &[Need] = &[
    FLEET[0],
    FLEET[1],
    FLEET[2],
    need("taktuk", "taktuk"),
    need("nc.traditional", "netcat-traditional"),
    need("nc.openbsd", "netcat-openbsd"),
    need("ncat", "ncat"),
    need("socat", "socat"),
    need("ip", "iproute2"),
    need("tc", "iproute2"),
    need("setsid", "util-linux"),
    need("ps", "procps"),
    need("unshare", "util-linux"),
    need("busybox", "busybox-static"),
    // Login shells that a host may have.
    need("dash", "dash"),
    need("zsh", "zsh"),
    need("fish", "fish"),
    need("tcsh", "tcsh"),
    need("mksh", "mksh"),
    need("ksh", "ksh93u+m"),
    need("python3", "python3"),
    need(Browser::PROGRAM.0, Browser::PROGRAM.1),
];

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| find_program(need.program).is_none()).collect()
}

/// Installs what is missing of `needs` where that is possible. True when nothing is missing afterwards; otherwise a
/// sentence was said.
pub fn provide(needs: &[Need]) -> bool {
    let lacking = missing(needs);
    if lacking.is_empty() {
        return true;
    }
    let packages = packages(&lacking);
    if nix::unistd::geteuid().is_root() && find_program("apt-get").is_some() {
        eprintln!("Missing: {}. Installing {} …", programs(&lacking), packages.join(" "));
        apt_get(&packages);
    }
    let lacking = missing(needs);
    if !lacking.is_empty() {
        let packages = self::packages(&lacking).join(" ");
        eprintln!("Missing: {}. To install: sudo apt-get install {packages}", programs(&lacking));
    }
    lacking.is_empty()
}

fn programs(needs: &[Need]) -> String {
    needs.iter().map(|need| need.program).collect::<Vec<_>>().join(", ")
}

fn packages(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = needs.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Failures are not looked at: what counts is whether the programs are there afterwards.
fn apt_get(packages: &[&str]) {
    let _no_service = NoService::declare();
    for arguments in [vec!["update", "-qq"], [&["install", "-y", "-qq", "--no-install-recommends"], packages].concat()]
    {
        let mut apt_get = Command::new("apt-get");
        apt_get.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        let _ = apt_get.status();
    }
}

/// While it lives, installing openssh-server starts no server on port 22: a demonstration opens no door to the machine.
///
/// `/usr/sbin/policy-rc.d` is Debian's way of saying so (invoke-rc.d(8)): exit status 101 forbids the action. One that
/// is already there, as in most containers, is left alone.
struct NoService(Option<PathBuf>);

impl NoService {
    fn declare() -> NoService {
        let policy = Path::new("/usr/sbin/policy-rc.d");
        if policy.exists() {
            return NoService(None);
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let written = fs::write(policy, "#!/bin/sh\nexit 101\n").and_then(|()| fs::set_permissions(policy, mode));
        NoService(written.is_ok().then(|| policy.to_path_buf()))
    }
}

impl Drop for NoService {
    fn drop(&mut self) {
        if let Some(policy) = self.0.take() {
            let _ = fs::remove_file(policy);
        }
    }
}
