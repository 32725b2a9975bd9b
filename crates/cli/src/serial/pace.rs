//! Sends input line by line: each after a pause, or once the line has asked for it. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use phalanx_process::expect::{Pattern, Script, Session};

/// How input is paced, as it was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Pacing {
    /// What must be said before a line is sent; the first is sent without.
    pub(super) prompt: Option<Pattern>,
    /// How long to wait before a line is sent.
    pub(super) delay: Duration,
}

/// The input of one line, and what of it may be sent.
#[derive(Debug)]
pub(super) struct Pace {
    pacing: Pacing,
    session: Session,
    waiting: VecDeque<Vec<u8>>,
    /// Whether a line was sent, or is about to be.
    begun: bool,
}

impl Pace {
    pub(super) fn new(pacing: Pacing) -> Self {
        Self { pacing, session: Session::default(), waiting: VecDeque::new(), begun: false }
    }

    /// Takes a line of input, with its end.
    pub(super) fn push(&mut self, line: Vec<u8>) {
        self.waiting.push_back(line);
    }

    /// Takes what was said.
    pub(super) fn feed(&mut self, now: Instant, bytes: &[u8]) {
        self.session.feed(now, bytes);
    }

    /// Takes note of the time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    /// Returns when [`Pace::handle_timeout`] is to be called next, if at all.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// Returns the next line that is to be sent now.
    pub(super) fn poll_write(&mut self, now: Instant) -> Option<Vec<u8>> {
        loop {
            if let Some(line) = self.session.poll_write() {
                // What was said before a line was sent is no prompt for the next.
                self.session.skip_received();
                return Some(line);
            }
            if self.session.is_active() {
                return None;
            }
            let line = self.waiting.pop_front()?;
            let script = match &self.pacing.prompt {
                Some(prompt) if self.begun => Script::new().respond(prompt, line),
                _ => Script::new().send(line),
            };
            self.begun = true;
            let begun = self.session.run_script(now, &script.pause(self.pacing.delay), None);
            begun.expect("the prompt was compiled when the arguments were read");
        }
    }

    /// Says what the next line is waiting for.
    pub(super) fn reason(&self) -> String {
        match &self.pacing.prompt {
            Some(prompt) => format!("the line has not said {prompt} (--prompt) again"),
            None => "the next line is waiting for its time (--delay)".to_owned(),
        }
    }

    /// Returns how many lines have not been sent.
    pub(super) fn unsent(&self) -> usize {
        self.waiting.len() + usize::from(self.session.is_active())
    }
}

/// Cuts input into lines that keep their ends.
#[derive(Debug, Default)]
pub(super) struct InputLines {
    partial: Vec<u8>,
}

impl InputLines {
    /// A line that is longer is sent in pieces, rather than kept.
    const BOUND: usize = 64 << 10;

    /// Returns the lines that these bytes complete. No bytes are the end of the input.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.partial.extend_from_slice(bytes);
        let whole = match self.partial.iter().rposition(|byte| *byte == b'\n') {
            _ if bytes.is_empty() || self.partial.len() >= Self::BOUND => self.partial.len(),
            last => last.map_or(0, |last| last + 1),
        };
        let rest = self.partial.split_off(whole);
        let whole = std::mem::replace(&mut self.partial, rest);
        whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(prompt: Option<&str>, delay: Duration) -> Pace {
        let mut pace = Pace::new(Pacing { prompt: prompt.map(Pattern::regex), delay });
        ["\n", "root\n", "secret\n"].iter().for_each(|line| pace.push(line.as_bytes().to_vec()));
        pace
    }

    fn sent(pace: &mut Pace, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| pace.poll_write(now)).map(|line| String::from_utf8(line).expect("text")).collect()
    }

    #[test]
    fn every_line_but_the_first_waits_for_a_prompt_that_was_said_since() {
        let (mut pace, now) = (pace(Some("(login|Password): "), Duration::ZERO), Instant::now());
        pace.feed(now, b"n1 login: ");
        assert_eq!(sent(&mut pace, now), ["\n"], "what was said before it was not said to it");
        assert_eq!((pace.unsent(), pace.poll_timeout()), (2, None));
        pace.feed(now, b"\r\nn1 login: ");
        assert_eq!(sent(&mut pace, now), ["root\n"]);
        pace.feed(now, b"root\r\nPass");
        assert_eq!(sent(&mut pace, now), [""; 0]);
        pace.feed(now, b"word: ");
        assert_eq!((sent(&mut pace, now), pace.unsent()), (vec!["secret\n".to_owned()], 0));
    }

    #[test]
    fn every_line_waits_for_its_delay() {
        let (mut pace, begin) = (pace(None, SECOND), Instant::now());
        for (number, line) in (1..).zip(["\n", "root\n", "secret\n"]) {
            assert_eq!(sent(&mut pace, begin + SECOND * (number - 1)), [""; 0]);
            assert_eq!(pace.poll_timeout(), Some(begin + SECOND * number));
            pace.handle_timeout(begin + SECOND * number);
            assert_eq!(pace.poll_write(begin + SECOND * number), Some(line.into()));
        }
        assert_eq!(pace.unsent(), 0);
    }

    #[test]
    fn a_delay_begins_with_the_prompt() {
        let (mut pace, begin) = (pace(Some("login: "), SECOND), Instant::now());
        assert_eq!(sent(&mut pace, begin), [""; 0]);
        pace.handle_timeout(begin + SECOND);
        assert_eq!(sent(&mut pace, begin + SECOND), ["\n"]);
        pace.feed(begin + 5 * SECOND, b"login: ");
        assert_eq!(pace.poll_timeout(), Some(begin + 6 * SECOND));
        pace.handle_timeout(begin + 6 * SECOND);
        assert_eq!(sent(&mut pace, begin + 6 * SECOND), ["root\n"]);
    }

    #[test]
    fn input_is_cut_behind_its_line_feeds_and_at_its_end() {
        let mut lines = InputLines::default();
        assert_eq!(lines.feed(b"\nro"), [b"\n".to_vec()]);
        assert_eq!(lines.feed(b"ot\r\nsecret\nup"), [b"root\r\n".to_vec(), b"secret\n".to_vec()]);
        assert_eq!(lines.feed(b""), [b"up".to_vec()]);
        assert!(lines.feed(b"").is_empty());
        assert_eq!(lines.feed(&[b'x'; InputLines::BOUND]).concat().len(), InputLines::BOUND);
    }
}
