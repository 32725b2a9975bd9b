//! Learns what the program that connects knows, by asking it once: options came with versions, and an ssh refuses those
//! that it does not know.
//!
//! `ssh -v -G -E PIPE -F /dev/null -o OPTION… -- HOST` connects to nothing: it prints what it would do and exits. That it
//! exits with 0 says that it knows all these options; that its version is in the pipe says that it is OpenSSH, and that its
//! log reaches us. An option that it refuses is left out, and it is asked again.
//!
//! The roads not taken: `IgnoreUnknown`, because the first value counts, so ours would undo the one of the user's
//! configuration, and the user's would undo ours; the number of a version, because distributions carry options back, and
//! wrappers are called `ssh` too; and asking for each host.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::{Engine, EngineOptions};
use crate::event::Event;
use crate::outcome::Finished;
use crate::output::Capture;
use crate::spec::{Command, Faults, Launch, Output, Policy, Spec};

/// What makes a session one for a command and not for a person, whatever the configuration says about persons. A command
/// cannot do without, so these come before the options of the user, who cannot mean them.
const OF_A_COMMAND: [&str; 4] =
    ["RemoteCommand=none", "SessionType=default", "StdinNull=no", "ForkAfterAuthentication=no"];

/// What a command is spared, as scp spares it; options of the user win.
const SPARED: [&str; 2] = ["PermitLocalCommand=no", "ClearAllForwardings=yes"];

/// The parts of ssh whose words say what became of a connection, at whatever `LogLevel`, which stays the user's. None of
/// them speaks for each packet.
const LOGGED: &str = "LogVerbose=ssh.c:*,sshconnect.c:*,sshconnect2.c:*,kex.c:kex_exchange_identification():*,\
packet.c:sshpkt_vfatal():*,packet.c:ssh_packet_disconnect():*,clientloop.c:client_session2_setup():*,\
clientloop.c:client_input_channel_req():*,clientloop.c:client_status_confirm():*,\
clientloop.c:server_alive_check():*,mux.c:mux_client_request_session():*";

/// How long the program may take to answer. A wrapper may well look something up before it calls ssh.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the program that connects knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshFeatures {
    /// It is OpenSSH's.
    openssh: bool,
    /// It writes its own doings to the file given with `-E`.
    log_file: bool,
    /// The options that it knows.
    options: Vec<&'static str>,
}

impl SshFeatures {
    /// Returns the features of a current OpenSSH: all of them.
    #[must_use]
    pub fn current() -> Self {
        let options = OF_A_COMMAND.into_iter().chain(SPARED).chain([LOGGED]).collect();
        Self { openssh: true, log_file: true, options }
    }

    /// Returns the features of a program of which nothing is known but that it takes the words that every ssh takes.
    #[must_use]
    pub fn unknown() -> Self {
        Self { openssh: false, log_file: false, options: Vec::new() }
    }

    /// Returns what is to be expected of a program by its name: of one called `ssh`, that it is a current OpenSSH. Asks
    /// nothing.
    #[must_use]
    pub fn expected_of(program: &OsStr) -> Self {
        if is_called_ssh(program) { Self::current() } else { Self::unknown() }
    }

    /// Returns the features of a program, which is asked when it is called `ssh`, the first time; this takes some
    /// milliseconds, and 5 s at most. Another program is not asked, for it may do anything with the question.
    #[must_use]
    pub fn of(program: &OsStr) -> Arc<Self> {
        // A fact about the machine, not a setting: it is the same for everything that this program does.
        static KNOWN: LazyLock<Mutex<HashMap<OsString, Arc<SshFeatures>>>> = LazyLock::new(Mutex::default);
        if !is_called_ssh(program) {
            return Arc::new(Self::unknown());
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(features) = known.get(program) {
            return Arc::clone(features);
        }
        let features = Arc::new(ask(program));
        log::debug!("`{}` has these features: {features:?}", program.display());
        known.insert(program.to_owned(), Arc::clone(&features));
        features
    }

    /// Whether the program is OpenSSH's.
    #[must_use]
    pub fn is_openssh(&self) -> bool {
        self.openssh
    }

    fn known(&self, wanted: &[&'static str]) -> Vec<&'static str> {
        wanted.iter().copied().filter(|option| self.options.contains(option)).collect()
    }

    /// The options that a session for a command needs, to stand before those of the user.
    pub(super) fn of_a_command(&self) -> Vec<&'static str> {
        self.known(&OF_A_COMMAND)
    }

    /// The same for what copies files, which says by itself what its session is for.
    pub(super) fn of_a_copy(&self) -> Vec<&'static str> {
        self.known(&OF_A_COMMAND[2..])
    }

    /// The same for what runs no command at all.
    pub(super) fn of_a_forwarding(&self) -> Vec<&'static str> {
        let wanted = [OF_A_COMMAND[0], OF_A_COMMAND[3], SPARED[0]];
        self.known(&wanted)
    }

