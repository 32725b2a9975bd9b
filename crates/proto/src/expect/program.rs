//! A regular expression compiled for streams: a forward automaton that finds where a match ends, a backward one that
//! finds where it starts, and, where there are groups, a machine that finds those. Knows nothing of streams, chunks or
//! other patterns.
//!
//! The automata are the *lazy* DFAs of `regex-automata`: built while they run, so that compiling costs microseconds and
//! a pattern that is used once costs no more than the states it visits. (A fully built DFA runs at the same speed and
//! takes up to seconds to build.) Their mutable half, the [`Scratch`], is what a search carries from chunk to chunk;
//! programs keep a pool of those, since a warm one saves a dialogue the rebuilding of its states at every prompt.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::alphabet::Unit;
use regex_automata::util::look::{Look, LookSet};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::start;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{self, Hir, HirKind};

use super::exits::Exits;

/// More states than this are forgotten and rebuilt when needed.
const CAPACITY: usize = 2 << 20;
/// A pattern that needs more is refused: `\w{10000}` and its like.
const NFA_LIMIT: usize = 10 << 20;
/// Idle scratches kept for the next search, in bytes for each program.
const POOL: usize = 1 << 20;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Program {
    forward: DFA,
    backward: DFA,
    groups: Option<Box<Grouping>>,
    names: Arc<[Option<String>]>,
    /// One byte of every class that the forward automaton distinguishes.
    representatives: Vec<u8>,
    /// Whether some assertion looks at the byte after a position.
    looks_ahead: bool,
    pool: Mutex<Vec<Scratch>>,
}

/// The mutable half of a [`Program`]. State ids are valid for one scratch only, and until it is cleared.
#[derive(Debug)]
pub(super) struct Scratch {
    forward: Cache,
    backward: Cache,
    /// What was found out about states, and the number of clears it is valid for.
    shapes: HashMap<LazyStateID, Shape>,
    exits: HashMap<LazyStateID, Option<Exits>>,
    clears: usize,
}

impl Scratch {
    /// Forgets what was known of states that are no more.
    fn refresh(&mut self) {
        if self.clears != self.forward.clear_count() {
            self.clears = self.forward.clear_count();
            self.shapes.clear();
            self.exits.clear();
        }
    }

    fn memory(&self) -> usize {
        self.forward.memory_usage() + self.backward.memory_usage()
    }
}

/// A scratch for one search: taken from the program's pool, and given back to it when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    program: Arc<Program>,
    /// Always there, except while being dropped.
    scratch: Option<Scratch>,
}

impl Lease {
    pub(super) fn new(program: &Arc<Program>) -> Self {
        let pooled = program.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { scratch: Some(pooled.unwrap_or_else(|| program.scratch())), program: program.clone() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(scratch) = self.scratch.take() else { return };
        let mut pool = self.program.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = pool.iter().map(Scratch::memory).sum();
        if held + scratch.memory() <= POOL {
            pool.push(scratch);
        }
    }
}

impl Deref for Lease {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        self.scratch.as_ref().expect("a lease has its scratch until it is dropped")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Scratch {
        self.scratch.as_mut().expect("a lease has its scratch until it is dropped")
    }
}

/// What lies ahead of a state, whatever comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// A match ends here, whatever byte follows.
    pub(super) certain: bool,
    /// A match ends here, whatever byte follows, and none can end later.
    pub(super) last: bool,
    /// No match can end here or later.
    pub(super) barren: bool,
}

/// Where a run over some bytes stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All bytes were read.
    EndOfBytes,
    /// The next byte, not yet read, shows that a match ends before it, and leads to `next`.
    MatchAhead { next: LazyStateID, here_is_valid: bool },
    /// No match can come any more.
    Dead,
}

/// Finds groups within a match: slow and large, so there is one memory for all searches, which need it only for the
/// moment of a match.
#[derive(Debug)]
struct Grouping {
    machine: PikeVM,
    memory: Mutex<Option<pikevm::Cache>>,
}

impl Grouping {
    fn new(nfa: &NFA) -> Result<Box<Self>, String> {
        let machine = PikeVM::new_from_nfa(nfa.clone()).map_err(|error| error.to_string())?;
        Ok(Box::new(Self { machine, memory: Mutex::default() }))
    }

    fn groups(&self, input: Input<'_>) -> Groups {
        let memory = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = memory().take();
        let mut cache = taken.unwrap_or_else(|| self.machine.create_cache());
        let mut captures = self.machine.create_captures();
        self.machine.captures(&mut cache, input, &mut captures);
        *memory() = Some(cache);
        captures.iter().map(|group| group.map(|span| span.range())).collect()
    }
}

