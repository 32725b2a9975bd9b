//! The search for one pattern in one stream, carried on from chunk to chunk. Says when the pattern is decided, and for
//! which match; whether that is what the user gets is decided above, among all patterns.
//!
//! The life of a search for a regular expression:
//!
//! ```text
//!             a byte shows that a match                whatever follows, the match stays
//!  Looking ──────ended before it──────▶ Candidate ─────────the same (or: the text ends)─────▶ decided
//!     │                                  │      ▲                                               ▲
//!     │                                  └──────┘ a byte makes it longer                        │
//!     └─────────────a match ends here, and whatever follows cannot change it────────────────────┘
//! ```

use std::sync::Arc;

use memchr::memmem::Finder;
use regex_automata::hybrid::LazyStateID;

use super::Extent;
use super::compiled::Compiled;
use super::program::{Groups, Lease, Program, Stop};
use super::received::Received;

/// A pattern is decided: after `at` bytes of the stream it is known that its match ends at `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) at: u64,
    pub(super) end: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Search {
    /// Where the search began.
    start: u64,
    /// How far it has come.
    at: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text(Arc<Finder<'static>>),
    Regex(Box<RegexSearch>),
    Bytes(usize),
    /// The end of the file or of the patience: not a matter of bytes.
    Event,
}

#[derive(Debug)]
struct RegexSearch {
    program: Arc<Program>,
    scratch: Lease,
    state: LazyStateID,
    /// Where the best match so far ends.
    candidate: Option<u64>,
    /// No match can come any more.
    dead: bool,
}

/// The rules of one expectation that a search needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) extent: Extent,
    pub(super) window: u64,
}

impl Search {
    pub(super) fn new(pattern: &Compiled, received: &Received, start: u64) -> Self {
        let kind = match pattern {
            Compiled::Text(finder) => Kind::Text(finder.clone()),
            Compiled::Regex(program) => {
                Kind::Regex(Box::new(RegexSearch::new(program.clone(), received.byte_before(start))))
            }
            Compiled::Bytes(count) => Kind::Bytes(*count),
            Compiled::EndOfFile | Compiled::Timeout => Kind::Event,
        };
        Self { start, at: start, kind }
    }

    /// Searches on up to `limit` and says whether, and when, the pattern is decided by then.
    pub(super) fn advance(&mut self, received: &Received, limit: u64, rules: Rules) -> Option<Decision> {
        match &mut self.kind {
            Kind::Text(finder) => {
                let overlap = finder.needle().len().saturating_sub(1) as u64;
                let from = self.at.saturating_sub(overlap).max(self.start);
                self.at = self.at.max(limit);
                let found = finder.find(received.between(from, limit.max(from)))?;
                let end = from + (found + finder.needle().len()) as u64;
                Some(Decision { at: end, end })
            }
            Kind::Regex(search) => search.advance(received, self.start, &mut self.at, limit, rules),
            Kind::Bytes(count) => {
                let end = self.start + *count as u64;
                (end <= limit).then_some(Decision { at: end, end })
            }
            Kind::Event => {
                self.at = self.at.max(limit);
                None
            }
        }
    }

    /// Where the match ends if the text ends here: at the position up to which the search has come.
    pub(super) fn finish(&mut self) -> Option<u64> {
        match &mut self.kind {
            Kind::Regex(search) => search.finish(self.at),
            Kind::Text(_) | Kind::Bytes(_) | Kind::Event => None,
        }
    }

    /// The first byte that this search may still want to see.
    pub(super) fn needs_from(&self, window: u64) -> u64 {
        let end = match &self.kind {
            Kind::Regex(search) => search.candidate.unwrap_or(self.at),
            Kind::Text(_) | Kind::Bytes(_) | Kind::Event => self.at,
        };
        end.saturating_sub(window)
    }

