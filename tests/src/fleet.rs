//! A private OpenSSH server on 127.0.0.1 whose every name `node*` is a host: real ssh, nothing of the user's touched.
//!
//! ```text
//!  test ──pipe, held and never written──▶ guardian ──ends──▶ sshd ─▶ sessions ─▶ their children
//! ```
//!
//! Keys, configurations, known hosts and the log are in one private directory. The guardian (`fleet/guardian.sh`) waits
//! for the end of the pipe, which the kernel closes however the test ends, SIGKILL included; then it ends everything
//! and removes the directory. A `Drop` alone would not do: it does not run when a test is killed, nor for a fleet kept
//! in a `static`.
//!
//! Deliberately knows nothing of Phalanx: `ssh -F CONFIG node7 COMMAND` works by hand.

mod config;
mod missing;

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

pub use self::missing::Missing;
use crate::programs::find_program;
use crate::skip::skip;
use crate::wait::wait_until;

/// A running private sshd, and the names that lead to it.
///
/// | name | what is there |
/// |---|---|
/// | `node*` | a host where everything works; all of them are this machine, and this user |
/// | `refused*` | nobody listens: connection refused |
/// | `unresolved*` | a name below `.invalid`, which never resolves (RFC 6761) |
/// | `silent*` | a connection that is accepted and never answered: a connect timeout |
/// | `denied*` | a server that does not know the key: permission denied |
/// | `changed*` | a host key other than the known one: host key verification failed |
///
/// Dropping it ends the server, its sessions and everything they started.
///
/// ```no_run
/// let fleet = phalanx_tests::Fleet::start()?;
/// assert!(fleet.ssh_command().args(["node7", "true"]).status().unwrap().success());
/// # Ok::<(), phalanx_tests::Missing>(())
/// ```
#[derive(Debug)]
pub struct Fleet {
    directory: PathBuf,
    marker: String,
    sshd: Child,
    // Accepts connections in the kernel's queue and never looks at them.
    _silent: TcpListener,
}

/// The fleet of this test process, started at its first use; or a test reported as skipped.
///
/// `let Some(fleet) = shared_fleet() else { return };`
///
/// # Panics
/// Under `CI=true` when there can be no fleet.
pub fn shared_fleet() -> Option<&'static Fleet> {
    static FLEET: OnceLock<Result<Fleet, Missing>> = OnceLock::new();
    match FLEET.get_or_init(Fleet::start) {
        Ok(fleet) => Some(fleet),
        Err(missing) => {
            skip(format_args!("no fleet of ssh hosts: {missing}"));
            None
        }
    }
}

impl Fleet {
    /// Starts the server and makes sure that a command runs on `node0`.
    ///
    /// # Errors
    /// When a program is missing, or OpenSSH refuses; the message says which and why.
    pub fn start() -> Result<Fleet, Missing> {
        // Between the choice of a free port and sshd's use of it, somebody else may take it: choose again, a few times.
        let programs = Programs::find()?;
        let again = |tried: &Result<Fleet, Missing>| matches!(tried, Err(Missing::Refused { output, .. }) if output.contains("Address already in use"));
        let mut tries = (0..5).map(|_| Fleet::try_start(&programs)).skip_while(again);
        let fleet = tries.next().unwrap_or_else(|| Fleet::try_start(&programs))?;
        fleet.first_login()?;
        Ok(fleet)
    }

    fn try_start(programs: &Programs) -> Result<Fleet, Missing> {
        let user = user_name()?;
        let temporary = private_directory()?;
        let directory = temporary.path();
        write_keys(programs, directory)?;
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(setup("listen on", "127.0.0.1"))?;
        let marker = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let facts = config::Facts {
            directory,
            user: &user,
            port: free_port()?,
            refused_port: unused_port(),
            silent_port: silent.local_addr().map_err(setup("ask for the port of", "127.0.0.1"))?.port(),
            marker: &marker,
            knows_penalties: programs.knows_penalties(directory),
            account_is_locked: account_is_locked(&user),
        };
        write(&directory.join("sshd_config"), &config::sshd_config(&facts))?;
        write(&directory.join("ssh_config"), &config::ssh_config(&facts))?;
        let mut sshd = programs.launch(directory, &marker)?;
        if !listens(&mut sshd, facts.port) {
            let output = fs::read_to_string(directory.join("log")).unwrap_or_default();
            end(&mut sshd);
            return Err(Missing::Refused { what: "sshd does not start; it says:".into(), output });
        }
        // The guardian removes the directory.
        Ok(Fleet { directory: temporary.keep(), marker, sshd, _silent: silent })
    }

    /// The `ssh_config` that maps the names: for `ssh -F` and `phalanx run -F`.
    pub fn ssh_config(&self) -> PathBuf {
        self.directory.join("ssh_config")
    }

