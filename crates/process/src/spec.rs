//! Says what to run, as plain data: the launch (argv, environment, ends) and the policy (time limits, what counts).
//!
//! The two halves go different ways. The [`Launch`] is for whoever performs the start; the [`Policy`] is all that the
//! pure [`crate::table`] ever sees.

use std::borrow::Cow;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::Arc;

pub use phalanx_core::pty::{Mode, TerminalSettings as Terminal, WindowSize};
pub use phalanx_proto::policy::{Faults, Leftovers, Policy};

use crate::id::BackendId;

/// A flag for opening files: does not wait for the other end of a named pipe.
pub const NON_BLOCKING: i32 = phalanx_core::pipe::NON_BLOCKING;

/// What to run and how to judge it.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// How it is started.
    pub launch: Launch,
    /// How it is treated.
    pub policy: Policy,
}

impl Spec {
    /// A process with these arguments, the program's name first.
    #[must_use]
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self::from(Command::Arguments(arguments.into_iter().map(Into::into).collect()))
    }

    /// A process that lets `/bin/sh` interpret `command`.
    #[must_use]
    pub fn shell(command: impl Into<OsString>) -> Self {
        Self::new([OsString::from("/bin/sh"), "-c".into(), command.into()])
    }
}

impl From<Command> for Spec {
    fn from(command: Command) -> Self {
        Self { launch: Launch { command, ..Launch::default() }, policy: Policy::default() }
    }
}

/// A program and its arguments. A program without a slash in its name is looked up in our `PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The program's name, then its arguments, as they are.
    Arguments(Vec<OsString>),
    /// One line, split into words by the rules of a POSIX shell: quotes and backslashes count, variables and globs do
    /// not. A line that cannot be split (an open quote) is a start error of the process.
    Words(String),
    /// No program at all: a serial line, opened by the engine itself. What is written to the process is sent, what
    /// arrives is its stdout; see [`crate::serial`].
    Device(Device),
    /// No program here: a command on another host, over an ssh connection that exists.
    MuxSession(MuxSession),
}

/// A command that an ssh master is asked to run, over its multiplexing protocol and without a process here.
///
/// Its stdin, stdout and stderr are passed to the master, which makes what is no terminal non-blocking: pipes, files and
/// `/dev/null` can be, what this program inherited cannot. A master of another user is not spoken to.
///
/// A signal that asks a process to end, or makes it, closes the session: the command loses its streams, as it does when an
/// ssh process is killed. Other signals do nothing; the protocol has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuxSession {
    /// The control socket of the master.
    pub socket: PathBuf,
    /// What to ask of it.
    pub request: phalanx_proto::mux::Session,
    /// How long the session may take to open, which takes a round trip to the host.
    pub open_timeout: std::time::Duration,
}

/// Which handler runs a process, and what it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostedBy {
    /// The handler.
    pub backend: BackendId,
    /// The backend's own number for the process; another run of the same process has the same.
    pub member: usize,
}

/// A serial line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its path.
    pub path: PathBuf,
    /// How it is set up.
    pub settings: phalanx_core::serial::LineSettings,
}

impl Command {
    /// The program's name and its arguments.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn arguments(&self) -> Result<Cow<'_, [OsString]>, String> {
        match self {
            Self::Arguments(arguments) => Ok(Cow::Borrowed(arguments)),
            Self::Words(line) => {
                let words = shlex::split(line).ok_or("its command has an open quote or ends in a backslash")?;
                Ok(words.into_iter().map(OsString::from).collect::<Vec<_>>().into())
            }
            Self::Device(_) => Err("it is a serial line, and no command".to_owned()),
            Self::MuxSession(_) => Err("it runs over an ssh master, and not here".to_owned()),
        }
    }
}

impl From<&str> for Command {
    fn from(line: &str) -> Self {
        Self::Words(line.to_owned())
    }
}

impl From<String> for Command {
    fn from(line: String) -> Self {
        Self::Words(line)
    }
}

