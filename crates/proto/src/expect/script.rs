//! A script: what to respond to what, until it has succeeded or failed; and the state of one that runs. A
//! [`Session`](super::Session) runs it on a stream.
//!
//! ```text
//!             a response is due; perhaps after a pause      all steps that are not optional are over,
//!            ┌──────────────┐                               and a success pattern is found
//!            ▼              │                               (or there is none)
//!   ┌──▶ Running ───────────┘  ───────────────────────────────────────────────────────────▶ Succeeded
//!   │       │ ╲
//!   │       │  ╲ a failure pattern is found ──────────────────────────────────────────────▶ Failed
//!   │       ▼   ╲
//!   └── silence  the stream ends, or the time is over ────────────────────────────────────▶ NotFound
//! ```

use std::fmt;
use std::time::Duration;

use super::compiled::{Expect, InvalidPattern};
use super::matched::{Match, NotFound};
use super::pattern::Pattern;

/// What to respond to what: a description, for any number of streams. A [`Session`](super::Session) runs it.
///
/// What [`Script::send`] lists is sent first. Then, at any moment, the patterns of these lists are looked for; of those
/// decided by the same byte, the first in this order counts:
///
/// 1. those of [`Script::fail_on`];
/// 2. those of [`Script::repeat`];
/// 3. the steps that may come next: the optional ones up to the next that is not, and that one;
/// 4. those of [`Script::succeed_on`], once no step is left that must come.
#[derive(Clone, Debug, Default)]
pub struct Script {
    opening: Vec<Response>,
    patterns: Vec<Pattern>,
    /// In the order of the patterns.
    roles: Vec<Role>,
}

#[derive(Clone, Debug)]
enum Role {
    Step { response: Response, optional: bool },
    Repeat(Response),
    Success,
    Failure,
}

/// Bytes to send, which may be a password and are never shown.
#[derive(Clone, Default)]
pub(super) struct Response {
    pub(super) bytes: Vec<u8>,
    /// How long to wait before they are sent.
    pub(super) pause: Duration,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

impl From<&[u8]> for Response {
    fn from(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), pause: Duration::ZERO }
    }
}

impl Script {
    /// Returns a script without steps, which succeeds at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends this before anything is expected.
    #[must_use]
    pub fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.opening.push(bytes.as_ref().into());
        self
    }

    /// Adds the next step: when the pattern is found, sends the response, as it is. A line needs its `\n` (or `\r` on a
    /// raw terminal).
    #[must_use]
    pub fn respond(self, pattern: impl Into<Pattern>, response: impl AsRef<[u8]>) -> Self {
        self.with(pattern, Role::Step { response: response.as_ref().into(), optional: false })
    }

    /// Adds a step that may be left out: once a later step was responded to, or the script has succeeded, it is no longer
    /// looked for.
    #[must_use]
    pub fn optional(self, pattern: impl Into<Pattern>, response: impl AsRef<[u8]>) -> Self {
        self.with(pattern, Role::Step { response: response.as_ref().into(), optional: true })
    }

    /// Sends the response every time the pattern is found: `--More--`, `(yes/no)?`. An empty match, which would be found
    /// again without end, is responded to once, until something else has matched.
    #[must_use]
    pub fn repeat(self, pattern: impl Into<Pattern>, response: impl AsRef<[u8]>) -> Self {
        self.with(pattern, Role::Repeat(response.as_ref().into()))
    }

    /// Ends the script with success when this pattern is found after all steps that must come. Without such a pattern, it
    /// succeeds with the last of them.
    #[must_use]
    pub fn succeed_on(self, pattern: impl Into<Pattern>) -> Self {
        self.with(pattern, Role::Success)
    }

    /// Ends the script with failure when this pattern is found, at any time: `Login incorrect`.
    #[must_use]
    pub fn fail_on(self, pattern: impl Into<Pattern>) -> Self {
        self.with(pattern, Role::Failure)
    }

    /// Waits before the response that was added last is sent, every time. A getty, for one, discards what arrives
    /// within a second of its prompt. Meanwhile nothing is looked for; what arrives is looked at afterwards.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        let response = match self.roles.last_mut() {
            None => self.opening.last_mut(),
            Some(Role::Step { response, .. } | Role::Repeat(response)) => Some(response),
            Some(Role::Success | Role::Failure) => None,
        };
        if let Some(response) = response {
            response.pause = pause;
        }
        self
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

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptOutcome {
    /// Everything was responded to. Holds the match that ended it: that of [`Script::succeed_on`], or of the last step;
    /// `None` for a script that expects nothing.
    Succeeded(Option<Match>),
    /// A pattern of [`Script::fail_on`] was found.
    Failed(Match),
    /// The stream ended, or the time was over.
    NotFound(NotFound),
}

impl ScriptOutcome {
    /// Returns whether the script has succeeded.
    #[must_use]
    pub fn ok(&self) -> bool {
        matches!(self, Self::Succeeded(_))
    }
}

/// The state of a script that runs. Reads no stream: matches go in, what is to be done comes out.
#[derive(Debug)]
pub(super) struct ScriptRun {
    script: Script,
    /// All patterns of the script, compiled.
    patterns: Expect,
    /// How much of the opening was sent.
    opened: usize,
    /// Steps before this number are over.
    step: usize,
    /// The script's number of every pattern that is looked for now.
    active: Vec<usize>,
    /// Repeated patterns whose last match was empty: left out until something else has matched.
    muted: Vec<usize>,
}

/// What a script asks for.
#[derive(Debug)]
pub(super) enum Next {
    Send(Response),
    Look(Expect),
    End(ScriptOutcome),
}

impl ScriptRun {
    pub(super) fn new(script: &Script) -> Result<Self, InvalidPattern> {
        let patterns = Expect::new(&script.patterns)?;
        let script = script.clone();
        Ok(Self { script, patterns, opened: 0, step: 0, active: Vec::new(), muted: Vec::new() })
    }

    /// What comes first, or after a response was sent; `last` is the match that it responded to.
    pub(super) fn next(&mut self, last: Option<Match>) -> Next {
        if let Some(response) = self.script.opening.get(self.opened) {
            self.opened += 1;
            return Next::Send(response.clone());
        }
        if self.script.is_over(self.step) {
            return Next::End(ScriptOutcome::Succeeded(last));
        }
        self.active = self.script.active(self.step);
        self.active.retain(|number| !self.muted.contains(number));
        Next::Look(self.patterns.select(&self.active))
    }

    /// What follows from a match of one of the patterns that were looked for.
    pub(super) fn apply(&mut self, found: &Match) -> Next {
        let number = self.active[found.pattern()];
        let is_empty = found.position().is_empty();
        if !is_empty {
            self.muted.clear();
        }
        match &self.script.roles[number] {
            Role::Failure => Next::End(ScriptOutcome::Failed(found.clone())),
            Role::Success => Next::End(ScriptOutcome::Succeeded(Some(found.clone()))),
            Role::Repeat(response) => {
                // A timeout takes its time, so that it does not come without end.
                if is_empty && self.script.patterns[number] != Pattern::Timeout {
                    self.muted.push(number);
                }
                Next::Send(response.clone())
            }
            Role::Step { response, .. } => {
                self.step = number + 1;
                Next::Send(response.clone())
            }
        }
    }
}
