//! Finds in the log of ssh the line that says why, and what a user can do about it. Pure.
//!
//! The last line is seldom it: `Disconnected from …` comes behind `Too many authentication failures`, and `terminating, 1
//! bad configuration options` behind the line with the mistake. So there is one table of situations, the most telling
//! first, and each has one sentence of advice.

use phalanx_core::Signal;

use super::log::SshLog;

/// How ssh failed, in a line, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshFailure {
    /// What ssh said, or what became of it: one line without control characters, of at most a few hundred characters.
    pub reason: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl SshFailure {
    fn new(reason: impl AsRef<str>, hint: &'static str) -> Self {
        Self { reason: one_line(reason.as_ref()), hint }
    }

    pub(super) fn ssh_killed(signal: Signal) -> Self {
        Self::new(format!("its ssh was killed by {signal}"), RUN_AGAIN)
    }
}

/// The longest reason, in characters. ssh itself cuts what a server says at about as much.
const LONGEST: usize = 400;

const RUN_AGAIN: &str = "run it again; the command may still be running there";
const SEE_MORE: &str = "run `ssh -v` to that host to see more";
const TURNED_AWAY: &str =
    "sshd hung up: too many connections at once (see MaxStartups, or lower -f), or not allowed in";
const PROXY: &str = "check the jump host or proxy of that host: ProxyJump and ProxyCommand of your ssh configuration";
const UNKNOWN_KEY: &str =
    "its host key is not among your known hosts: check it, then connect once with ssh, or use ssh-keyscan";
const CHANGED_KEY: &str =
    "its host key has changed: check that it is still the same host, then update your known hosts (ssh-keygen -R)";
const REVOKED_KEY: &str =
    "its host key is marked as revoked: do not connect before its administrator has given it another";
const FORWARDING: &str =
    "your ssh configuration forwards ports of its own for that host, and one of them cannot be had";
const CONFIGURATION: &str = "mend the option (-o) or the ssh configuration (-F)";

/// What ssh says, and what to do about it; the more telling lines first.
const SITUATIONS: &[(&str, &str)] = &[
    (" is marked as revoked", REVOKED_KEY),
    (" was revoked and you have requested", REVOKED_KEY),
    ("REVOKED HOST KEY DETECTED", REVOKED_KEY),
    (" has changed and you have requested strict checking", CHANGED_KEY),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", CHANGED_KEY),
    (" host key is known for ", UNKNOWN_KEY),
    // Alone it is an unknown key: nobody is asked.
    ("Host key verification failed", UNKNOWN_KEY),
    ("Bad configuration option", CONFIGURATION),
    ("Bad owner or permissions on", "let no other user write that file"),
    ("Too many authentication failures", "your agent offers too many keys: name one with -i and -o IdentitiesOnly=yes"),
    ("Permission denied (", "check the user (-l) and the key (-i); nobody is asked for a password"),
    ("Could not resolve", "check the name, or give it an address in your ssh configuration"),
    (
        "Unable to negotiate with",
        "that host and your ssh have no algorithm in common: see Ciphers, KexAlgorithms and HostKeyAlgorithms",
    ),
    ("no matching host key type", "that host and your ssh have no algorithm in common: see HostKeyAlgorithms"),
    ("Error: remote port forwarding failed", FORWARDING),
    ("Could not request local forwarding", FORWARDING),
    ("Could not request remote forwarding", FORWARDING),
    ("request failed on channel", "sshd refused to start the command: see ForceCommand, PermitTTY and its log"),
    (": open failed: ", "sshd refused the session: see MaxSessions and its log"),
    ("Connection refused", "nothing listens there: check that sshd runs, and the port (-p)"),
    ("No route to host", "check the network and that it is up"),
    ("Network is unreachable", "check the network"),
    ("timed out", "it does not answer: check that it is up, or wait longer (-t)"),
    ("Received disconnect from", "sshd ended the connection: see its log"),
    ("invalid time value", "give -t a number of seconds that ssh understands"),
    ("remote username", "check the user (-l)"),
    ("Identity file", "check the key file (-i)"),
    (
        "Couldn't open logfile",
        "what is called ssh runs as another user, or without /proc: call that wrapper by another name than ssh",
    ),
    ("Cannot specify", CONFIGURATION),
    ("kex_exchange_identification", TURNED_AWAY),
    ("banner exchange", TURNED_AWAY),
    ("Connection closed by", TURNED_AWAY),
    ("Connection reset by", TURNED_AWAY),
];