impl<T: Into<OsString>, const N: usize> From<[T; N]> for Command {
    fn from(arguments: [T; N]) -> Self {
        Self::Arguments(arguments.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<OsString>> From<Vec<T>> for Command {
    fn from(arguments: Vec<T>) -> Self {
        Self::Arguments(arguments.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Command {
    /// As it could be typed into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(line) => f.write_str(line),
            Self::Device(device) => write!(f, "serial {} {}", device.path.display(), device.settings.speed),
            Self::MuxSession(session) => {
                let command = String::from_utf8_lossy(&session.request.command);
                let quoted = shlex::try_quote(&command).unwrap_or(Cow::Borrowed(&*command));
                write!(f, "ssh -S {} : {quoted}", session.socket.display())
            }
            Self::Arguments(arguments) => {
                let words = arguments.iter().map(|argument| argument.to_string_lossy());
                let quoted = words.map(|word| {
                    shlex::try_quote(&word).map(Cow::into_owned).unwrap_or_else(|_| word.clone().into_owned())
                });
                f.write_str(&quoted.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

/// How a process is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What is started.
    pub command: Command,
    /// The whole environment; ours, as it is when the process starts, when `None`. A batch of processes is started
    /// faster with one that they share.
    pub environment: Option<Arc<Environment>>,
    /// The working directory; ours when `None`.
    pub directory: Option<PathBuf>,
    /// Where its stdin comes from.
    pub stdin: Stdin,
    /// Where its stdout goes.
    pub stdout: Output,
    /// Where its stderr goes.
    pub stderr: Output,
    /// A terminal of its own (a pty), which it leads a session on and which is its controlling one. Its stdin is the
    /// terminal where that would be a pipe, its stdout where we read it, and its stderr where that goes
    /// [with stdout](Output::WithStdout); a stderr that we read stays apart. Whatever comes out of the terminal counts as
    /// stdout.
    ///
    /// Closing stdin sends the terminal's end-of-file character, twice if the last thing written did not end a line, as
    /// long as the terminal is cooked. A raw terminal has no end of file: there, closing only means that nothing more
    /// can be written.
    pub terminal: Option<Terminal>,
    /// Which of the arguments is to be replaced by the path of a pipe of ours to which the program reports on its own
    /// doings (`ssh -E`), apart from stderr.
    pub diagnostics: Option<usize>,
    /// Its name in messages; made from the arguments when `None`.
    pub name: Option<String>,
    /// The backend that runs it instead of this machine's kernel, if one does; see [`crate::backend`].
    pub hosted: Option<HostedBy>,
    /// What is wrong with its description, found before there was a way to say so: starting it fails with this sentence.
    pub defect: Option<String>,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            command: Command::Arguments(Vec::new()),
            environment: None,
            directory: None,
            stdin: Stdin::Null,
            stdout: Output::Read,
            stderr: Output::Read,
            terminal: None,
            diagnostics: None,
            name: None,
            hosted: None,
            defect: None,
        }
    }
}

/// The longest name made from a command; longer ones end in three dots, as execo shows them.
const LONGEST_NAME: usize = 39;

impl Launch {
    /// What to call the process: the given name, or the command on one line of at most 39 characters.
    #[must_use]
    pub fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        Self::name_of(&self.command.to_string())
    }

    /// The name made of a command: one line of at most 39 characters.
    pub(crate) fn name_of(command: &str) -> String {
        let line = command.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.chars().count() <= LONGEST_NAME {
            return line;
        }
        line.chars().take(LONGEST_NAME - 3).chain("...".chars()).collect()
    }

    /// The arguments as the kernel wants them.
    ///
    /// # Errors
    /// What is wrong with the command: it is empty, cannot be split into words, or has a NUL byte, which no program
    /// can be given.
    pub fn c_arguments(&self) -> Result<Vec<CString>, String> {
        if let Some(defect) = &self.defect {
            return Err(defect.clone());
        }
        let arguments = self.command.arguments()?;
        if arguments.is_empty() {
            return Err("its command is empty".to_owned());
        }
        let convert = |argument: &OsString| {
            CString::new(argument.as_bytes()).map_err(|_| format!("its argument {argument:?} contains a NUL byte"))
        };
        arguments.iter().map(convert).collect()
    }
}

/// An environment, ready to be given to any number of processes.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<CString>,
}

impl fmt::Debug for Environment {
    /// The names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.iter().map(|variable| {
            let bytes = variable.as_bytes();
            let name = bytes.split(|byte| *byte == b'=').next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned()
        });
        f.debug_list().entries(names).finish()
    }
}

impl Environment {
    /// Ours, as it is now. Share the result among the processes of a batch.
    #[must_use]
    pub fn inherited() -> Self {
        Self { variables: std::env::vars_os().filter_map(|(name, value)| variable(&name, &value)).collect() }
    }

