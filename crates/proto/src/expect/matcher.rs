//! One stream and what is expected of it.

use super::compiled::{Expect, Precedence};
use super::matched::{Match, MatchResult, NotFound, Reason};
use super::pattern::Pattern;
use super::received::Received;
use super::search::{Decision, Rules, Search};

/// Bytes that all patterns search before any of them goes on; doubled as long as nothing is found, so that many matches
/// in one chunk cost in proportion to the bytes between them, not each to the whole chunk.
const FIRST_BLOCK: u64 = 256;
const LARGEST_BLOCK: u64 = 64 << 10;

/// Looks for patterns in one stream of bytes, whatever chunks it comes in. Pure: it reads no descriptor and no clock;
/// whoever drives it says what arrived, and when the stream fell silent, ended, or took too long.
///
/// ```
/// use phalanx_proto::expect::{Expect, Matcher, Pattern};
///
/// let mut stream = Matcher::default();
/// let prompt = Expect::one(Pattern::regex(r"^(?<host>\w+) login: "))?;
/// assert!(stream.expect(&prompt).is_none());
/// assert!(stream.feed(b"Welcome!\r\nn1 log").is_none());
/// let found = stream.feed(b"in: ").expect("decided").expect("found");
/// assert_eq!(found.named("host"), Some(&b"n1"[..]));
/// assert_eq!(found.before(), b"Welcome!\r\n");
/// assert_eq!(found.position(), 10..20);
/// # Ok::<(), phalanx_proto::expect::InvalidPattern>(())
/// ```
#[derive(Debug)]
pub struct Matcher {
    received: Received,
    window: u64,
    ended: bool,
    /// What is expected now.
    active: Option<Active>,
    /// What was expected last and missed: when asked for again, it goes on where it stopped.
    paused: Option<Active>,
}

#[derive(Debug)]
struct Active {
    expect: Expect,
    searches: Vec<Search>,
    /// How far all of them have come.
    scanned: u64,
    rules: Rules,
}

impl Default for Matcher {
    fn default() -> Self {
        Self::with_window(Self::WINDOW)
    }
}

impl Matcher {
    /// The window unless another is given: 1 MiB.
    pub const WINDOW: usize = 1 << 20;

    /// A matcher that remembers at least the last `window` bytes, and at most four times as many:
    ///
    /// 1. a match reports as `before` and as matched text no more than the `window` bytes up to its end;
    ///    [`Match::truncated_by`] counts what is missing;
    /// 2. a match that began further back is still found, since the automaton remembers; but where it began is not
    ///    known, so it has no groups and says so ([`Match::is_whole`]);
    /// 3. a match that is waiting for bytes that might change it is settled when it has waited for `window` bytes;
    /// 4. a search that is started late looks at no more than the last `window` bytes received.
    ///
    /// A text, or a count of bytes, that is larger than the window enlarges it for its own search.
    #[must_use]
    pub fn with_window(window: usize) -> Self {
        Self { received: Received::default(), window: window.max(1) as u64, ended: false, active: None, paused: None }
    }

    /// Starts to look for patterns, first of all in what was received and not yet consumed; replaces what was expected
    /// before. The verdict, if there is one already; otherwise it comes from one of the next calls.
    pub fn expect(&mut self, expect: &Expect) -> Option<MatchResult> {
        let resumed = self.paused.take().or(self.active.take()).filter(|active| active.expect.is(expect));
        self.active = Some(resumed.unwrap_or_else(|| self.begin(expect)));
        self.scan().or_else(|| if self.ended { self.conclude(Reason::EndOfFile) } else { None })
    }

    /// Takes bytes that arrived. The verdict, if they decide what is expected; what follows the match waits for the
    /// next [`Matcher::expect`].
    pub fn feed(&mut self, chunk: &[u8]) -> Option<MatchResult> {
        self.received.push(chunk);
        let verdict = self.scan();
        self.forget();
        verdict
    }

    /// Whether silence would decide something: a match is there, but further bytes might change it. Whoever drives the
    /// matcher should then call [`Matcher::handle_idle`] when nothing has arrived for a while ([`super::IDLE_TIMEOUT`]).
    pub fn is_pending(&mut self) -> bool {
        self.finish().is_some()
    }

    /// The stream fell silent: takes the end of what was received for the end of the text, once. `password: *`, `\d+`
    /// or `^login: $` match then what they can.
    pub fn handle_idle(&mut self) -> Option<MatchResult> {
        let (pattern, end) = self.finish()?;
        self.report(pattern, end).map(Ok)
    }

