//! How to reach hosts, as the user describes it, and the one place where descriptions are weighed against each other.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use super::features::SshFeatures;
use super::resolved::ResolvedSsh;
use crate::host::Host;

/// How to reach hosts. What is not set is left to the [defaults](set_defaults), and then to the user's own ssh.
///
/// ```
/// use phalanx_process::ssh::{HostKeyChecking, SshOptions};
///
/// let params = SshOptions {
///     user: Some("root".to_owned()),
///     proxy_jump: Some("gate.example.org".to_owned()),
///     host_key_checking: Some(HostKeyChecking::AcceptNew),
///     ..SshOptions::default()
/// };
/// let connection = params.connection(&"node1:2222".parse()?);
/// let words = connection.rsh_command().join(" ".as_ref());
/// let ours = "-o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ProxyJump=gate.example.org -l root -p 2222 -T";
/// assert!(words.to_string_lossy().ends_with(ours));
/// # Ok::<(), phalanx_process::host::InvalidHost>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshOptions {
    /// The remote user.
    pub user: Option<String>,
    /// The remote port.
    pub port: Option<u16>,
    /// The private key. As with `ssh -i`, ssh itself expands `~`, `%d`, `%h` and its other tokens in it; `%%` is a percent
    /// sign.
    pub identity_file: Option<PathBuf>,
    /// The program that connects, instead of `ssh`; one word. What needs arguments of its own (sshpass) is called by a
    /// script of two lines.
    pub ssh: Option<OsString>,
    /// The program that copies, instead of `scp`; one word.
    pub scp: Option<OsString>,
    /// Their configuration, instead of the user's (`-F`).
    pub ssh_config: Option<PathBuf>,
    /// Options for both, as after `-o`; they win over all that is set here.
    pub options: Vec<String>,
    /// Words for ssh alone, as they are, before our own options, so that they win.
    pub ssh_options: Vec<OsString>,
    /// Words for scp alone, as they are, before our own options, so that they win.
    pub scp_options: Vec<OsString>,
    /// The hosts to jump through, as after `-J`: `[USER@]HOST[:PORT]`, several with commas.
    pub proxy_jump: Option<String>,
    /// Whether a host must be the one that it was.
    pub host_key_checking: Option<HostKeyChecking>,
    /// How long setting up a connection may take; ssh knows whole seconds, at least one. Zero for as long as ssh likes.
    pub connect_timeout: Option<Duration>,
    /// Whether the remote command gets a terminal (`-tt`). Then its stderr comes among its stdout, its lines end with
    /// `\r\n`, it may echo, and it hangs up when the connection ends. Without, everything passes as it is.
    pub remote_tty: Option<bool>,
    /// Whether the program that connects gets a terminal of its own *here*, for what runs ssh through sudo. What comes then
    /// ends its lines with `\r\n`. The remote command has no terminal of that, see `remote_tty`; and it reads nothing
    /// unless its stdin says so, [`crate::spec::Stdin::Pipe`] for what is to be written to it.
    pub pty: Option<bool>,
    /// Turns the address of a host into the one to connect to; in arguments only, the host keeps its name.
    pub host_rewrite: Option<HostRewrite>,
    /// How long a [forwarder](crate::forward) may take until a connection really goes through it; 25 s unless set, zero
    /// for as long as it takes.
    pub forwarding_timeout: Option<Duration>,
}

/// What is done about the key by which a host proves what it is. ssh does as its configuration says when nothing is
/// chosen; by default it asks, and since nobody can be asked, refuses what is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyChecking {
    /// An unknown or changed key is refused.
    Strict,
    /// An unknown key is accepted and remembered; a changed one is refused.
    AcceptNew,
    /// Any key is accepted and none remembered: for nodes that are redeployed every hour, on networks that are trusted.
    /// No password is given to a host that was not checked.
    Off,
}