    /// The options that a session for a command is spared, to stand behind those of the user; with forwardings, if the
    /// user asks for some.
    pub(super) fn spared(&self, keeps_forwardings: bool) -> Vec<&'static str> {
        self.known(if keeps_forwardings { &SPARED[..1] } else { &SPARED })
    }

    /// The option by which the log has what tells apart the ends of a command. Before OpenSSH 8.5 that is a level, which
    /// makes ssh itself talk more, too: its messages to people (the banner) go by the same level.
    pub(super) fn logging(&self) -> Option<&'static str> {
        let verbose = self.options.contains(&LOGGED);
        self.log_file.then_some(if verbose { LOGGED } else { "LogLevel=DEBUG2" })
    }
}

fn is_called_ssh(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == "ssh")
}

/// The questions to a program, one after the other. Pure.
#[derive(Debug)]
struct Question {
    asked: SshFeatures,
}

/// What an answer leads to.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Ask again.
    Ask,
    /// This is known.
    Known(SshFeatures),
}

impl Question {
    fn new() -> Self {
        Self { asked: SshFeatures::current() }
    }

    /// The words behind the program, and which of them is the file for the log.
    fn words(&self) -> (Vec<OsString>, Option<usize>) {
        let mut words: Vec<&str> = vec!["-v", "-G"];
        let log = self.asked.log_file.then(|| {
            words.extend(["-E", "/dev/null"]);
            words.len() - 1
        });
        words.extend(["-F", "/dev/null"]);
        self.asked.options.iter().for_each(|option| words.extend(["-o", option]));
        words.extend(["--", "phalanx.invalid"]);
        (words.into_iter().map(OsString::from).collect(), log)
    }

    fn answered(&mut self, code: Option<i32>, log: &str, stderr: &str) -> Next {
        let is_version = |text: &str| text.lines().any(|line| line.starts_with("OpenSSH_"));
        if code == Some(0) {
            let is_ours = is_version(if self.asked.log_file { log } else { stderr });
            return Next::Known(if is_ours { self.asked.clone() } else { SshFeatures::unknown() });
        }
        if let Some((_, refused)) = stderr.split_once("Bad configuration option: ") {
            let refused = refused.split_whitespace().next().unwrap_or_default();
            let before = self.asked.options.len();
            self.asked
                .options
                .retain(|option| option.split_once('=').is_none_or(|(name, _)| !name.eq_ignore_ascii_case(refused)));
            if self.asked.options.len() < before {
                return Next::Ask;
            }
        }
        let refuses_log = stderr.contains("Couldn't open logfile") || stderr.contains("option -- E");
        if self.asked.log_file && refuses_log {
            self.asked.log_file = false;
            self.asked.options.retain(|option| *option != LOGGED);
            return Next::Ask;
        }
        Next::Known(SshFeatures::unknown())
    }
}

/// Each answer takes an option away, or is the last.
fn ask(program: &OsStr) -> SshFeatures {
    let mut question = Question::new();
    loop {
        let (words, log) = question.words();
        let Some(finished) = run_apart(program, words, log) else { return SshFeatures::unknown() };
        let (diagnostics, stderr) = (finished.diagnostics.text(), finished.stderr.text());
        if let Next::Known(features) = question.answered(finished.outcome.exit_code(), &diagnostics, &stderr) {
            return features;
        }
    }
}

/// Runs the program once, on an engine and a thread of its own: the caller may be a handler, whose engine cannot turn until
/// it returns.
fn run_apart(program: &OsStr, words: Vec<OsString>, log: Option<usize>) -> Option<Arc<Finished>> {
    let program = program.to_owned();
    let thread = std::thread::Builder::new().name("phalanx-ssh-features".to_owned());
    thread.spawn(move || run(&program, words, log)).ok()?.join().ok()?
}