/// Lines that are no complaint: the version, summaries, a new host key, the frame around a warning.
const NOTICES: &[&str] = &[
    "OpenSSH_",
    "Authenticated to ",
    "Authenticated using ",
    "Transferred: ",
    "Bytes per second: ",
    "Warning: ",
    "Host key fingerprint is ",
    "Pseudo-terminal will not be allocated",
    "@",
    "ControlSocket ",
    "mux_client_request_session: ",
    "Control socket connect(",
    "stdio forwarding failed",
];

/// Returns why ssh failed, as far as its log and what ends the stderr tell.
pub(super) fn explain_end(log: &SshLog<'_>, stderr: &str) -> SshFailure {
    if log.was_sent() {
        return explain_loss(log, stderr);
    }
    let failure = explain_log(log);
    // A proxy that failed is seen by ssh as a server that hung up; and before the command is sent, stderr is the proxy's.
    if log.has_proxy()
        && failure.as_ref().is_none_or(|failure| failure.hint == TURNED_AWAY || failure.reason.contains("UNKNOWN"))
    {
        return proxy_failure(failure, stderr);
    }
    failure
        .or_else(|| complaint_on_stderr(stderr))
        .unwrap_or_else(|| SshFailure::new("ssh ended before it sent the command, without a word", SEE_MORE))
}

/// Returns what the log complains of, if of anything.
pub(super) fn explain_log(log: &SshLog<'_>) -> Option<SshFailure> {
    let failure = mistake(log.complaints()).or_else(|| situation(log.complaints()));
    failure.or_else(|| last_complaint(log.complaints()))
}

/// The command was sent: what counts is what ended the connection.
fn explain_loss(log: &SshLog<'_>, stderr: &str) -> SshFailure {
    if log.lost_its_master() {
        let reason = "its ControlMaster ended, or reported no exit status (the connection was lost, or a signal killed the command)";
        return SshFailure::new(reason, RUN_AGAIN);
    }
    let last = log.complaints().rfind(|line| !is_notice(line)).or_else(|| last_line_of_ssh(stderr));
    let reason = match last {
        Some(line) if line.contains("UNKNOWN port 65535") => "the jump host or proxy closed the connection",
        Some(line) => line,
        None => "the connection ended without a word",
    };
    SshFailure::new(reason, RUN_AGAIN)
}

/// The line of the first situation of the table that the log knows.
fn situation<'a>(complaints: impl DoubleEndedIterator<Item = &'a str> + Clone) -> Option<SshFailure> {
    let found =
        |(said, hint): &(&str, &'static str)| Some((complaints.clone().rfind(|line| line.contains(said))?, *hint));
    let (line, hint) = SITUATIONS.iter().find_map(found)?;
    if hint == CHANGED_KEY {
        return Some(SshFailure::new(changed_key(complaints), hint));
    }
    Some(SshFailure::new(line, hint))
}

/// A mistake in the configuration: ssh names it, and behind it how many there were.
fn mistake<'a>(complaints: impl DoubleEndedIterator<Item = &'a str> + Clone) -> Option<SshFailure> {
    let ended = complaints.clone().any(|line| line.contains(": terminating, "));
    let named = ended.then(|| last_complaint(complaints)).flatten()?;
    Some(SshFailure { hint: CONFIGURATION, ..named })
}

/// `Host key for NAME has changed …`, and where the old one stands.
fn changed_key<'a>(complaints: impl DoubleEndedIterator<Item = &'a str> + Clone) -> String {
    let find = |said: &str| complaints.clone().rfind(|line| line.contains(said));
    let changed = find(" has changed and you have requested").unwrap_or("REMOTE HOST IDENTIFICATION HAS CHANGED");
    match find("Offending ") {
        Some(offending) => format!("{} ({offending})", changed.trim_end_matches('.')),
        None => changed.to_owned(),
    }
}

