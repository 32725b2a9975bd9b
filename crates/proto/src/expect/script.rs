//! A conversation: what to answer to what, until it has succeeded or failed. Pure like the matcher it stands on: bytes
//! go in, bytes to write come out; who reads and writes them (a pty, an ssh, a serial line) is not known here.
//!
//! ```text
//!             an answer is due                              all that must be answered was,
//!            ┌──────────────┐                               and a success pattern is found
//!            ▼              │                               (or there is none)
//!   ┌──▶ Running ───────────┘  ───────────────────────────────────────────────────────────▶ Succeeded
//!   │       │ ╲
//!   │       │  ╲ a failure pattern is found ───────────────────────────────────────────────▶ Refused
//!   │       ▼   ╲
//!   └── quiet    the stream ends, or the time is over ────────────────────────────────────▶ NotFound
//! ```

use std::collections::VecDeque;
use std::fmt;

use super::compiled::{Expect, InvalidPattern};
use super::matched::{Match, MatchResult, NotFound};
use super::matcher::Matcher;
use super::pattern::Pattern;

/// What to answer to what: the description of a [`Dialogue`], for any number of streams.
///
/// At any moment the patterns of these lists are looked for; of those decided by the same byte, the first in this order
/// counts:
///
/// 1. those of [`Script::fail_on`];
/// 2. those of [`Script::repeat`];
/// 3. the steps that may come next: the optional ones up to the next that is not, and that one;
/// 4. those of [`Script::succeed_on`], once no step is left that must come.
#[derive(Clone, Debug, Default)]
pub struct Script {
    patterns: Vec<Pattern>,
    /// In the order of the patterns.
    roles: Vec<Role>,
}

#[derive(Clone, Debug)]
enum Role {
    Step { answer: Answer, optional: bool },
    Repeat(Answer),
    Success,
    Failure,
}

/// Bytes that may be a password: never shown.
#[derive(Clone)]
struct Answer(Vec<u8>);

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Script {
    /// A script that says nothing, and succeeds at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next step: when the pattern is found, writes the answer, as it is. A line needs its `\n` (or `\r` on a raw
    /// terminal).
    #[must_use]
    pub fn respond(self, pattern: impl Into<Pattern>, answer: impl AsRef<[u8]>) -> Self {
        self.with(pattern, Role::Step { answer: Answer(answer.as_ref().to_vec()), optional: false })
    }

    /// The next step, which may be left out: once a later step was answered, or the script has succeeded, its turn is
    /// over.
    #[must_use]
    pub fn optional(self, pattern: impl Into<Pattern>, answer: impl AsRef<[u8]>) -> Self {
        self.with(pattern, Role::Step { answer: Answer(answer.as_ref().to_vec()), optional: true })
    }

    /// Writes the answer whenever the pattern is found, any number of times: `--More--`, `(yes/no)?`.
    #[must_use]
    pub fn repeat(self, pattern: impl Into<Pattern>, answer: impl AsRef<[u8]>) -> Self {
        self.with(pattern, Role::Repeat(Answer(answer.as_ref().to_vec())))
    }

    /// The script has succeeded when this pattern is found after all steps that must come. Without such a pattern, it has
    /// succeeded with the last of them.
    #[must_use]
    pub fn succeed_on(self, pattern: impl Into<Pattern>) -> Self {
        self.with(pattern, Role::Success)
    }

    /// The script has failed when this pattern is found, at any time: `Login incorrect`.
    #[must_use]
    pub fn fail_on(self, pattern: impl Into<Pattern>) -> Self {
        self.with(pattern, Role::Failure)
    }

    fn with(mut self, pattern: impl Into<Pattern>, role: Role) -> Self {
        self.patterns.push(pattern.into());
        self.roles.push(role);
        self
    }

    /// The patterns that count while the steps before number `step` are over, in their order.
    fn active(&self, step: usize) -> Vec<usize> {
        let mandatory = |number: &usize| matches!(self.roles[*number], Role::Step { optional: false, .. });
        let steps: Vec<usize> =
            self.numbers(|role| matches!(role, Role::Step { .. })).filter(|&number| number >= step).collect();
        let next = steps.iter().position(mandatory);
        let mut active: Vec<usize> = self.numbers(|role| matches!(role, Role::Failure)).collect();
        active.extend(self.numbers(|role| matches!(role, Role::Repeat(_))));
        active.extend(&steps[..next.map_or(steps.len(), |next| next + 1)]);
        if next.is_none() {
            active.extend(self.numbers(|role| matches!(role, Role::Success)));
        }
        active
    }

    fn numbers(&self, wanted: impl Fn(&Role) -> bool) -> impl Iterator<Item = usize> {
        self.roles.iter().enumerate().filter(move |(_, role)| wanted(role)).map(|(number, _)| number)
    }

    /// Whether nothing more has to be found once the steps before `step` are over.
    fn is_over(&self, step: usize) -> bool {
        let must = |(number, role): (usize, &Role)| match role {
            Role::Step { optional, .. } => !optional && number >= step,
            Role::Success => true,
            Role::Repeat(_) | Role::Failure => false,
        };
        !self.roles.iter().enumerate().any(must)
    }
}

