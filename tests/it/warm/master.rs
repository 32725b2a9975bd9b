//! A master of OpenSSH, as a test needs one: on a server of the fleet, or on one with a configuration of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use phalanx_tests::{Fleet, find_program, wait_until};
use tempfile::TempDir;

/// A running `ssh -M -N`, which ends with this value.
pub(super) struct Master {
    directory: TempDir,
    ssh: Child,
}

impl Master {
    /// Starts a master of `node1`.
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self::start(fleet, &[])
    }

    /// Starts a master of a server of its own, which is given these options before those of the fleet.
    pub(super) fn of_server_with(fleet: &Fleet, options: &[&str]) -> Self {
        let sshd = find_program("sshd").expect("the fleet has one");
        let config = fleet.directory().join("sshd_config");
        let options: String = options.iter().map(|option| format!(" -o {option}")).collect();
        // In sshd's `-i` mode the connection is its stdin and stdout: no port is needed.
        let proxy = format!("ProxyCommand={} -i -f {}{options}", sshd.display(), config.display());
        Self::start(fleet, &["-o", &proxy])
    }

    #[expect(clippy::disallowed_methods, reason = "what is tested here is OpenSSH, not our spawn")]
    fn start(fleet: &Fleet, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mut ssh = fleet.ssh_command();
        ssh.args(options).arg("-S").arg(directory.path().join("socket"));
        ssh.args(["-M", "-N", "-o", "BatchMode=yes", "node1"]);
        let ssh = ssh.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("ssh is there, the fleet was started");
        let mut master = Self { directory, ssh };
        wait_until("the master listens", || {
            assert!(matches!(master.ssh.try_wait(), Ok(None)), "the master ended: {}", fleet.log());
            master.socket().exists()
        });
        master
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn pid(&self) -> u32 {
        self.ssh.id()
    }

    pub(super) fn kill(&mut self) {
        self.ssh.kill().expect("it is ours");
        self.ssh.wait().expect("it is ours");
    }

    /// Returns the exit status, once it has ended.
    pub(super) fn status(&mut self) -> Option<i32> {
        self.ssh.try_wait().expect("it is ours").and_then(|status| status.code())
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}