    /// The caller's time is over. As [`Matcher::handle_idle`]; if that decides nothing, either [`Pattern::Timeout`] was
    /// expected, or the expectation has failed. `None` only if nothing is expected.
    pub fn timeout(&mut self) -> Option<MatchResult> {
        self.conclude(Reason::Timeout)
    }

    /// The stream has ended: what was received is the whole text. `None` only if nothing is expected; then and later,
    /// [`Matcher::expect`] answers at once.
    pub fn end_of_file(&mut self) -> Option<MatchResult> {
        self.ended = true;
        self.conclude(Reason::EndOfFile)
    }

    /// Looks for the patterns in what is there, and gives up at once if it decides nothing: an expectation with a
    /// timeout of 0.
    pub fn poll(&mut self, expect: &Expect) -> MatchResult {
        self.expect(expect).or_else(|| self.timeout()).expect("a timeout ends every expectation")
    }

    /// Expects nothing any more. Consumes nothing; the same expectation, asked for next, goes on where it was.
    pub fn cancel(&mut self) {
        if let Some(active) = self.active.take() {
            self.paused = Some(active);
        }
    }

    /// Consumes everything received so far: the next search sees only what comes from now on. Ends the current one.
    pub fn skip_received(&mut self) {
        self.active = None;
        self.consume_to(self.received.total());
    }

    /// What was received and not yet consumed, as far as it is kept.
    #[must_use]
    pub fn unconsumed(&self) -> &[u8] {
        let from = self.received.consumed().max(self.received.base());
        self.received.between(from, self.received.total())
    }

    /// How many bytes were received in all.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.total()
    }

    /// Whether the end of the stream was seen.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether something is expected.
    #[must_use]
    pub fn is_expecting(&self) -> bool {
        self.active.is_some()
    }

    fn begin(&self, expect: &Expect) -> Active {
        let least = expect.patterns.iter().map(|(_, compiled)| compiled.least_window()).max().unwrap_or(1);
        let window = self.window.max(least as u64);
        let start =
            self.received.consumed().max(self.received.total().saturating_sub(window)).max(self.received.base());
        Active {
            searches: expect
                .patterns
                .iter()
                .map(|(_, compiled)| Search::new(compiled, &self.received, start))
                .collect(),
            scanned: start,
            rules: Rules { extent: expect.extent, window },
            expect: expect.clone(),
        }
    }

    /// Searches what was received and not yet searched.
    fn scan(&mut self) -> Option<MatchResult> {
        let (pattern, decision) = self.active.as_mut()?.scan(&self.received)?;
        self.report(pattern, decision.end).map(Ok)
    }

    /// What is decided if the text ends here: the first pattern in the list that matches.
    fn finish(&mut self) -> Option<(usize, u64)> {
        let active = self.active.as_mut()?;
        active.searches.iter_mut().enumerate().find_map(|(pattern, search)| Some((pattern, search.finish()?)))
    }

    /// Ends the expectation, for better or worse. An event takes its place in the list like any other pattern.
    fn conclude(&mut self, reason: Reason) -> Option<MatchResult> {
        let awaited = match reason {
            Reason::EndOfFile => Pattern::EndOfFile,
            Reason::Timeout => Pattern::Timeout,
        };
        let event = self.active.as_ref()?.expect.patterns().position(|pattern| *pattern == awaited);
        let matched = self.finish();
        match (matched, event) {
            (Some((pattern, end)), event) if event.is_none_or(|event| pattern < event) => {
                self.report(pattern, end).map(Ok)
            }
            (_, Some(event)) => self.report_event(event, reason).map(Ok),
            (_, None) => self.miss(reason).map(Err),
        }
    }

    fn report(&mut self, pattern: usize, end: u64) -> Option<Match> {
        let mut active = self.active.take()?;
        let floor = end.saturating_sub(active.rules.window).max(self.received.base()).max(self.received.consumed());
        let groups = active.searches[pattern].resolve(&self.received, floor, end);
        let from = self.received.index(floor);
        let whole = groups.is_some();
        let groups = match groups {
            Some(groups) => {
                groups.into_iter().map(|group| group.map(|range| range.start - from..range.end - from)).collect()
            }
            None => vec![Some(0..self.received.index(end) - from)],
        };
        let text = self.received.between(floor, end).to_vec();
        let start = end - groups[0].clone().map_or(0, |range: std::ops::Range<usize>| range.len()) as u64;
        let found = Match {
            pattern,
            position: start..end,
            text,
            groups,
            names: active.expect.patterns[pattern].1.names().filter(|_| whole).cloned(),
            truncated_by: floor - self.received.consumed(),
            whole,
        };
        self.consume_to(end);
        Some(found)
    }

    fn report_event(&mut self, pattern: usize, reason: Reason) -> Option<Match> {
        let window = self.active.as_ref()?.rules.window;
        let end = self.received.total();
        let floor = end.saturating_sub(window).max(self.received.base()).max(self.received.consumed());
        let text = self.received.between(floor, end).to_vec();
        let found = Match {
            pattern,
            position: end..end,
            groups: vec![Some(text.len()..text.len())],
            text,
            names: None,
            truncated_by: floor - self.received.consumed(),
            whole: true,
        };
        match reason {
            Reason::EndOfFile => self.consume_to(end),
            Reason::Timeout => self.paused = self.active.take(),
        }
        Some(found)
    }

    fn miss(&mut self, reason: Reason) -> Option<NotFound> {
        let active = self.active.take()?;
        let expected = active.expect.to_string();
        self.paused = Some(active);
        let unconsumed = self.unconsumed();
        let tail = unconsumed[unconsumed.len().saturating_sub(NotFound::TAIL)..].to_vec();
        Some(NotFound { reason, expected, tail, unconsumed: self.received.total() - self.received.consumed() })
    }

    fn consume_to(&mut self, position: u64) {
        self.active = None;
        self.paused = None;
        self.received.consume_to(position);
        self.forget();
    }

    /// Forgets what neither the next match nor the next search can reach.
    fn forget(&mut self) {
        let idle = self.received.total().saturating_sub(self.window);
        // What nobody has asked for again for so long must not keep the bytes it has not seen.
        self.paused.take_if(|paused| paused.scanned < idle);
        let searched = self.active.iter().chain(&self.paused).map(Active::needs_from).min();
        let needed = searched.unwrap_or(idle).min(idle).max(self.received.consumed());
        // One byte more, for assertions that look back.
        self.received.forget_before(needed.saturating_sub(1));
    }
}