fn run(program: &OsStr, words: Vec<OsString>, log: Option<usize>) -> Option<Arc<Finished>> {
    let words = std::iter::once(program.to_owned()).chain(words).collect();
    let launch = Launch {
        command: Command::Arguments(words),
        diagnostics: log.map(|place| place + 1),
        stdout: Output::Null,
        ..Launch::default()
    };
    let policy = Policy {
        capture_stderr: Capture::Last(4096),
        nolog: Faults::ALL,
        timeout: Some(ANSWER_WITHIN),
        ..Policy::default()
    };
    let mut engine = Engine::current_thread(EngineOptions::default()).ok()?;
    let id = engine.start(Spec { launch, policy });
    loop {
        match engine.next_event(None).ok()?? {
            Event::Ended { id: ended, finished } if ended == id => return Some(finished),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as an OpenSSH that knows only these options would.
    fn learn(known: &[&str], has_log: bool, version: &str) -> (SshFeatures, usize) {
        let mut question = Question::new();
        for asked in 1.. {
            let (words, log) = question.words();
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            let options = words.iter().filter_map(|word| Some(word.split_once('=')?.0));
            let refused = options.into_iter().find(|name| !known.contains(name)).map(str::to_lowercase);
            let (code, stderr) = match refused {
                _ if log.is_some() && !has_log => {
                    (255, "unknown option -- E\nusage: ssh [-46AaCfGgKkMNnqsTtVvXxYy]".to_owned())
                }
                Some(name) => (255, format!("command-line: line 0: Bad configuration option: {name}\r\n")),
                None => (0, if log.is_none() { version.to_owned() } else { String::new() }),
            };
            let log = if log.is_some() && code == 0 { version } else { "" };
            if let Next::Known(features) = question.answered(Some(code), log, &stderr) {
                return (features, asked);
            }
        }
        unreachable!("each answer takes an option away, or is the last")
    }

    const ALL: [&str; 7] = [
        "RemoteCommand",
        "SessionType",
        "StdinNull",
        "ForkAfterAuthentication",
        "PermitLocalCommand",
        "ClearAllForwardings",
        "LogVerbose",
    ];

    #[test]
    fn a_current_version_is_asked_once() {
        assert_eq!(learn(&ALL, true, "OpenSSH_9.9p2, OpenSSL\n"), (SshFeatures::current(), 1));
    }

    /// Whatever it knows, of all sets of options: it is told those and no others.
    #[test]
    fn every_version_is_told_what_it_knows_and_nothing_else() {
        for bits in 0..1_u32 << ALL.len() {
            let known: Vec<_> = (0..ALL.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| ALL[bit]).collect();
            let (features, _) = learn(&known, true, "OpenSSH_8.0p1, OpenSSL\n");
            let told: Vec<_> = features.options.iter().filter_map(|option| Some(option.split_once('=')?.0)).collect();
            assert!(features.is_openssh() && told.len() == known.len() && told.iter().all(|name| known.contains(name)));
            let expected = if known.contains(&"LogVerbose") { LOGGED } else { "LogLevel=DEBUG2" };
            assert_eq!(features.logging(), Some(expected));
        }
    }

    #[test]
    fn one_without_a_log_file_has_no_log() {
        let (features, _) = learn(&ALL[4..6], false, "OpenSSH_6.2p2\n");
        assert_eq!((features.is_openssh(), features.logging()), (true, None));
    }

    #[test]
    fn what_does_not_answer_as_openssh_does_is_unknown() {
        for (code, stderr) in [
            (Some(0), "Dropbear v2022.83"),
            (Some(1), "usage: ssh host"),
            (None, ""),
            (Some(255), "Bad configuration option: "),
            (Some(255), "Bad configuration option: batchmode"),
        ] {
            let mut question = Question::new();
            assert_eq!(question.answered(code, "", stderr), Next::Known(SshFeatures::unknown()), "{stderr}");
        }
    }

    #[test]
    fn only_a_program_called_ssh_is_asked() {
        // It would make the test fail by its words if it was started.
        assert_eq!(*SshFeatures::of(OsStr::new("/bin/false")), SshFeatures::unknown());
        assert_eq!(*SshFeatures::of(OsStr::new("/nonexistent/ssh")), SshFeatures::unknown());
    }

    proptest::proptest! {
        /// A program called ssh may say anything.
        #[test]
        fn no_answer_makes_it_panic_or_ask_for_ever(
            answers in proptest::collection::vec((0..3_i32, "(Bad configuration option: )?[\\PC]{0,12}"), 40)
        ) {
            let mut question = Question::new();
            let next = |(code, text): &(i32, String)| question.answered(Some(code - 1), text, text);
            proptest::prop_assert!(answers.iter().map(next).take(9).any(|next| next != Next::Ask));
        }
    }
}