/// How a dialogue ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptOutcome {
    /// All was answered. The match that ended it: that of [`Script::succeed_on`], or of the last step; `None` for an empty
    /// script.
    Succeeded(Option<Match>),
    /// A pattern of [`Script::fail_on`] was found.
    Failed(Match),
    /// The stream ended, or the time was over.
    NotFound(NotFound),
}

impl ScriptOutcome {
    /// Whether the dialogue has succeeded.
    #[must_use]
    pub fn ok(&self) -> bool {
        matches!(self, Self::Succeeded(_))
    }
}

/// A [`Script`] being played on one stream.
///
/// ```
/// use phalanx_proto::expect::{Dialogue, Pattern, Script};
///
/// let script = Script::new()
///     .respond("login: ", "root\n")
///     .optional("Password: ", "secret\n")
///     .succeed_on(Pattern::regex("[$#] "))
///     .fail_on("incorrect");
/// let mut dialogue = Dialogue::new(&script)?;
/// dialogue.feed(b"n1 login: ");
/// assert_eq!(dialogue.poll_write().as_deref(), Some(&b"root\n"[..]));
/// dialogue.feed(b"root\r\nWelcome\r\n# ");
/// assert!(dialogue.outcome().expect("ended").ok());
/// # Ok::<(), phalanx_proto::expect::InvalidPattern>(())
/// ```
#[derive(Debug)]
pub struct Dialogue {
    script: Script,
    /// All patterns of the script, compiled.
    patterns: Expect,
    matcher: Matcher,
    /// Steps before this number are over.
    step: usize,
    /// The script's number of every pattern that is looked for now.
    active: Vec<usize>,
    writes: VecDeque<Answer>,
    outcome: Option<ScriptOutcome>,
}

impl Dialogue {
    /// Starts a dialogue on a new stream.
    ///
    /// # Errors
    ///
    /// When a regular expression of the script is malformed.
    pub fn new(script: &Script) -> Result<Self, InvalidPattern> {
        Self::on(Matcher::default(), script)
    }

    /// Starts a dialogue on a stream that has been read before: what was received and not yet consumed is looked at
    /// first.
    ///
    /// # Errors
    ///
    /// As [`Dialogue::new`].
    pub fn on(matcher: Matcher, script: &Script) -> Result<Self, InvalidPattern> {
        let patterns = Expect::new(&script.patterns)?;
        let mut dialogue = Self {
            script: script.clone(),
            patterns,
            matcher,
            step: 0,
            active: Vec::new(),
            writes: VecDeque::new(),
            outcome: None,
        };
        if dialogue.script.is_over(0) {
            dialogue.outcome = Some(ScriptOutcome::Succeeded(None));
        } else {
            let verdict = dialogue.look();
            dialogue.go_on(verdict);
        }
        Ok(dialogue)
    }

