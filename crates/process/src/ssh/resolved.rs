//! One connection with everything decided, and its argv for ssh, for scp, and for programs that call ssh themselves.
//!
//! OpenSSH takes the *first* value it is given for an option, so the order of the words is the order of precedence:
//! what a command cannot do without, the user's options, then ours. What has a letter of its own (`-l`, `-p`) also yields to an option given before it;
//! `-T` does not, so it is left out when the user has an opinion about terminals.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::features::SshFeatures;
use super::options::HostKeyChecking;
use crate::host::bracketed;

/// Everything about one connection, decided: see
/// [`SshOptions::resolve`](super::options::SshOptions::resolve). The fields mean the same as there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of SshOptions, under the same names")]
pub struct ResolvedSsh {
    /// After the rewriting.
    pub address: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity_file: Option<PathBuf>,
    pub ssh: Option<OsString>,
    pub scp: Option<OsString>,
    pub ssh_config: Option<PathBuf>,
    pub options: Vec<String>,
    pub ssh_options: Vec<OsString>,
    pub scp_options: Vec<OsString>,
    pub proxy_jump: Option<String>,
    pub host_key_checking: Option<HostKeyChecking>,
    pub connect_timeout: Option<Duration>,
    pub remote_tty: bool,
    pub pty: bool,
    /// What the program that connects knows.
    pub features: Arc<SshFeatures>,
}

/// An argv of ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshArguments {
    /// The words, the program first.
    pub words: Vec<OsString>,
    /// Which of them is the file into which ssh is to write its own doings (`-E`); OpenSSH only.
    pub diagnostics: Option<usize>,
}