impl Active {
    fn scan(&mut self, received: &Received) -> Option<(usize, Decision)> {
        let total = received.total();
        let mut block = FIRST_BLOCK;
        loop {
            let limit = match self.expect.precedence {
                Precedence::Stream => total.min(self.scanned + block),
                Precedence::List => total,
            };
            if let Some(decided) = self.scan_to(received, limit) {
                return Some(decided);
            }
            self.scanned = limit;
            if limit == total {
                return None;
            }
            block = (2 * block).min(LARGEST_BLOCK);
        }
    }

    fn scan_to(&mut self, received: &Received, mut limit: u64) -> Option<(usize, Decision)> {
        let mut best: Option<(usize, Decision)> = None;
        for (pattern, search) in self.searches.iter_mut().enumerate() {
            let Some(decision) = search.advance(received, limit, self.rules) else {
                continue;
            };
            if self.expect.precedence == Precedence::List {
                return Some((pattern, decision));
            }
            if best.is_none_or(|(_, best)| decision.at < best.at) {
                limit = decision.at;
                best = Some((pattern, decision));
            }
        }
        best
    }

    fn needs_from(&self) -> u64 {
        self.searches.iter().map(|search| search.needs_from(self.rules.window)).min().unwrap_or(self.scanned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes a matcher holds at most while it reads ten million of them.
    fn most_held(matcher: &mut Matcher) -> usize {
        let chunk = [b'a'; 1000];
        let feed = |_| {
            assert!(matcher.feed(&chunk).is_none());
            matcher.received.all().len()
        };
        (0..10_000).map(feed).max().expect("many")
    }

    #[test]
    fn memory_is_bounded_by_the_window_whatever_is_expected() {
        let window = 20_000;
        let patterns = [
            Pattern::regex("(?s)a.*z"),
            Pattern::regex("b"),
            "c".into(),
            Pattern::EndOfFile,
            Pattern::Bytes(20_000_000),
        ];
        for pattern in &patterns[..4] {
            let mut matcher = Matcher::with_window(window);
            assert!(matcher.expect(&Expect::one(pattern).expect("valid")).is_none());
            assert!(most_held(&mut matcher) <= 4 * window, "{pattern}");
        }
        let mut idle = Matcher::with_window(window);
        assert!(most_held(&mut idle) <= 4 * window);
        let mut missed = Matcher::with_window(window);
        assert!(missed.poll(&Expect::one(&patterns[0]).expect("valid")).is_err());
        assert!(most_held(&mut missed) <= 4 * window);
    }

    #[test]
    fn a_needle_of_many_bytes_holds_as_many() {
        let mut matcher = Matcher::with_window(10);
        assert!(matcher.expect(&Expect::one(Pattern::Bytes(20_000_000)).expect("valid")).is_none());
        assert_eq!(most_held(&mut matcher), 10_000_000);
    }
}