    /// An empty one.
    #[must_use]
    pub fn empty() -> Self {
        Self { variables: Vec::new() }
    }

    /// With `name` set to `value`, whatever it was. A name or value that no environment can hold (a NUL byte, a `=` in
    /// the name) is left out, with a warning.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        self = self.without(name);
        match variable(name, value) {
            Some(variable) => self.variables.push(variable),
            None => log::warn!("the environment cannot hold a variable named {name:?} with that value"),
        }
        self
    }

    /// Without `name`.
    #[must_use]
    pub fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref().as_bytes();
        self.variables.retain(|variable| {
            let bytes = variable.as_bytes();
            !(bytes.starts_with(name) && bytes.get(name.len()) == Some(&b'='))
        });
        self
    }

    /// `NAME=value` each.
    #[must_use]
    pub fn variables(&self) -> &[CString] {
        &self.variables
    }
}

fn variable(name: &OsStr, value: &OsStr) -> Option<CString> {
    let name = name.as_bytes();
    // The kernel itself allows a leading `=`; nobody means it.
    if name.is_empty() || name.contains(&b'=') {
        return None;
    }
    let mut bytes = OsString::with_capacity(name.len() + 1 + value.len()).into_vec();
    bytes.extend_from_slice(name);
    bytes.push(b'=');
    bytes.extend_from_slice(value.as_bytes());
    CString::new(bytes).ok()
}

/// Where a process reads from.
#[derive(Debug, Clone, Default)]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// What we read from. Two readers of one terminal steal from each other.
    Inherit,
    /// These bytes, then the end. Shared, so that a thousand processes can be given the same.
    Data(Arc<[u8]>),
    /// This file, opened when the process starts.
    File(PathBuf),
    /// What is written to it while it runs, until it is closed.
    Pipe,
    /// This descriptor.
    Descriptor(Arc<OwnedFd>),
}

/// Where a process writes to.
#[derive(Debug, Clone, Default)]
pub enum Output {
    /// To us: kept as the policy says, and shown to handlers.
    #[default]
    Read,
    /// Nowhere: `/dev/null`.
    Null,
    /// Where we write to.
    Inherit,
    /// This file, made when the process starts and visible while it runs.
    File {
        /// Its path.
        path: PathBuf,
        /// At its end, rather than instead of what it held.
        append: bool,
    },
    /// This descriptor.
    Descriptor(Arc<OwnedFd>),
    /// For stderr only: into whatever stdout goes to, in the order of writing.
    WithStdout,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_has_a_name_of_39_characters() {
        let spec = Spec::from(Command::from(format!("echo a\n b {}", "x".repeat(100))));
        let name = spec.launch.name();
        assert_eq!(name, format!("echo a b {}...", "x".repeat(27)));
        assert_eq!(name.chars().count(), LONGEST_NAME);
    }

    #[test]
    fn an_environment_replaces_removes_and_hides_values() {
        let environment = Environment::empty().with("A", "1").with("AB", "2").with("A", "secret").without("AB");
        assert_eq!(environment.variables(), [CString::from(c"A=secret")]);
        assert_eq!(format!("{environment:?}"), r#"["A"]"#);
        assert_eq!(Environment::empty().with("", "1").with("A=B", "1").with("A", "\0").variables().len(), 0);
    }

    #[test]
    fn a_command_that_cannot_be_is_found_before_anything_starts() {
        for command in [Command::from(["a", "b\0c"]), "echo 'a".into(), "".into(), "  ".into()] {
            assert!(Spec::from(command.clone()).launch.c_arguments().is_err(), "{command:?}");
        }
    }

    #[test]
    fn a_line_is_split_as_a_shell_would_but_nothing_is_expanded() {
        let words = Command::from(r#"echo 'a b' "c d" e\ f $HOME *"#).arguments().unwrap().into_owned();
        assert_eq!(words, ["echo", "a b", "c d", "e f", "$HOME", "*"].map(OsString::from));
    }
}