    /// `ssh -F CONFIG`, to be completed with a host and a command.
    pub fn ssh_command(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.ssh_config());
        ssh
    }

    /// A node set of `count` hosts: `node[1-count]`.
    pub fn hosts(&self, count: usize) -> String {
        format!("node[1-{count}]")
    }

    /// What the server wrote so far: connections, logins, commands' ends.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// How many connections have logged in so far, which tells cold from warm.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// The private directory, for sockets and files of a test; it is removed with the fleet.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The processes that sessions of this fleet started and that still live, whatever became of their sessions.
    ///
    /// They are recognised by a variable that the server puts into their environment.
    pub fn survivors(&self) -> Vec<u32> {
        let wanted = format!("PHALANX_FLEET={}", self.marker);
        let marked = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        all_processes().filter(marked).collect()
    }

    fn first_login(&self) -> Result<(), Missing> {
        let mut ssh = self.ssh_command();
        ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "node0", "true"]).stdin(Stdio::null());
        let output = ssh.output().map_err(setup("run", "ssh"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Err(Missing::Refused {
            what: "sshd runs on 127.0.0.1, and yet nobody can log in; ssh and the server's log say:".into(),
            output: said + &self.log(),
        })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        end(&mut self.sshd);
    }
}

/// Closes the guardian's pipe and waits until it says, by closing its own, that nothing is left.
fn end(sshd: &mut Child) {
    drop(sshd.stdin.take());
    if let Some(mut guardian) = sshd.stdout.take() {
        let _ = guardian.read_to_end(&mut Vec::new());
    }
    let _ = sshd.wait();
}

/// The programs of OpenSSH, by absolute path: sshd executes itself again for every connection and insists on one.
struct Programs {
    sshd: PathBuf,
    ssh_keygen: PathBuf,
}

impl Programs {
    fn find() -> Result<Programs, Missing> {
        let find = |program, package| find_program(program).ok_or(Missing::Program { program, package });
        let (sshd, ssh_keygen) = (find("sshd", "openssh-server")?, find("ssh-keygen", "openssh-client")?);
        find("ssh", "openssh-client")?;
        Ok(Programs { sshd, ssh_keygen })
    }

    /// `-t` checks a configuration; an unknown option is named and refused.
    fn knows_penalties(&self, directory: &Path) -> bool {
        let mut check = Command::new(&self.sshd);
        check.args(["-t", "-f", "/dev/null", "-o", "PerSourcePenalties=no", "-h"]).arg(directory.join("host_key"));
        check.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
    }

    fn generate_key(&self, path: &Path) -> Result<String, Missing> {
        let mut keygen = Command::new(&self.ssh_keygen);
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "phalanx-fleet", "-f"]).arg(path).stdin(Stdio::null());
        let output = keygen.output().map_err(setup("run", &self.ssh_keygen))?;
        if !output.status.success() {
            let what = format!("ssh-keygen makes no key {}; it says:", path.display());
            return Err(Missing::Refused { what, output: String::from_utf8_lossy(&output.stderr).into_owned() });
        }
        let public = path.with_extension("pub");
        fs::read_to_string(&public).map(|key| key.trim().to_owned()).map_err(setup("read", &public))
    }

    /// Starts sshd under its guardian, in a process group of its own so that Ctrl-C at a terminal does not reach them.
    #[expect(clippy::disallowed_methods, reason = "support for tests must not depend on the spawn that is under test")]
    fn launch(&self, directory: &Path, marker: &str) -> Result<Child, Missing> {
        if nix::unistd::geteuid().is_root() {
            // Where Debian's sshd imprisons its unprivileged half. Its service makes it; in a container nobody did.
            fs::create_dir_all("/run/sshd").map_err(setup("create", "/run/sshd"))?;
        }
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", include_str!("fleet/guardian.sh"), "phalanx-fleet-guardian"]).arg(&self.sshd);
        shell.arg(directory.join("sshd_config")).arg(directory.join("log")).arg(marker).arg(directory);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).current_dir("/");
        shell.spawn().map_err(setup("start", "/bin/sh"))
    }
}

/// True when the server answers; false when it ended instead, and then its guardian is gone too.
fn listens(sshd: &mut Child, port: u16) -> bool {
    let mut ended = false;
    wait_until("sshd listens or ends", || {
        ended = sshd.try_wait().is_ok_and(|status| status.is_some());
        ended || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    !ended
}

fn write_keys(programs: &Programs, directory: &Path) -> Result<(), Missing> {
    let host = programs.generate_key(&directory.join("host_key"))?;
    let user = programs.generate_key(&directory.join("user_key"))?;
    let other = programs.generate_key(&directory.join("other_key"))?;
    write(&directory.join("authorized_keys"), &user)?;
    write(&directory.join("known_hosts"), &config::known_hosts(&host, &other))
}

fn write(path: &Path, text: &str) -> Result<(), Missing> {
    fs::write(path, text).map_err(setup("write", path))
}

fn private_directory() -> Result<TempDir, Missing> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("phalanx-fleet-").permissions(Permissions::from_mode(0o700));
    builder.tempdir().map_err(setup("make a directory in", std::env::temp_dir()))
}

fn setup(attempt: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Missing {
    let path = path.as_ref().to_path_buf();
    move |source| Missing::Setup { attempt, path, source }
}

fn user_name() -> Result<String, Missing> {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map(|user| user.name).ok_or(Missing::User { uid: uid.as_raw() })
}

/// Only root can look, and only root's sshd does.
fn account_is_locked(user: &str) -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    shadow.lines().filter_map(|line| line.split_once(':')).any(|(name, rest)| name == user && rest.starts_with('!'))
}

fn free_port() -> Result<u16, Missing> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(setup("find a free port on", "127.0.0.1"))
}

/// A port where nobody listens: a reserved one, because one from the dynamic range may be given to somebody at any
/// moment.
fn unused_port() -> u16 {
    (1..1024).find(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err()).unwrap_or(1)
}

fn all_processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