impl ResolvedSsh {
    /// The program that connects.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        self.ssh.as_deref().unwrap_or(OsStr::new("ssh"))
    }

    /// The argv that runs `command` on the host. It is one word whatever is in it: the host's shell splits it.
    #[must_use]
    pub fn ssh_arguments(&self, command: &str) -> SshArguments {
        let mut words = vec![self.program().to_owned()];
        let logging = self.features.logging().filter(|_| self.has_no_log_of_its_own());
        let diagnostics = logging.map(|option| {
            words.push("-E".into());
            // Replaced by the path of a pipe when the process starts.
            words.push("/dev/null".into());
            push_option(&mut words, option);
            // Behind `-E`: the words of `push_option` are two.
            words.len() - 3
        });
        self.push_settings(&mut words);
        self.push_host(&mut words);
        // Where no word can end the options, a blank keeps a command from being one. No shell minds it.
        let is_option = !self.features.is_openssh() && command.starts_with('-');
        words.push(if is_option { format!(" {command}") } else { command.to_owned() }.into());
        SshArguments { words, diagnostics }
    }

    /// The argv for a program that calls ssh itself and adds the host and the command: `rsync -e`, taktuk's connector.
    #[must_use]
    pub fn rsh_command(&self) -> Vec<OsString> {
        let mut words = vec![self.program().to_owned()];
        self.push_settings(&mut words);
        words
    }

    /// Everything between the program and the host, of a session for a command.
    fn push_settings(&self, words: &mut Vec<OsString>) {
        for option in self.features.of_a_command() {
            push_option(words, option);
        }
        self.push_users_options(words, &self.ssh_options);
        for option in self.features.spared(self.asks_for_forwardings()) {
            push_option(words, option);
        }
        self.push_options(words);
        self.push_login(words);
        self.push_terminal(words);
    }

    /// A log that the user wants somewhere else is not ours to read: of several files, ssh writes the last.
    fn has_no_log_of_its_own(&self) -> bool {
        !self.ssh_options.iter().any(|word| word.as_encoded_bytes().starts_with(b"-E"))
    }

    /// Whether the options of the user forward ports, which clearing all forwardings would undo.
    fn asks_for_forwardings(&self) -> bool {
        let letters = ["-L", "-R", "-D", "-w"].map(str::as_bytes);
        let names = ["localforward", "remoteforward", "dynamicforward", "tunnel"];
        let by_letter = |word: &OsString| letters.iter().any(|letter| word.as_encoded_bytes().starts_with(letter));
        let by_name = |option: &String| {
            let option = option.trim_start().to_ascii_lowercase();
            names.iter().any(|name| option.starts_with(name))
        };
        self.ssh_options.iter().any(by_letter) || self.options.iter().any(by_name)
    }

    /// The beginning of an argv of scp, to be completed with paths here and [`ResolvedSsh::scp_path`]s there.
    #[must_use]
    pub fn scp_arguments(&self) -> Vec<OsString> {
        let mut words = vec![self.scp.clone().unwrap_or_else(|| "scp".into())];
        if let Some(ssh) = &self.ssh {
            words.extend(["-S".into(), ssh.clone()]);
        }
        for option in self.features.of_a_copy() {
            push_option(&mut words, option);
        }
        self.push_users_options(&mut words, &self.scp_options);
        self.push_options(&mut words);
        if let Some(user) = &self.user {
            push_option(&mut words, format!("User={user}"));
        }
        if let Some(port) = self.port {
            push_option(&mut words, format!("Port={port}"));
        }
        if let Some(key) = &self.identity_file {
            words.extend(["-i".into(), key.into()]);
        }
        words
    }

    /// A path on the host, as scp takes it. (The user is among [`ResolvedSsh::scp_arguments`].)
    #[must_use]
    pub fn scp_path(&self, path: &str) -> String {
        format!("{}:{path}", bracketed(&self.address))
    }

    /// The argv of an ssh that runs nothing and does what `words` say; `first` are options that nothing overrides.
    pub(crate) fn ssh_without_command(&self, first: &[&str], words: &[OsString]) -> Vec<OsString> {
        let mut all = vec![self.program().to_owned()];
        for option in first.iter().copied().chain(self.features.of_a_forwarding()) {
            push_option(&mut all, option);
        }
        self.push_users_options(&mut all, &self.ssh_options);
        self.push_options(&mut all);
        self.push_login(&mut all);
        all.extend_from_slice(words);
        self.push_host(&mut all);
        all
    }

    fn push_users_options(&self, words: &mut Vec<OsString>, own: &[OsString]) {
        if let Some(file) = &self.ssh_config {
            words.extend(["-F".into(), file.into()]);
        }
        for option in &self.options {
            push_option(words, option);
        }
        words.extend_from_slice(own);
    }

    fn push_options(&self, words: &mut Vec<OsString>) {
        push_option(words, "BatchMode=yes");
        let checking: &[&str] = match self.host_key_checking {
            None => &[],
            Some(HostKeyChecking::Strict) => &["StrictHostKeyChecking=yes"],
            Some(HostKeyChecking::AcceptNew) => &["StrictHostKeyChecking=accept-new"],
            Some(HostKeyChecking::Off) => {
                &["PasswordAuthentication=no", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
            }
        };
        for option in checking {
            push_option(words, option);
        }
        if let Some(timeout) = self.connect_timeout {
            push_option(
                words,
                format!("ConnectTimeout={}", timeout.as_secs_f64().ceil().clamp(1.0, f64::from(i32::MAX))),
            );
        }
        if let Some(hosts) = &self.proxy_jump {
            // Not -J, which is an error beside a ProxyCommand of the user's instead of yielding to it.
            push_option(words, format!("ProxyJump={hosts}"));
        }
    }

    fn push_login(&self, words: &mut Vec<OsString>) {
        if let Some(user) = &self.user {
            words.extend(["-l".into(), user.into()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(key) = &self.identity_file {
            words.extend(["-i".into(), key.into()]);
        }
    }

    fn push_terminal(&self, words: &mut Vec<OsString>) {
        let opinion = |option: &String| option.trim_start().to_ascii_lowercase().starts_with("requesttty");
        let letter = |word: &OsString| ["-t", "-tt", "-T"].iter().any(|letter| word == letter);
        if !self.options.iter().any(opinion) && !self.ssh_options.iter().any(letter) {
            words.push(if self.remote_tty { "-tt" } else { "-T" }.into());
        }
    }

    /// OpenSSH goes on looking for options after the host, and would find some in a command that begins with a dash.
    /// Other programs may not know the word that ends options.
    fn push_host(&self, words: &mut Vec<OsString>) {
        if self.features.is_openssh() {
            words.push("--".into());
        }
        words.push((&self.address).into());
    }
}

fn push_option(words: &mut Vec<OsString>, option: impl AsRef<OsStr>) {
    words.extend(["-o".into(), option.as_ref().to_owned()]);
}

#[cfg(test)]
mod tests {
    use super::super::options::{HostRewrite, SshOptions};
    use super::*;
    use crate::host::Host;

    fn line(words: &[OsString]) -> String {
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn ssh(params: &SshOptions, host: &Host) -> String {
        shortened(&line(&params.resolve(host, &SshOptions::default()).ssh_arguments("COMMAND").words))
    }

    /// What every command is run with, in place of the long words: the log, what comes before the options of the user,
    /// and what comes behind them.
    fn shortened(words: &str) -> String {
        let log = words.split(' ').find(|word| word.starts_with("LogVerbose=")).unwrap_or("LogVerbose=");
        words
            .replace(&format!(" -E /dev/null -o {log}"), " LOG")
            .replace(
                " -o RemoteCommand=none -o SessionType=default -o StdinNull=no -o ForkAfterAuthentication=no",
                " COMMANDS",
            )
            .replace(" -o PermitLocalCommand=no -o ClearAllForwardings=yes", " SPARED")
    }

    const BEGIN: &str = "ssh LOG COMMANDS SPARED -o BatchMode=yes";

    /// R4, items 188 to 190 and 208: every combination of what the host, the parameters and the defaults say, for
    /// three fields, against the list of [`SshOptions::resolve`], spelled out a second way.
    #[test]
    fn the_host_comes_before_the_parameters_and_these_before_the_defaults() {
        // 0: unset, 1: a value, and for the host 2: none to be given.
        for bits in 0..27 * 64 {
            let (hosts, others) = (bits % 27, bits / 27);
            let host_says = [hosts % 3, hosts / 3 % 3, hosts / 9];
            let params_say = [0, 1, 2].map(|field| others >> field & 1 == 1);
            let defaults_say = [3, 4, 5].map(|field| others >> field & 1 == 1);
            let mut host = Host::new("n");
            host = [host.clone(), host.clone().with_user("h"), host.without_user()][host_says[0]].clone();
            host = [host.clone(), host.clone().with_port(1), host.without_port()][host_says[1]].clone();
            host = [host.clone(), host.clone().with_identity_file("hk"), host.without_identity_file()][host_says[2]]
                .clone();
            let params = |says: [bool; 3], user: &str, port, key: &str| SshOptions {
                user: says[0].then(|| user.to_owned()),
                port: says[1].then_some(port),
                identity_file: says[2].then(|| key.into()),
                ..SshOptions::default()
            };
            let connection = params(params_say, "p", 2, "pk").resolve(&host, &params(defaults_say, "d", 3, "dk"));
            let mut expected = BEGIN.to_owned();
            let table = [["-l", "h", "p", "d"], ["-p", "1", "2", "3"], ["-i", "hk", "pk", "dk"]];
            for (field, [letter, hosts, params, defaults]) in table.into_iter().enumerate() {
                let value = match (host_says[field], params_say[field], defaults_say[field]) {
                    (1, _, _) => hosts,
                    (0, true, _) => params,
                    (0, false, true) => defaults,
                    _ => continue,
                };
                expected += &format!(" {letter} {value}");
            }
            expected += " -T -- n COMMAND";
            assert_eq!(shortened(&line(&connection.ssh_arguments("COMMAND").words)), expected);
        }
    }

    /// Item 194 among others.
    #[test]
    fn every_parameter_has_its_words() {
        let default = SshOptions::default;
        let host = Host::new("n");
        let cases: [(SshOptions, &str); 12] = [
            (default(), "ssh LOG COMMANDS SPARED -o BatchMode=yes -T -- n COMMAND"),
            (
                SshOptions { ssh: Some("/opt/bin/oarsh".into()), ..default() },
                "/opt/bin/oarsh -o BatchMode=yes -T n COMMAND",
            ),
            (
                SshOptions { ssh: Some("/opt/bin/ssh".into()), ..default() },
                "/opt/bin/ssh LOG COMMANDS SPARED -o BatchMode=yes -T -- n COMMAND",
            ),
            (
                SshOptions { ssh_config: Some("/c".into()), ..default() },
                "ssh LOG COMMANDS -F /c SPARED -o BatchMode=yes -T -- n COMMAND",
            ),
            (
                SshOptions {
                    options: vec!["BatchMode=no".into(), "LogLevel=QUIET".into()],
                    ssh_options: vec!["-4".into(), "-C".into()],
                    scp_options: vec!["-l".into(), "100".into()],
                    ..default()
                },
                "ssh LOG COMMANDS -o BatchMode=no -o LogLevel=QUIET -4 -C SPARED -o BatchMode=yes -T -- n COMMAND",
            ),
            (
                SshOptions { proxy_jump: Some("u@gate:22".into()), ..default() },
                "ssh LOG COMMANDS SPARED -o BatchMode=yes -o ProxyJump=u@gate:22 -T -- n COMMAND",
            ),
            (
                SshOptions { host_key_checking: Some(HostKeyChecking::Strict), ..default() },
                "ssh LOG COMMANDS SPARED -o BatchMode=yes -o StrictHostKeyChecking=yes -T -- n COMMAND",
            ),
            (
                SshOptions { host_key_checking: Some(HostKeyChecking::AcceptNew), ..default() },
                "ssh LOG COMMANDS SPARED -o BatchMode=yes -o StrictHostKeyChecking=accept-new -T -- n COMMAND",
            ),
            (
                SshOptions { connect_timeout: Some(Duration::from_millis(2500)), ..default() },
                "ssh LOG COMMANDS SPARED -o BatchMode=yes -o ConnectTimeout=3 -T -- n COMMAND",
            ),
            (
                SshOptions { connect_timeout: Some(Duration::from_millis(1)), ..default() },
                "ssh LOG COMMANDS SPARED -o BatchMode=yes -o ConnectTimeout=1 -T -- n COMMAND",
            ),
            (
                SshOptions { remote_tty: Some(true), ..default() },
                "ssh LOG COMMANDS SPARED -o BatchMode=yes -tt -- n COMMAND",
            ),
            (
                SshOptions { remote_tty: Some(true), options: vec!["RequestTTY=no".into()], ..default() },
                "ssh LOG COMMANDS -o RequestTTY=no SPARED -o BatchMode=yes -- n COMMAND",
            ),
        ];
        for (params, expected) in cases {
            assert_eq!(ssh(&params, &host), expected);
        }
    }

    /// Item 209: execo's default options, on demand.
    #[test]
    fn ephemeral_has_the_options_of_execo() {
        let expected = "ssh LOG COMMANDS SPARED -o BatchMode=yes -o PasswordAuthentication=no -o StrictHostKeyChecking=no -o \
                        UserKnownHostsFile=/dev/null -o ConnectTimeout=20 -T -- n COMMAND";
        assert_eq!(ssh(&SshOptions::ephemeral(), &Host::new("n")), expected);
    }

    #[test]
    fn lists_are_joined_and_a_timeout_of_zero_undoes_that_of_the_defaults() {
        let list = |option: &str| vec![option.to_owned()];
        let defaults = SshOptions { options: list("A=2"), ..SshOptions::ephemeral() };
        let params = SshOptions {
            options: list("A=1"),
            connect_timeout: Some(Duration::ZERO),
            host_key_checking: Some(HostKeyChecking::Strict),
            ..SshOptions::default()
        };
        let connection = params.resolve(&Host::new("n"), &defaults);
        assert_eq!(
            shortened(&line(&connection.rsh_command())),
            "ssh COMMANDS -o A=1 -o A=2 SPARED -o BatchMode=yes -o StrictHostKeyChecking=yes -T"
        );
    }

    /// R5, item 207.
    #[test]
    fn the_address_is_rewritten_in_arguments() {
        let rewrite = HostRewrite::new(|address| format!("{address}.example.org"));
        let params = SshOptions { host_rewrite: Some(rewrite), ..SshOptions::default() };
        let host = Host::new("n").with_user("u");
        assert_eq!(ssh(&params, &host), format!("{BEGIN} -l u -T -- n.example.org COMMAND"));
        let connection = params.resolve(&host, &SshOptions::default());
        assert_eq!(connection.scp_path("a b"), "n.example.org:a b");
    }

    /// Items 192 and 195.
    #[test]
    fn scp_says_the_same_in_its_own_words() {
        let params = SshOptions {
            user: Some("u".into()),
            port: Some(22),
            identity_file: Some("/k".into()),
            options: vec!["Compression=yes".into()],
            ssh_options: vec!["-4".into()],
            scp_options: vec!["-l".into(), "100".into()],
            proxy_jump: Some("gate".into()),
            ..SshOptions::default()
        };
        let resolve = |params: &SshOptions| params.resolve(&Host::new("::1"), &SshOptions::default());
        let connection = resolve(&params);
        assert_eq!(
            line(&connection.scp_arguments()),
            "scp -o StdinNull=no -o ForkAfterAuthentication=no -o Compression=yes -l 100 -o BatchMode=yes -o ProxyJump=gate -o User=u -o Port=22 -i /k"
        );
        assert_eq!(connection.scp_path("/tmp"), "[::1]:/tmp");
        let wrapped = SshOptions { ssh: Some("oarsh".into()), scp: Some("oarcp".into()), ..Default::default() };
        assert_eq!(line(&resolve(&wrapped).scp_arguments()), "oarcp -S oarsh -o BatchMode=yes");
    }

    #[test]
    fn forwardings_that_the_user_asks_for_are_not_cleared_nor_a_log_taken_away() {
        let words = |options: &[&str], ssh_options: &[&str]| {
            let params = SshOptions {
                options: options.iter().map(ToString::to_string).collect(),
                ssh_options: ssh_options.iter().map(Into::into).collect(),
                ..SshOptions::default()
            };
            ssh(&params, &Host::new("n"))
        };
        for asked in [words(&["RemoteForward=1 h:2"], &[]), words(&[], &["-R1:h:2"]), words(&[" Tunnel=yes"], &[])] {
            assert!(!asked.contains("ClearAllForwardings") && asked.contains("PermitLocalCommand=no"), "{asked}");
        }
        assert!(words(&["Compression=yes"], &["-4"]).contains("SPARED"));
        let elsewhere = words(&[], &["-E", "/tmp/log"]);
        assert!(!elsewhere.contains("LOG") && elsewhere.contains("-E /tmp/log"), "{elsewhere}");
    }

    /// Before `--`, such a command is an option to programs that go on looking for some behind the host.
    #[test]
    fn a_command_that_begins_with_a_dash_is_no_option() {
        let params = SshOptions { ssh: Some("oarsh".into()), ..SshOptions::default() };
        let connection = params.connection(&Host::new("n"));
        assert_eq!(
            line(&connection.ssh_arguments("-oProxyCommand=x").words),
            "oarsh -o BatchMode=yes -T n  -oProxyCommand=x"
        );
    }

    #[test]
    fn a_command_is_one_word_whatever_is_in_it() {
        let connection = SshOptions::default().connection(&Host::new("n"));
        let arguments = connection.ssh_arguments("-v $HOME 'a  b'");
        assert_eq!(
            arguments.words.last().map(|word| word.to_string_lossy().into_owned()).as_deref(),
            Some("-v $HOME 'a  b'")
        );
        assert_eq!((arguments.diagnostics, arguments.words[2].to_str()), (Some(2), Some("/dev/null")));
    }
}