    /// Takes bytes that arrived. What arrives after the end is kept for whoever takes over; see
    /// [`Dialogue::into_matcher`].
    pub fn feed(&mut self, chunk: &[u8]) {
        let verdict = self.matcher.feed(chunk);
        self.go_on(verdict);
    }

    /// The stream fell silent; see [`Matcher::handle_idle`].
    pub fn handle_idle(&mut self) {
        let verdict = self.matcher.handle_idle();
        self.go_on(verdict);
    }

    /// Whether silence would decide something; see [`Matcher::is_pending`].
    pub fn is_pending(&mut self) -> bool {
        self.matcher.is_pending()
    }

    /// The time for the next answer is over.
    pub fn timeout(&mut self) {
        let verdict = self.matcher.timeout();
        self.go_on(verdict);
    }

    /// The stream has ended.
    pub fn end_of_file(&mut self) {
        let verdict = self.matcher.end_of_file();
        self.go_on(verdict);
    }

    /// The next bytes to write to the other side. Ask until there are none, also after the end: a last answer may be
    /// among them.
    #[must_use]
    pub fn poll_write(&mut self) -> Option<Vec<u8>> {
        self.writes.pop_front().map(|answer| answer.0)
    }

    /// How the dialogue ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&ScriptOutcome> {
        self.outcome.as_ref()
    }

    /// The stream, positioned after the last match, to go on with something else.
    #[must_use]
    pub fn into_matcher(self) -> Matcher {
        self.matcher
    }

    fn look(&mut self) -> Option<MatchResult> {
        self.active = self.script.active(self.step);
        self.matcher.expect(&self.patterns.select(&self.active))
    }

    fn go_on(&mut self, mut verdict: Option<MatchResult>) {
        while self.outcome.is_none()
            && let Some(ended) = verdict
        {
            match ended {
                Ok(found) => self.apply(found),
                Err(missed) => self.outcome = Some(ScriptOutcome::NotFound(missed)),
            }
            verdict = if self.outcome.is_none() { self.look() } else { None };
        }
    }

    fn apply(&mut self, found: Match) {
        let number = self.active[found.pattern()];
        match &self.script.roles[number] {
            Role::Failure => self.outcome = Some(ScriptOutcome::Failed(found)),
            Role::Success => self.outcome = Some(ScriptOutcome::Succeeded(Some(found))),
            Role::Repeat(answer) => self.writes.push_back(answer.clone()),
            Role::Step { answer, .. } => {
                self.writes.push_back(answer.clone());
                self.step = number + 1;
                if self.script.is_over(self.step) {
                    self.outcome = Some(ScriptOutcome::Succeeded(Some(found)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Reason;

    fn login() -> Script {
        Script::new()
            .respond("login: ", "root\n")
            .optional("Password: ", "secret\n")
            .respond("terminal type? ", "vt100\n")
            .repeat("--More--", " ")
            .succeed_on(Pattern::regex("[$#] "))
            .fail_on("incorrect")
    }

    /// Plays all chunks and says what was written.
    fn play(dialogue: &mut Dialogue, chunks: &[&str]) -> Vec<String> {
        for chunk in chunks {
            dialogue.feed(chunk.as_bytes());
        }
        std::iter::from_fn(|| dialogue.poll_write())
            .map(|answer| String::from_utf8_lossy(&answer).into_owned())
            .collect()
    }

    #[test]
    fn steps_are_answered_in_their_order_whatever_the_chunks() {
        let text = "n1 login: Password: --More----More--terminal type? # ";
        for size in [1, 3, 100] {
            let mut dialogue = Dialogue::new(&login()).expect("valid");
            let chunks: Vec<&str> =
                text.as_bytes().chunks(size).map(|chunk| str::from_utf8(chunk).expect("ASCII")).collect();
            assert_eq!(play(&mut dialogue, &chunks), ["root\n", "secret\n", " ", " ", "vt100\n"]);
            assert!(dialogue.outcome().expect("ended").ok());
        }
    }

    #[test]
    fn an_optional_step_may_be_left_out_and_is_then_over() {
        let mut dialogue = Dialogue::new(&login()).expect("valid");
        assert_eq!(play(&mut dialogue, &["login: terminal type? Password: "]), ["root\n", "vt100\n"]);
        assert!(dialogue.outcome().is_none());
    }

    #[test]
    fn a_prompt_before_its_time_is_no_success() {
        let mut dialogue = Dialogue::new(&login()).expect("valid");
        assert_eq!(play(&mut dialogue, &["# Welcome # login: "]), ["root\n"]);
        assert!(dialogue.outcome().is_none());
    }

    #[test]
    fn a_refusal_ends_the_dialogue_at_any_time() {
        let mut dialogue = Dialogue::new(&login()).expect("valid");
        play(&mut dialogue, &["login: ", "Password: ", "Login incorrect\r\n", "login: "]);
        assert!(matches!(dialogue.outcome(), Some(ScriptOutcome::Failed(found)) if found.matched() == b"incorrect"));
        assert_eq!(dialogue.into_matcher().unconsumed(), b"\r\nlogin: ");
    }

    #[test]
    fn without_a_success_needle_the_last_step_is_the_success() {
        let mut dialogue = Dialogue::new(&Script::new().respond("login: ", "root\n")).expect("valid");
        assert_eq!(play(&mut dialogue, &["login: rest"]), ["root\n"]);
        assert!(dialogue.outcome().expect("ended").ok());
        assert_eq!(dialogue.into_matcher().unconsumed(), b"rest");
    }

    #[test]
    fn a_timeout_and_an_end_say_what_was_waited_for() {
        let mut dialogue = Dialogue::new(&login()).expect("valid");
        play(&mut dialogue, &["login: "]);
        dialogue.timeout();
        let Some(ScriptOutcome::NotFound(missed)) = dialogue.outcome() else { panic!("missed") };
        assert_eq!(missed.expected, r#""incorrect", "--More--", "Password: " or "terminal type? ""#);
        let mut dialogue = Dialogue::new(&login()).expect("valid");
        dialogue.end_of_file();
        assert!(matches!(
            dialogue.outcome(),
            Some(ScriptOutcome::NotFound(NotFound { reason: Reason::EndOfFile, .. }))
        ));
    }

    #[test]
    fn the_end_of_the_stream_can_be_the_success() {
        let script = Script::new().respond("login: ", "root\n").succeed_on(Pattern::EndOfFile);
        let mut dialogue = Dialogue::new(&script).expect("valid");
        play(&mut dialogue, &["login: bye"]);
        dialogue.end_of_file();
        assert!(matches!(dialogue.outcome(), Some(ScriptOutcome::Succeeded(Some(found))) if found.before() == b"bye"));
    }

    #[test]
    fn silence_settles_a_prompt_that_may_go_on() {
        let script = Script::new().respond(Pattern::regex("login: *"), "root\n");
        let mut dialogue = Dialogue::new(&script).expect("valid");
        assert!(play(&mut dialogue, &["login: "]).is_empty());
        assert!(dialogue.is_pending());
        dialogue.handle_idle();
        assert_eq!(play(&mut dialogue, &[]), ["root\n"]);
    }

    #[test]
    fn a_dialogue_goes_on_where_another_search_stopped() {
        let mut matcher = Matcher::default();
        assert!(matcher.feed(b"login: ").is_none());
        let mut dialogue = Dialogue::on(matcher, &login()).expect("valid");
        assert_eq!(play(&mut dialogue, &[]), ["root\n"]);
    }

    #[test]
    fn answers_are_not_shown() {
        assert!(!format!("{:?}", Dialogue::new(&login())).contains("secret"));
    }
}
