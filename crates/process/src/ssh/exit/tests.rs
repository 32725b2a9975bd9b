//! The classifier against real logs: `corpus/SITUATION_VERSION.txt`, written by real clients against a real server.

use std::fmt::Write as _;
use std::path::Path;

use super::*;

/// A log, how ssh ended, and what is to be made of it.
struct Case {
    name: String,
    facts: Vec<(String, String)>,
    log: String,
    stderr: String,
}

impl Case {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("it is UTF-8");
        let (head, rest) = text.split_once("--- log\n").expect("a log");
        let (log, stderr) = rest.split_once("--- stderr\n").expect("a stderr");
        let fact = |line: &str| line.split_once(": ").map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            facts: head.lines().map(|line| fact(line).expect("KEY: VALUE")).collect(),
            log: log.to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    fn fact(&self, key: &str) -> Option<&str> {
        self.facts.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// What is wrong with what is made of it.
    fn complaint(&self) -> Option<String> {
        let code = self.fact("status").expect("a status").parse().expect("a number");
        let exit = classify(ExitStatus::Exited(code), &SshLog::parse(&self.log, false), &self.stderr);
        let (kind, failure) = match &exit {
            RemoteExit::AsReported => ("as-reported", None),
            RemoteExit::Signaled => ("signaled", None),
            RemoteExit::NotReached(failure) => ("not-reached", Some(failure)),
            RemoteExit::Lost(failure) => ("lost", Some(failure)),
        };
        let contains = |key: &str, text: Option<&str>| {
            self.fact(key).is_none_or(|wanted| text.is_some_and(|text| text.contains(wanted)))
        };
        let warnings = ssh_warnings(&self.log).join("\n");
        let is_right = self.fact("expect") == Some(kind)
            && contains("says", failure.map(|failure| failure.reason.as_str()))
            && contains("hint", failure.map(|failure| failure.hint))
            && (self.fact("warns").is_some() != warnings.is_empty())
            && contains("warns", Some(&warnings));
        (!is_right).then(|| format!("{}: {exit:?}, warnings {warnings:?}, wanted {:?}", self.name, self.facts))
    }
}

fn corpus() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ssh/exit/corpus");
    let files = std::fs::read_dir(directory).expect("it is here").map(|entry| entry.expect("readable").path());
    let mut cases: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "txt")).map(|path| Case::read(&path)).collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

#[test]
fn every_real_log_is_understood() {
    let cases = corpus();
    assert!(cases.len() > 100, "the corpus is there: {} logs", cases.len());
    let wrong = cases.iter().filter_map(Case::complaint).fold(String::new(), |mut all, complaint| {
        writeln!(all, "{complaint}").expect("a string takes it");
        all
    });
    assert_eq!(wrong, "");
}

/// Ends that have a reason say it in one line of bounded length.
fn assert_bounded(exit: &RemoteExit) {
    if let RemoteExit::NotReached(failure) | RemoteExit::Lost(failure) = exit {
        assert!(!failure.reason.is_empty() && !failure.hint.is_empty(), "{failure:?}");
        assert!(failure.reason.chars().count() <= 600 && !failure.reason.chars().any(char::is_control), "{failure:?}");
    }
}

/// A connection may end at any byte of what ssh writes: a log without its end never makes a command that was not sent one
/// that was, and none without its beginning one that was not.
#[test]
fn a_log_that_is_cut_anywhere_is_never_taken_for_more_than_it_says() {
    for case in corpus() {
        let whole = SshLog::parse(&case.log, false);
        for cut in (0..case.log.len()).step_by(7).filter(|cut| case.log.is_char_boundary(*cut)) {
            let head = SshLog::parse(&case.log[..cut], false);
            assert!(
                whole.was_sent() || !head.was_sent() || case.log.contains("request failed on channel"),
                "{}",
                case.name
            );
            assert!(SshLog::parse(&case.log[cut..], true).was_sent() || case.log.contains("request failed on channel"));
            assert_bounded(&classify(ExitStatus::Exited(255), &head, &case.stderr));
        }
    }
}

#[test]
fn a_log_without_its_beginning_does_not_say_that_nothing_was_sent() {
    let log = SshLog::parse("debug2: channel 0: window 1 sent adjust 2\nTimeout, server h not responding.\n", true);
    let RemoteExit::Lost(failure) = classify(ExitStatus::Exited(255), &log, "") else { panic!("it is lost") };
    assert_eq!(failure.reason, "Timeout, server h not responding.");
}

/// A master serves other sessions, too, and logs their ends.
#[test]
fn the_exit_status_of_another_session_is_not_ours() {
    let log = "debug2: clientloop.c:client_session2_setup():1 (pid=1): id 0\n\
               debug1: clientloop.c:client_input_channel_req():1 (pid=1): client_input_channel_req: channel 1 rtype exit-status reply 0\n";
    let classified = classify(ExitStatus::Exited(255), &SshLog::parse(log, false), "");
    assert!(matches!(classified, RemoteExit::Lost(_)), "{classified:?}");
}

#[test]
fn an_exit_status_is_not_believed_of_a_command_that_was_not_sent() {
    let log = SshLog::parse("debug1: ssh.c:main():1 (pid=1): Connecting\n", false);
    for code in [0, 1, 255] {
        assert!(matches!(classify(ExitStatus::Exited(code), &log, ""), RemoteExit::NotReached(_)));
    }
}

#[test]
fn a_program_without_a_log_is_believed_unless_it_complains_as_ssh_does() {
    let none = SshLog::default();
    for (code, stderr, expected) in [
        (255, "", None),
        (255, "bash: line 1: nosuch: command not found", None),
        (3, "ssh: connect to host h port 22: Connection refused", None),
        (255, "a\nssh: connect to host h port 22: Connection refused\r\n", Some("Connection refused")),
        (255, "root@h: Permission denied (publickey).", Some("Permission denied")),
        (1, "Couldn't open logfile /proc/1/fd/9: Permission denied", Some("logfile")),
        (1, "no", None),
    ] {
        let exit = classify(ExitStatus::Exited(code), &none, stderr);
        match (exit, expected) {
            (RemoteExit::AsReported, None) => {}
            (RemoteExit::NotReached(failure), Some(said)) if failure.reason.contains(said) => {}
            (exit, _) => panic!("{code} {stderr}: {exit:?}"),
        }
    }
}

proptest::proptest! {
    /// The host, a jump host and a proxy have a say in the log and in the stderr.
    #[test]
    fn nothing_in_a_log_makes_it_panic_or_long(
        pieces in proptest::collection::vec((0..400_usize, "[\\PC\\r\\n\\t:()@]{0,40}"), 0..12),
        code in 0..256,
        truncated: bool,
    ) {
        let cases = corpus();
        let mut log = String::new();
        for (line, noise) in pieces {
            let case = &cases[line % cases.len()];
            let line = case.log.lines().nth(line % case.log.lines().count().max(1)).unwrap_or_default();
            log += &format!("{line}{noise}\n");
        }
        let parsed = SshLog::parse(&log, truncated);
        assert_bounded(&classify(ExitStatus::Exited(code), &parsed, &log));
        let warnings = ssh_warnings(&log);
        proptest::prop_assert!(warnings.len() <= 8 && warnings.iter().all(|line| line.chars().count() < 500 && !line.contains('\n')));
    }
}
