//! The texts of the fleet: `sshd_config(5)`, `ssh_config(5)` and the known hosts. Pure: paths in, text out.

use std::path::Path;

/// What the texts depend on.
pub(super) struct Facts<'a> {
    pub(super) directory: &'a Path,
    pub(super) user: &'a str,
    pub(super) port: u16,
    /// Nothing listens there.
    pub(super) refused_port: u16,
    /// Somebody listens there and never says a word.
    pub(super) silent_port: u16,
    /// Goes into the environment of every session, so that what a session started can be recognised.
    pub(super) marker: &'a str,
    /// `PerSourcePenalties` exists since OpenSSH 9.8; an older server refuses to start with it.
    pub(super) knows_penalties: bool,
    /// Without PAM, sshd turns away an account whose password is locked, even one with a key.
    pub(super) account_is_locked: bool,
}

/// The server's half.
///
/// * `MaxStartups` and `MaxSessions` are out of the way, and so are the penalties: tests connect a hundred times in a
///   moment, from one address.
/// * `KexAlgorithms curve25519-sha256` is seven times cheaper than the default of OpenSSH 9.2, and the same for every
///   contestant in a benchmark.
/// * `SetEnv SHLVL=9` keeps bash from taking sshd for rshd, for which it reads `~/.bashrc`: a heavy one costs 100 ms
///   per command.
/// * `StrictModes no`, because /tmp is writable by everybody; the fleet's directory is private to the user.
pub(super) fn sshd_config(facts: &Facts<'_>) -> String {
    let Facts { directory, user, port, marker, .. } = facts;
    let directory = directory.display();
    let penalties = if facts.knows_penalties { "PerSourcePenalties no\n" } else { "" };
    let pam = if facts.account_is_locked { "UsePAM yes\n" } else { "" };
    format!(
        "ListenAddress 127.0.0.1:{port}
HostKey \"{directory}/host_key\"
AuthorizedKeysFile \"{directory}/authorized_keys\"
AllowUsers {user}
PermitRootLogin prohibit-password
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserRC no
PidFile none
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
LogLevel VERBOSE
MaxStartups 1000
MaxSessions 1000
KexAlgorithms curve25519-sha256
SetEnv SHLVL=9 PHALANX_FLEET={marker}
Subsystem sftp internal-sftp
{penalties}{pam}"
    )
}

/// The client's half. Names that are no pattern here are no hosts of the fleet.
///
/// `ControlMaster` and host key policy are left to the command line, which overrides a configuration file: they are
/// what is under test.
pub(super) fn ssh_config(facts: &Facts<'_>) -> String {
    let Facts { directory, user, port, refused_port, silent_port, .. } = facts;
    let directory = directory.display();
    format!(
        "IgnoreUnknown WarnWeakCrypto
WarnWeakCrypto no

Host refused*
    Port {refused_port}
Host silent*
    Port {silent_port}
Host unresolved*
    HostName %h.invalid
Host changed*
    HostKeyAlias phalanx-changed
Host denied*
    IdentityFile \"{directory}/other_key\"
Host node* changed* refused* silent* unresolved*
    IdentityFile \"{directory}/user_key\"

Host node* denied* changed* refused* silent* unresolved*
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentitiesOnly yes
    IdentityAgent none
    PreferredAuthentications publickey
    HostKeyAlias phalanx-fleet
    UserKnownHostsFile \"{directory}/known_hosts\"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    KexAlgorithms curve25519-sha256
"
    )
}

/// The host key under the alias all nodes share, and another key under the alias of the hosts whose key "changed".
pub(super) fn known_hosts(host_public_key: &str, other_public_key: &str) -> String {
    format!("phalanx-fleet {host_public_key}\nphalanx-changed {other_public_key}\n")
}