fn last_complaint<'a>(mut complaints: impl DoubleEndedIterator<Item = &'a str>) -> Option<SshFailure> {
    let line = complaints.rfind(|line| !is_notice(line))?;
    Some(SshFailure::new(line, if has_place(line) { CONFIGURATION } else { SEE_MORE }))
}

/// Whether a complaint is about a line of a configuration: `FILE line 2: unsupported option "perhaps".`
fn has_place(line: &str) -> bool {
    let number = line.split_once(" line ").and_then(|(_, rest)| rest.split_once(':'));
    number.is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_notice(line: &str) -> bool {
    NOTICES.iter().any(|start| line.starts_with(start)) || line.contains(": terminating, ")
}

fn proxy_failure(failure: Option<SshFailure>, stderr: &str) -> SshFailure {
    let words = || stderr.lines().map(str::trim_end).filter(|line| !line.is_empty() && !is_notice(line));
    let Some(own) = situation(words()).or_else(|| last_complaint(words())) else {
        let reason = failure.map_or_else(|| "without a word".to_owned(), |failure| failure.reason);
        return SshFailure::new(format!("the jump host or proxy failed: {reason}"), PROXY);
    };
    match own.reason.split_once(": open failed: ") {
        // `channel 0: open failed: connect failed: Connection refused`: the jump host itself works.
        Some((_, why)) => {
            let hint = situation(std::iter::once(why)).map_or(SEE_MORE, |behind| behind.hint);
            SshFailure::new(format!("the jump host was reached, but not the host behind it: {why}"), hint)
        }
        None => SshFailure::new(format!("the jump host or proxy failed: {}", own.reason), PROXY),
    }
}

pub(super) fn could_not_open_log(stderr: &str) -> bool {
    stderr.lines().next_back().is_some_and(|line| line.starts_with("Couldn't open logfile"))
}

/// A complaint of ssh that ends the stderr: without a log it goes there, as it does before the log is opened.
pub(super) fn complaint_on_stderr(stderr: &str) -> Option<SshFailure> {
    let line = last_line_of_ssh(stderr)?;
    Some(situation(std::iter::once(line)).unwrap_or_else(|| SshFailure::new(line, SEE_MORE)))
}

fn last_line_of_ssh(stderr: &str) -> Option<&str> {
    let line = stderr.lines().map(str::trim_end).rfind(|line| !line.is_empty())?;
    let known = [
        "ssh: ",
        "kex_exchange",
        "client_loop: ",
        "Connection ",
        "Read from remote host ",
        "Permission denied (",
        "Host key verification",
        "Timeout, server",
        "command-line",
        "remote username",
        "Bad owner or permissions",
        "percent_expand",
        "vdollar_percent_expand",
        "Unsupported option",
        "Couldn't open logfile",
        "Cannot specify ",
        "Cannot execute command-line and remote command",
    ];
    let is_known = known.iter().any(|start| line.starts_with(start)) || line.contains(": Permission denied (");
    is_known.then_some(line)
}

/// Returns the warnings of ssh that a user should see although the command ran: a host key that has changed or is revoked
/// and was accepted all the same, a forwarding that failed, known hosts that cannot be written.
#[must_use]
pub fn ssh_warnings(log: &str) -> Vec<String> {
    let log = SshLog::parse(log, false);
    if !log.was_sent() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let find = |said: &str| log.all_complaints().find(|line| line.contains(said));
    if find("REMOTE HOST IDENTIFICATION HAS CHANGED").is_some() {
        let offending = find("Offending ").map(|line| format!(" ({line})")).unwrap_or_default();
        warnings.push(format!("the host key has changed, and was accepted since host keys are not checked{offending}"));
    }
    if find("REVOKED HOST KEY DETECTED").is_some() {
        warnings.push("the host key is marked as revoked, and was accepted since host keys are not checked".to_owned());
    }
    let others = log.all_complaints().filter(|line| {
        let is_new_key = line.starts_with("Warning: Permanently added");
        line.starts_with("Warning: ") && !is_new_key || line.starts_with("Failed to add the host")
    });
    warnings.extend(others.map(str::to_owned));
    warnings.iter().take(MOST_WARNINGS).map(|warning| one_line(warning)).collect()
}

/// A server can say what it likes in the log; it shall not fill ours.
const MOST_WARNINGS: usize = 8;

fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