    /// The groups of the match that ends at `end`, as positions in [`Received::all`]. `None` if it began further back
    /// than `floor`.
    pub(super) fn resolve(&mut self, received: &Received, floor: u64, end: u64) -> Option<Groups> {
        let floor = floor.max(self.start);
        let end_index = received.index(end);
        match &mut self.kind {
            Kind::Text(finder) => Some(vec![Some(end_index - finder.needle().len()..end_index)]),
            Kind::Bytes(count) => Some(vec![Some(end_index - *count..end_index)]),
            Kind::Regex(search) => {
                search.program.resolve(&mut search.scratch, received.all(), received.index(floor)..end_index)
            }
            Kind::Event => None,
        }
    }
}

impl RegexSearch {
    fn new(program: Arc<Program>, look_behind: Option<u8>) -> Self {
        let mut scratch = Lease::new(&program);
        let state = program.start(&mut scratch, look_behind);
        Self { program, scratch, state, candidate: None, dead: state.is_dead() }
    }

    fn advance(&mut self, received: &Received, start: u64, at: &mut u64, limit: u64, rules: Rules) -> Option<Decision> {
        loop {
            if self.dead {
                *at = limit.max(*at);
                return None;
            }
            let ahead = if self.candidate.is_none() { self.look(received, start, at, limit) } else { Ahead::Unknown };
            if !matches!(ahead, Ahead::Match { here_is_valid: false, .. })
                && let Some(end) = self.decided(received, start, *at, rules)
            {
                return Some(Decision { at: *at, end });
            }
            if *at >= limit {
                return None;
            }
            self.read(received, at, ahead);
        }
    }

    /// Looks for the first end of a match, as fast as possible.
    fn look(&mut self, received: &Received, start: u64, at: &mut u64, limit: u64) -> Ahead {
        let limit = limit.max(*at);
        let bytes = received.between(start.max(received.base()), limit);
        let mut position = bytes.len() - (limit - *at) as usize;
        let stop = self.program.run(&mut self.scratch, &mut self.state, bytes, &mut position);
        *at = limit - (bytes.len() - position) as u64;
        match stop {
            Stop::EndOfBytes => Ahead::Unknown,
            Stop::MatchAhead { next, here_is_valid } => Ahead::Match { next, here_is_valid },
            Stop::Dead => {
                self.dead = true;
                Ahead::Unknown
            }
        }
    }

    /// Reads one byte.
    fn read(&mut self, received: &Received, at: &mut u64, ahead: Ahead) {
        let next = match ahead {
            Ahead::Match { next, .. } => next,
            Ahead::Unknown => {
                let byte = received.all()[received.index(*at)];
                self.program.step(&mut self.scratch, self.state, byte)
            }
        };
        if next.is_match() {
            self.candidate = Some(*at);
        }
        self.state = next;
        *at += 1;
    }

    /// Where the match ends, if that is decided by the `at` bytes read so far.
    ///
    /// 1. The shortest extent is decided by the first end that is certain.
    /// 2. The preferred extent is decided when no continuation could change it.
    /// 3. No match looks further ahead of its end than the window is wide.
    fn decided(&mut self, received: &Received, start: u64, at: u64, rules: Rules) -> Option<u64> {
        if let Some(end) = self.candidate
            && (rules.extent == Extent::Shortest || at - end >= rules.window)
        {
            return Some(end);
        }
        let shape = self.program.shape(&mut self.scratch, self.state)?;
        if shape.barren {
            return self.candidate;
        }
        let ends = if rules.extent == Extent::Shortest { shape.certain } else { shape.last };
        if !ends {
            return None;
        }
        let floor = start.max(at.saturating_sub(rules.window)).max(received.base());
        self.program.resolves_alike(&mut self.scratch, received.up_to(at), received.index(floor)).then_some(at)
    }

    fn finish(&mut self, at: u64) -> Option<u64> {
        if self.dead {
            return None;
        }
        if self.program.ends(&mut self.scratch, self.state) { Some(at) } else { self.candidate }
    }
}

/// What is known about the next byte.
#[derive(Clone, Copy, Debug)]
enum Ahead {
    Unknown,
    /// It shows that a match ends before it.
    Match {
        next: LazyStateID,
        here_is_valid: bool,
    },
}
