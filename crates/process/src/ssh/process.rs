//! A command on another host as a process here.

use crate::engine::EngineHandle;
use crate::host::Host;
use crate::outcome::Finished;
use crate::process::Process;
use crate::spec::{Command, Launch, Policy, Spec, Terminal};

use super::exit::ssh_warnings;
use super::login_shell::command_line;
use super::options::SshOptions;

/// A command on another host: builds the [`Process`] that runs it.
///
/// ```no_run
/// use phalanx_process::host::Host;
/// use phalanx_process::ssh::{SshOptions, SshProcess};
///
/// let uptime = SshProcess::new("uptime", Host::new("node1").with_user("root")).params(SshOptions::ephemeral());
/// let process = uptime.process().run().check()?;
/// println!("{}: {}", uptime.host().address(), String::from_utf8_lossy(&process.stdout()));
/// # Ok::<(), phalanx_process::process::ProcessesFailed>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SshProcess {
    remote_command: String,
    host: Host,
    params: SshOptions,
    policy: Policy,
}

impl SshProcess {
    /// `command` on `host`. The host's shell interprets it, as ssh always has it. Whatever it contains reaches the host
    /// as one word; words of yours are joined and quoted with [`SshProcess::words`].
    #[must_use]
    pub fn new(command: impl Into<String>, host: impl Into<Host>) -> Self {
        Self {
            remote_command: command.into(),
            host: host.into(),
            params: SshOptions::default(),
            policy: Policy::default(),
        }
    }

    /// A program and its arguments on `host`, each quoted, so that the login shell leaves them as they are, be it sh,
    /// fish or csh. (A NUL byte, which no argument can have, makes a start error.)
    #[must_use]
    pub fn words<'a>(words: impl IntoIterator<Item = &'a str>, host: impl Into<Host>) -> Self {
        Self::new(command_line(words), host)
    }

    /// How to reach the host.
    #[must_use]
    pub fn params(self, params: SshOptions) -> Self {
        Self { params, ..self }
    }

    /// How the process is treated.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Another command.
    pub(crate) fn command(self, command: String) -> Self {
        Self { remote_command: command, ..self }
    }

    /// The command, as it was given.
    #[must_use]
    pub fn remote_command(&self) -> &str {
        &self.remote_command
    }

    /// The host, as it was given.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The connection parameters, as they were given: nothing of the defaults among them.
    #[must_use]
    pub fn ssh_options(&self) -> &SshOptions {
        &self.params
    }

    /// What is run here. It is named after the remote command.
    #[must_use]
    pub fn spec(&self) -> Spec {
        let connection = self.params.connection(&self.host);
        let arguments = connection.ssh_arguments(&self.remote_command);
        let launch = Launch {
            terminal: connection.pty.then(Terminal::default),
            diagnostics: arguments.diagnostics,
            name: Some(Launch::name_of(&self.remote_command)),
            defect: self.host.check().err().map(|error| error.to_string()),
            command: Command::Arguments(arguments.words),
            ..Launch::default()
        };
        Spec { launch, policy: self.policy.clone() }
    }

    /// The process, not started, to be run by the default engine.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process_on(EngineHandle::global())
    }

    /// The process, not started, to be run by `engine`.
    #[must_use]
    pub fn process_on(&self, engine: &EngineHandle) -> Process {
        Process::from_spec(self.spec(), engine).on_host(self.host.address())
    }
}

/// Logs what ssh warned of, if it was one that wrote a log. Not the engine's own words: they are for whom the host is.
pub(crate) fn log_warnings(launch: &Launch, finished: &Finished) {
    let Command::Arguments(words) = &launch.command else { return };
    if launch.diagnostics.is_none() {
        return;
    }
    let host = words.iter().skip_while(|word| *word != "--").nth(1).map(|host| host.display());
    for warning in ssh_warnings(&finished.diagnostics.text()) {
        match &host {
            Some(host) => log::warn!("{host}: {warning}"),
            None => log::warn!("{warning}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 80 to 82 and 191.
    #[test]
    fn host_command_and_parameters_can_be_read_back() {
        let params = SshOptions { ssh: Some("oarsh".into()), ..SshOptions::default() };
        let host = Host::new("node1").with_user("root");
        let ssh = SshProcess::new("echo $HOME", &host).params(params.clone());
        assert_eq!((ssh.host(), ssh.remote_command(), ssh.ssh_options()), (&host, "echo $HOME", &params));
        let spec = ssh.spec();
        assert_eq!(spec.launch.command.to_string(), "oarsh -o 'BatchMode=yes' -l root -T node1 'echo $HOME'");
        assert_eq!(spec.launch.name(), "echo $HOME");
        let process = ssh.process();
        assert_eq!(process.host().as_deref(), Some("node1"));
    }

    /// Item 206. Of a host there is nothing to be said about it, so the parameters come first; `false` in them undoes
    /// `true` in the defaults.
    #[test]
    fn the_program_that_connects_has_a_terminal_if_the_parameters_or_else_the_defaults_say_so() {
        for (params, defaults, expected) in [
            (None, None, false),
            (None, Some(true), true),
            (Some(true), None, true),
            (Some(true), Some(false), true),
            (Some(false), Some(true), false),
        ] {
            let [params, defaults] = [params, defaults].map(|pty| SshOptions { pty, ..Default::default() });
            assert_eq!(params.resolve(&Host::new("n"), &defaults).pty, expected);
        }
        let params = SshOptions { pty: Some(true), ..SshOptions::default() };
        assert_eq!(SshProcess::new("true", "n").params(params).spec().launch.terminal, Some(Terminal::default()));
        assert_eq!(SshProcess::new("true", "n").spec().launch.terminal, None);
    }

    #[test]
    fn words_are_quoted_for_the_shell_of_the_host() {
        assert_eq!(
            SshProcess::words(["echo", "a  b", "$HOME", "it's"], "n").remote_command(),
            r"echo 'a  b' '$HOME' 'it'\''s'"
        );
    }
}