/// A match within a haystack: its groups, group 0 being the whole.
pub(super) type Groups = Vec<Option<Range<usize>>>;

/// Programs compiled lately, by pattern. An expression with `\w` takes most of a millisecond to compile, and scripts
/// ask for the same prompt again and again.
static RECENT: LazyLock<Mutex<HashMap<String, Arc<Program>>>> = LazyLock::new(Mutex::default);
const RECENT_LIMIT: usize = 64;

impl Program {
    /// The program for a pattern: one that was compiled lately, or a new one.
    pub(super) fn of(pattern: &str) -> Result<Arc<Self>, String> {
        let recent = || RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = recent().get(pattern) {
            return Ok(program.clone());
        }
        let program = Arc::new(Self::new(pattern)?);
        let mut recent = recent();
        if recent.len() >= RECENT_LIMIT {
            recent.clear();
        }
        recent.insert(pattern.to_owned(), program.clone());
        Ok(program)
    }

    fn new(pattern: &str) -> Result<Self, String> {
        let hir = with_ascii_words(super::syntax::parse(pattern)?);
        let prefilter = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &hir).filter(Prefilter::is_fast);
        let forward_nfa = nfa(&hir, thompson::Config::new())?;
        let backward_nfa = nfa(&hir, thompson::Config::new().reverse(true).which_captures(WhichCaptures::None))?;
        // Tagged start states are worth their price only where bytes can be passed over in them.
        let tagged = Config::new().match_kind(MatchKind::LeftmostFirst).specialize_start_states(true);
        let backward = dfa(&backward_nfa, Config::new().match_kind(MatchKind::All))?;
        let names: Arc<[_]> =
            forward_nfa.group_info().all_names().map(|(_, _, name)| name.map(str::to_owned)).collect();
        let groups = (names.len() > 1).then(|| Grouping::new(&forward_nfa)).transpose()?;
        let forward = dfa(&forward_nfa, tagged.clone().prefilter(prefilter.clone()))?;
        let mut program = Self {
            representatives: forward.byte_classes().representatives(0..=255).filter_map(|unit| unit.as_u8()).collect(),
            looks_ahead: looks_ahead(forward_nfa.look_set_any()),
            forward,
            backward,
            groups,
            names,
            pool: Mutex::default(),
        };
        if prefilter.is_none() && !program.has_exits() {
            program.forward = dfa(&forward_nfa, tagged.specialize_start_states(false))?;
        }
        Ok(program)
    }

    /// The names of the groups, by number.
    pub(super) fn names(&self) -> &Arc<[Option<String>]> {
        &self.names
    }

    fn scratch(&self) -> Scratch {
        let mut scratch = Scratch {
            forward: self.forward.create_cache(),
            backward: self.backward.create_cache(),
            shapes: HashMap::new(),
            exits: HashMap::new(),
            clears: 0,
        };
        let config = self.forward.get_config();
        if config.get_specialize_start_states() && config.get_prefilter().is_none() {
            // A state gets its tag only if it is first met as a start state.
            self.starts(&mut scratch);
        }
        scratch
    }

    /// All start states there are: they differ by what an assertion can ask about the byte before.
    fn starts(&self, scratch: &mut Scratch) -> [LazyStateID; 5] {
        [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r')].map(|look_behind| self.start(scratch, look_behind))
    }

    /// Whether only a few bytes lead out of some start state.
    fn has_exits(&self) -> bool {
        let mut scratch = self.scratch();
        self.starts(&mut scratch).into_iter().any(|state| self.exits(&mut scratch, state).is_some())
    }

    /// The state of a search that starts after `look_behind`.
    pub(super) fn start(&self, scratch: &mut Scratch, look_behind: Option<u8>) -> LazyStateID {
        let config = start::Config::new().anchored(Anchored::No).look_behind(look_behind);
        self.forward
            .start_state(&mut scratch.forward, &config)
            .expect("no quit bytes are set, and the cache never gives up")
    }

    /// Reads `bytes[*at..]` from `state` until something happens. `bytes[..*at]` was read before: it is what a match
    /// may look back at.
    pub(super) fn run(&self, scratch: &mut Scratch, state: &mut LazyStateID, bytes: &[u8], at: &mut usize) -> Stop {
        let mut here = *state;
        let mut position = *at;
        let stop = loop {
            // The common case: states that are known and mean nothing. All others carry a tag.
            if !here.is_tagged() {
                (here, position) = self.rush(&scratch.forward, here, bytes, position);
            } else if here.is_start() {
                self.skip(scratch, &mut here, bytes, &mut position);
            }
            let Some(&byte) = bytes.get(position) else {
                break Stop::EndOfBytes;
            };
            let clears = scratch.forward.clear_count();
            let next = self.step(scratch, here, byte);
            if next.is_match() {
                break Stop::MatchAhead { next, here_is_valid: clears == scratch.forward.clear_count() };
            }
            here = next;
            position += 1;
            if next.is_dead() {
                break Stop::Dead;
            }
        };
        *state = here;
        *at = position;
        stop
    }

    /// Reads bytes as long as they lead to untagged states. Nothing here is decided, computed or called: this is the
    /// loop that costs.
    #[inline(always)]
    fn rush(&self, cache: &Cache, mut here: LazyStateID, bytes: &[u8], at: usize) -> (LazyStateID, usize) {
        for (position, &byte) in bytes.iter().enumerate().skip(at) {
            let next = self.forward.next_state_untagged(cache, here, byte);
            if next.is_tagged() {
                return (here, position);
            }
            here = next;
        }
        (here, bytes.len())
    }

    /// In a start state nothing has begun, so all bytes before the next possible beginning of a match may be passed
    /// over.
    fn skip(&self, scratch: &mut Scratch, state: &mut LazyStateID, bytes: &[u8], at: &mut usize) {
        let Some(prefilter) = self.forward.get_config().get_prefilter() else {
            if let Some(exits) = self.exits(scratch, *state) {
                *at = exits.find(&bytes[*at..]).map_or(bytes.len(), |found| *at + found);
            }
            return;
        };
        let to = match prefilter.find(bytes, (*at..bytes.len()).into()) {
            Some(found) => found.start,
            // A beginning may be cut in two by the end of these bytes.
            None => bytes.len().saturating_sub(prefilter.max_needle_len().saturating_sub(1)),
        };
        if to > *at {
            *state = self.start(scratch, Some(bytes[to - 1]));
            *at = to;
        }
    }

    /// The bytes that lead out of `state`, which stays valid, if they are few.
    fn exits(&self, scratch: &mut Scratch, state: LazyStateID) -> Option<Exits> {
        scratch.refresh();
        if let Some(exits) = scratch.exits.get(&state) {
            return *exits;
        }
        let mut bytes = Vec::new();
        for &byte in &self.representatives {
            if self.try_step(scratch, state, byte)? != state {
                let classes = self.forward.byte_classes();
                let class = Unit::u8(classes.get(byte));
                bytes.extend(classes.elements(class).filter_map(|unit| unit.as_u8()));
            }
        }
        let exits = Exits::new(bytes.into_iter());
        scratch.exits.insert(state, exits);
        exits
    }

    /// The state after one more byte. `state` is no longer valid.
    pub(super) fn step(&self, scratch: &mut Scratch, state: LazyStateID, byte: u8) -> LazyStateID {
        self.forward.next_state(&mut scratch.forward, state, byte).expect("the cache never gives up")
    }

    /// Whether a match ends in `state` if the text ends there. `state` stays valid.
    pub(super) fn ends(&self, scratch: &mut Scratch, state: LazyStateID) -> bool {
        let next = if self.has_room(scratch) {
            self.forward.next_eoi_state(&mut scratch.forward, state)
        } else {
            // Computing it might clear the cache, and `state` with it.
            self.forward.next_eoi_state(&mut scratch.forward.clone(), state)
        };
        next.expect("the cache never gives up").is_match()
    }

    /// What lies ahead of `state`, which stays valid. `None` where finding out would overflow the cache: then only
    /// further bytes will tell.
    pub(super) fn shape(&self, scratch: &mut Scratch, state: LazyStateID) -> Option<Shape> {
        scratch.refresh();
        if let Some(shape) = scratch.shapes.get(&state) {
            return Some(*shape);
        }
        let shape = self.probe(scratch, state)?;
        scratch.shapes.insert(state, shape);
        Some(shape)
    }

    fn probe(&self, scratch: &mut Scratch, state: LazyStateID) -> Option<Shape> {
        let ends = self.ends(scratch, state);
        if !ends {
            return Some(Shape { barren: self.is_barren(scratch, state)?, ..Shape::default() });
        }
        let mut shape = Shape { certain: true, last: true, barren: false };
        let mut examined = None;
        for &byte in &self.representatives {
            let next = self.try_step(scratch, state, byte)?;
            if !next.is_match() {
                return Some(Shape::default());
            }
            // Most often all bytes lead to the same state.
            if shape.last && examined != Some(next) {
                shape.last = !self.ends(scratch, next) && self.is_barren(scratch, next)?;
                examined = Some(next);
            }
        }
        Some(shape)
    }

    /// Whether no byte leads on from here.
    fn is_barren(&self, scratch: &mut Scratch, state: LazyStateID) -> Option<bool> {
        for &byte in &self.representatives {
            if !self.try_step(scratch, state, byte)?.is_dead() {
                return Some(false);
            }
        }
        Some(true)
    }

    /// [`Program::step`] that leaves `state` valid.
    fn try_step(&self, scratch: &mut Scratch, state: LazyStateID, byte: u8) -> Option<LazyStateID> {
        self.has_room(scratch).then(|| self.step(scratch, state, byte))
    }

    /// Whether one more state fits without clearing the cache.
    fn has_room(&self, scratch: &Scratch) -> bool {
        // The transitions of a state, its place in three tables, and the NFA states it stands for, at most five bytes
        // each.
        let state = 4 * (1 << self.forward.byte_classes().stride2()) + 5 * self.forward.get_nfa().states().len() + 256;
        scratch.forward.memory_usage() + state <= self.forward.get_config().get_cache_capacity()
    }

    /// The groups of the match that ends at `span.end` and starts at or after `span.start`, if one does. What surrounds
    /// the span is looked at by assertions.
    pub(super) fn resolve(&self, scratch: &mut Scratch, haystack: &[u8], span: Range<usize>) -> Option<Groups> {
        let input = Input::new(haystack).span(span.clone()).anchored(Anchored::Yes);
        let found = self
            .backward
            .try_search_rev(&mut scratch.backward, &input)
            .expect("no quit bytes are set, and the cache never gives up");
        let start = found?.offset();
        let Some(grouping) = &self.groups else {
            return Some(vec![Some(start..span.end)]);
        };
        let mut groups = grouping.groups(Input::new(haystack).span(start..span.end).anchored(Anchored::Yes));
        groups[0] = Some(start..span.end);
        Some(groups)
    }

    /// Whether the match that ends at the end of `haystack` is the same whatever byte follows.
    pub(super) fn resolves_alike(&self, scratch: &mut Scratch, haystack: &[u8], from: usize) -> bool {
        if !self.looks_ahead {
            return true;
        }
        let end = haystack.len();
        let alone = self.resolve(scratch, haystack, from..end);
        // All that an assertion can ask about a byte: whether it belongs to a word, and whether it ends a line.
        [b'a', b' ', b'\n', b'\r'].iter().all(|&next| {
            let mut longer = haystack.to_vec();
            longer.push(next);
            self.resolve(scratch, &longer, from..end) == alone
        })
    }
}

