//! Reads the log of an ssh: which lines are complaints, and what the debugging ones prove. Pure.
//!
//! ```text
//!  debug1: clientloop.c:client_session2_setup():2642 (pid=41): Sending command: hostname       LogVerbose, since 8.5
//!  debug1: Sending command: hostname                                                           LogLevel, before
//!  sshconnect.c:ssh_connect_direct():517 (pid=41): ssh: connect to host h port 1: Connection refused
//!  └──── location, if LogVerbose asked for it ───┘ └──── text; without `debugN:` before, a complaint or a notice
//! ```

const MASTER_SAID: &str = "Received exit status from master ";
const MASTER_GONE: &str = "Control master terminated unexpectedly";

/// What an ssh wrote about its own doings.
#[derive(Debug, Default)]
pub(super) struct SshLog<'a> {
    lines: Vec<Line<'a>>,
    /// Where the command was sent: the number of the line behind.
    sent: Option<usize>,
    /// The session was refused after it was opened.
    refused: bool,
    exit_status: bool,
    exit_signal: bool,
}

#[derive(Debug)]
struct Line<'a> {
    is_debug: bool,
    text: &'a str,
}

impl<'a> SshLog<'a> {
    /// Reads a log. Of one whose beginning is lost it cannot be said that the command was not sent; no connection says so
    /// much before.
    pub(super) fn parse(log: &'a str, is_truncated: bool) -> Self {
        let mut parsed = Self { sent: is_truncated.then_some(0), ..Self::default() };
        let mut channel = None;
        for raw in log.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let (level, rest) = split_level(raw);
            let (function, text) = split_location(rest);
            let is_debug = level.is_some();
            parsed.lines.push(Line { is_debug, text });
            if is_debug {
                parsed.note(function, text, &mut channel);
            } else if text.starts_with("exec request failed on channel")
                || text.starts_with("shell request failed on channel")
            {
                parsed.refused = true;
            }
        }
        parsed
    }

    /// Takes note of a debugging line. `channel` is that of our command, once known: a master has those of others, too.
    fn note(&mut self, function: &str, text: &'a str, channel: &mut Option<&'a str>) {
        const SETUP: &str = "client_session2_setup";
        let setup = text.strip_prefix(SETUP).and_then(|rest| rest.strip_prefix(": "));
        let setup = if function == SETUP { Some(text) } else { setup };
        let is_sent = ["Sending command: ", "Sending subsystem: "].iter().any(|start| text.starts_with(start));
        if let Some(id) = setup.and_then(|text| text.strip_prefix("id ")) {
            channel.get_or_insert(id);
        }
        // From 7.9 to 8.2, a client of a master is silent until the end of its session.
        let is_of_master = text.contains("master session id: ") || text == MASTER_GONE || text.starts_with(MASTER_SAID);
        if setup.is_some() || is_sent || is_of_master {
            self.sent.get_or_insert(self.lines.len());
        }
        if text.starts_with(MASTER_SAID) {
            self.exit_status = true;
        } else if let Some(request) = text.strip_prefix("client_input_channel_req: channel ") {
            let ours = request.split_once(' ').filter(|(id, _)| channel.is_none_or(|channel| channel == *id));
            self.exit_status |= ours.is_some_and(|(_, request)| request.starts_with("rtype exit-status"));
            self.exit_signal |= ours.is_some_and(|(_, request)| request.starts_with("rtype exit-signal"));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the command was sent to the host, and the host did not refuse to start it.
    pub(super) fn was_sent(&self) -> bool {
        self.sent.is_some() && !self.refused
    }

    /// Whether the host reported an exit status of our command.
    pub(super) fn has_exit_status(&self) -> bool {
        self.exit_status
    }

    /// Whether the host reported that a signal killed our command.
    pub(super) fn has_exit_signal(&self) -> bool {
        self.exit_signal
    }

    /// Whether the connection went through a jump host or another proxy.
    pub(super) fn has_proxy(&self) -> bool {
        let executed = |line: &Line<'_>| line.is_debug && line.text.starts_with("Executing proxy ");
        self.lines.iter().any(|line| executed(line) || line.text.contains("UNKNOWN port 65535"))
    }

    /// Whether the session was one of a master of the user's (ControlMaster), and the master went away.
    pub(super) fn lost_its_master(&self) -> bool {
        self.lines.iter().any(|line| line.is_debug && line.text == MASTER_GONE)
    }

    /// Complaints and notices: of a command that was sent those behind, for what came before did not prevent it.
    pub(super) fn complaints(&self) -> impl DoubleEndedIterator<Item = &'a str> + Clone {
        let from = if self.was_sent() { self.sent.unwrap_or_default() } else { 0 };
        self.lines[from.min(self.lines.len())..].iter().filter(|line| !line.is_debug).map(|line| line.text)
    }

    /// Complaints and notices of the whole log.
    pub(super) fn all_complaints(&self) -> impl DoubleEndedIterator<Item = &'a str> + Clone {
        self.lines.iter().filter(|line| !line.is_debug).map(|line| line.text)
    }
}

/// `debug1: ` and the rest.
fn split_level(line: &str) -> (Option<u8>, &str) {
    let level = |rest: &str| rest.as_bytes().first().copied().filter(u8::is_ascii_digit);
    match line.strip_prefix("debug").and_then(|rest| Some((level(rest)?, rest[1..].strip_prefix(": ")?))) {
        Some((level, rest)) => (Some(level), rest),
        None => (None, line),
    }
}

/// The function in `FILE.c:FUNCTION():LINE (bin=ssh, pid=N): `, and what comes behind; or nothing and everything.
fn split_location(text: &str) -> (&str, &str) {
    let split = || {
        let (file, rest) = text.split_once(':')?;
        let is_file = file.ends_with(".c") && !file.contains(char::is_whitespace);
        let (function, rest) = rest.split_once("():")?;
        let (number, rest) = rest.split_once(" (")?;
        let (process, rest) = rest.split_once("): ")?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        (is_file && is_number && process.contains("pid=")).then_some((function, rest))
    };
    split().unwrap_or(("", text))
}