/// A function from the address of a host to the one to connect to. Two are equal if they are the same.
#[derive(Clone)]
pub struct HostRewrite(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl HostRewrite {
    /// This function.
    #[must_use]
    pub fn new(function: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(super) fn apply(&self, address: &str) -> String {
        (self.0)(address)
    }
}

impl fmt::Debug for HostRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

impl PartialEq for HostRewrite {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for HostRewrite {}

static DEFAULTS: LazyLock<RwLock<Arc<SshOptions>>> = LazyLock::new(RwLock::default);

/// What this program uses where the parameters of a connection say nothing: at first, nothing either.
#[must_use]
pub fn defaults() -> Arc<SshOptions> {
    Arc::clone(&DEFAULTS.read().unwrap_or_else(PoisonError::into_inner))
}

/// Sets what this program uses from now on where the parameters of a connection say nothing. For the author of a
/// script; a library gives parameters instead.
pub fn set_defaults(params: SshOptions) {
    *DEFAULTS.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(params);
}

impl SshOptions {
    /// For nodes that are redeployed every hour: any host key is accepted, no password is given or asked for, and a
    /// node that does not answer is given up after 20 seconds. These are execo's defaults.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self {
            host_key_checking: Some(HostKeyChecking::Off),
            connect_timeout: Some(Duration::from_secs(20)),
            ..Self::default()
        }
    }

    /// Decides everything about the connection to `host`. Pure: of the program that connects it takes what is
    /// [to be expected](SshFeatures::expected_of). Of user, key and port, the first that applies:
    ///
    /// 1. what the host says: a value, or that none is to be given
    /// 2. what these parameters say
    /// 3. what `defaults` say
    /// 4. none is given, and the user's ssh configuration decides
    ///
    /// All else begins with the second. Lists of options are joined, the parameters' first: of several values for one
    /// option, ssh takes the first.
    #[must_use]
    pub fn resolve(&self, host: &Host, defaults: &Self) -> ResolvedSsh {
        fn first<T: Clone>(ours: &Option<T>, theirs: &Option<T>) -> Option<T> {
            ours.as_ref().or(theirs.as_ref()).cloned()
        }
        fn joined<T: Clone>(ours: &[T], theirs: &[T]) -> Vec<T> {
            [ours, theirs].concat()
        }
        let ssh = first(&self.ssh, &defaults.ssh);
        let rewrite = first(&self.host_rewrite, &defaults.host_rewrite);
        ResolvedSsh {
            address: rewrite.map_or_else(|| host.address().to_owned(), |rewrite| rewrite.apply(host.address())),
            user: host.user.or(self.user.as_ref().or(defaults.user.as_ref())).cloned(),
            port: host.port.or(self.port.as_ref().or(defaults.port.as_ref())).copied(),
            identity_file: host
                .identity_file
                .or(self.identity_file.as_ref().or(defaults.identity_file.as_ref()))
                .cloned(),
            scp: first(&self.scp, &defaults.scp),
            ssh_config: first(&self.ssh_config, &defaults.ssh_config),
            options: joined(&self.options, &defaults.options),
            ssh_options: joined(&self.ssh_options, &defaults.ssh_options),
            scp_options: joined(&self.scp_options, &defaults.scp_options),
            proxy_jump: first(&self.proxy_jump, &defaults.proxy_jump),
            host_key_checking: first(&self.host_key_checking, &defaults.host_key_checking),
            connect_timeout: first(&self.connect_timeout, &defaults.connect_timeout)
                .filter(|timeout| !timeout.is_zero()),
            remote_tty: first(&self.remote_tty, &defaults.remote_tty).unwrap_or(false),
            pty: first(&self.pty, &defaults.pty).unwrap_or(false),
            features: Arc::new(SshFeatures::expected_of(ssh.as_deref().unwrap_or(OsStr::new("ssh")))),
            ssh,
        }
    }

    /// The connection to `host`, with the defaults of this program, and as the program that connects can make it: it is
    /// [asked](SshFeatures::of) the first time.
    #[must_use]
    pub fn connection(&self, host: &Host) -> ResolvedSsh {
        let connection = self.resolve(host, &defaults());
        let features = SshFeatures::of(connection.program());
        ResolvedSsh { features, ..connection }
    }
}