fn nfa(hir: &Hir, config: thompson::Config) -> Result<NFA, String> {
    let config = config.utf8(false).nfa_size_limit(Some(NFA_LIMIT));
    thompson::Compiler::new().configure(config).build_from_hir(hir).map_err(|error| error.to_string())
}

fn dfa(nfa: &NFA, config: Config) -> Result<DFA, String> {
    // An expression that is large in itself needs room for some states at least.
    let least = config.get_minimum_cache_capacity(nfa).map_err(|error| error.to_string())?;
    let config = config.cache_capacity(CAPACITY.max(4 * least));
    DFA::builder().configure(config).build_from_nfa(nfa.clone()).map_err(|error| error.to_string())
}

/// Whether an assertion among `looks` asks about the byte after its position.
fn looks_ahead(looks: LookSet) -> bool {
    let behind = [Look::Start, Look::StartLF];
    looks.iter().any(|look| !behind.contains(&look))
}

/// The same expression with the word boundaries of ASCII; see [`Pattern::regex`](super::Pattern::regex) for the reason.
/// The depth of the recursion is bounded by the parser.
fn with_ascii_words(hir: Hir) -> Hir {
    if !hir.properties().look_set().contains_word() {
        return hir;
    }
    let all = |hirs: Vec<Hir>| hirs.into_iter().map(with_ascii_words).collect();
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(ascii(look)),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(with_ascii_words(*repetition.sub));
            Hir::repetition(hir::Repetition { sub, ..repetition })
        }
        HirKind::Capture(capture) => {
            let sub = Box::new(with_ascii_words(*capture.sub));
            Hir::capture(hir::Capture { sub, ..capture })
        }
        HirKind::Concat(hirs) => Hir::concat(all(hirs)),
        HirKind::Alternation(hirs) => Hir::alternation(all(hirs)),
    }
}

fn ascii(look: hir::Look) -> hir::Look {
    use hir::Look;
    match look {
        Look::WordUnicode => Look::WordAscii,
        Look::WordUnicodeNegate => Look::WordAsciiNegate,
        Look::WordStartUnicode => Look::WordStartAscii,
        Look::WordEndUnicode => Look::WordEndAscii,
        Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
        Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
        other => other,
    }
}
