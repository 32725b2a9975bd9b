//! One run of `taktuk`, as its members see it: what it says becomes inputs of hosted processes, and what those are to
//! suffer becomes words for taktuk. Pure: no clock, no process.
//!
//! ```text
//!                connection initialized       command started          status
//!   Connecting ──────────────────────▶ Connected ───────────▶ Running ────────▶ Over
//!       │ connection failed, called off      │ lost, failed      │ lost
//!       ▼                                    ▼                   ▼
//!     Over ◀─────────────────────────────────┴───────────────────┘
//! ```
//!
//! A member whose process was called off, or given up, is over for us, but taktuk cannot be told: its command may still
//! start. Then it is asked to end as soon as it is known to run, so that it can clean up behind itself, and killed when
//! it has not ended in time.
//!
//! How connections that fail become known: taktuk tells of each that fails or is lost. If it cannot even start the
//! program that connects it says so to nobody; but when every TakTuk that was reached has said that it is ready, nobody
//! else will come.

use std::collections::{BTreeSet, HashMap};

use phalanx_process::event::{Effect, Input, NO_PROCESS, Stream};
use phalanx_process::id::ProcessId;
use phalanx_process::outcome::StartError;
use phalanx_process::{ExitStatus, Signal};

use super::language::{self, Position};
use super::said::{Said, State};

/// How much of the complaints of one connection is kept.
const COMPLAINTS_KEPT: usize = 4096;

/// An input for one of the processes.
pub(super) type Answer<'a> = &'a mut dyn FnMut(ProcessId, Input<'_>);

/// The members of one run of taktuk, by position.
#[derive(Debug)]
pub(super) struct Tree {
    members: Vec<Member>,
    positions: HashMap<ProcessId, Position>,
    /// Those who are reached and not lost, and those of them who are ready.
    reached: BTreeSet<Position>,
    ready: BTreeSet<Position>,
    /// Our own TakTuk, the root, has made or given up all its connections; what is broadcast is not held back by it.
    root_is_ready: bool,
    canceled: bool,
    /// The signal for a member that begins although it was cancelled: TERM, and KILL once its time is over.
    unwanted_signal: Signal,
    /// Signals to be sent, in order.
    signals: Vec<(Signal, BTreeSet<Position>)>,
}

#[derive(Debug)]
struct Member {
    id: ProcessId,
    host: String,
    phase: Phase,
    /// Its process wants nothing of it any more.
    unwanted: bool,
    complaints: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    Running,
    Over,
}

impl Tree {
    /// These processes on these hosts, in the order of their positions.
    pub(super) fn new(members: impl IntoIterator<Item = (ProcessId, String)>) -> Self {
        let member =
            |(id, host)| Member { id, host, phase: Phase::Connecting, unwanted: false, complaints: Vec::new() };
        let members: Vec<_> = members.into_iter().map(member).collect();
        Self {
            positions: (1..).zip(&members).map(|(position, member)| (member.id, position)).collect(),
            members,
            reached: BTreeSet::new(),
            ready: BTreeSet::new(),
            root_is_ready: false,
            canceled: false,
            unwanted_signal: Signal::TERM,
            signals: Vec::new(),
        }
    }

    fn member(&mut self, position: Position) -> Option<&mut Member> {
        let index = usize::try_from(position).ok()?.checked_sub(1)?;
        self.members.get_mut(index)
    }

    /// Takes what taktuk said.
    pub(super) fn hear(&mut self, said: &Said<'_>, answer: Answer<'_>) {
        match said {
            Said::Output { position, stderr, text, newline } => {
                let Some(member) = self.member(*position).filter(|member| member.hears()) else { return };
                let stream = if *stderr { Stream::Stderr } else { Stream::Stdout };
                answer(member.id, Input::Bytes(stream, text));
                if *newline {
                    answer(member.id, Input::Bytes(stream, b"\n"));
                }
            }
            Said::Status { position, raw } => {
                if let Some(member) = self.member(*position) {
                    member.ended(status(*raw), answer);
                }
            }
            Said::Connector { peer, text } => {
                if let Some(member) = self.member(*peer).filter(|member| member.complaints.len() < COMPLAINTS_KEPT) {
                    member.complaints.extend_from_slice(text);
                    member.complaints.push(b'\n');
                }
            }
            Said::State { state, position, peer, given } => self.changed(*state, *position, *peer, given, answer),
            Said::Other(_) => {}
        }
    }

    fn changed(
        &mut self,
        state: State,
        position: Position,
        peer: Option<Position>,
        given: &[Position],
        answer: Answer<'_>,
    ) {
        match (state, peer) {
            (State::ConnectionInitialized, Some(peer)) => {
                self.reached.insert(peer);
                if let Some(member) = self.member(peer).filter(|member| member.phase == Phase::Connecting) {
                    member.phase = Phase::Connected;
                }
            }
            (State::ConnectionFailed, Some(peer)) => {
                if let Some(member) = self.member(peer) {
                    let reason = format!("taktuk connection failed: cannot reach `{}`{}", member.host, member.why());
                    member.lost(&reason, answer);
                }
            }
            (State::ConnectionLost, Some(peer)) => self.connection_lost(peer, given, answer),
            (State::CommandStarted, _) => self.command_started(position, answer),
            (State::CommandFailed, _) => {
                if let Some(member) = self.member(position) {
                    let host = &member.host;
                    let reason = format!("taktuk remote command execution failed: `{host}` has no room for a process");
                    member.lost(&reason, answer);
                }
            }
            // It comes after the status, if there is one.
            (State::CommandTerminated, _) => {
                if let Some(member) = self.member(position) {
                    member.ended(ExitStatus::Lost, answer);
                }
            }
            (State::Ready, _) => {
                self.root_is_ready |= position == 0;
                if position != 0 {
                    self.ready.insert(position);
                }
            }
            _ => {}
        }
        if self.is_complete() {
            let left = self.members.iter_mut().filter(|member| member.phase == Phase::Connecting);
            left.for_each(|member| {
                let host = &member.host;
                let reason = format!("taktuk connection failed: it gave up connecting to `{host}`{}", member.why());
                member.lost(&reason, answer);
            });
        }
    }

    fn connection_lost(&mut self, peer: Position, given: &[Position], answer: Answer<'_>) {
        for &position in std::iter::once(&peer).chain(given) {
            self.reached.remove(&position);
            self.ready.remove(&position);
        }
        let through = self.member(peer).map(|member| member.host.clone()).unwrap_or_default();
        if let Some(member) = self.member(peer) {
            let reason = format!("taktuk connection lost: `{through}`{}", member.why());
            member.lost(&reason, answer);
        }
        for &position in given {
            if let Some(member) = self.member(position) {
                let reason = format!("taktuk connection lost: `{}`, which is behind `{through}`", member.host);
                member.lost(&reason, answer);
            }
        }
    }

    fn command_started(&mut self, position: Position, answer: Answer<'_>) {
        let Some(member) = self.member(position) else { return };
        if matches!(member.phase, Phase::Connecting | Phase::Connected) {
            member.phase = Phase::Running;
            if member.unwanted {
                self.send(self.unwanted_signal, position);
            } else {
                answer(member.id, Input::Spawned { pid: NO_PROCESS });
            }
        }
    }

    /// Takes what is to be done to a process that has been started.
    pub(super) fn effect(&mut self, effect: &Effect, answer: Answer<'_>) {
        let Some(&position) = self.positions.get(&effect.process()) else { return };
        let Some(member) = self.member(position) else { return };
        let id = member.id;
        match effect {
            Effect::Cancel(_) if member.is_awaited() => {
                member.unwanted = true;
                answer(id, Input::Cancelled);
            }
            Effect::Signal { signal, .. } if member.phase == Phase::Running => self.send(*signal, position),
            Effect::Write(..) if member.phase != Phase::Over => answer(id, Input::WriteFailed),
            Effect::Release(_) => {
                member.unwanted = true;
                if member.phase == Phase::Running {
                    self.send(Signal::KILL, position);
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, signal: Signal, position: Position) {
        match self.signals.last_mut() {
            Some((last, positions)) if *last == signal => drop(positions.insert(position)),
            _ => self.signals.push((signal, BTreeSet::from([position]))),
        }
    }

    /// Whether signals wait, and no other can be added to them: they go to all who run.
    pub(super) fn signals_are_complete(&self) -> bool {
        let Some((_, positions)) = self.signals.last() else { return false };
        self.members.iter().filter(|member| member.phase == Phase::Running).count() == positions.len()
            && !self.members.iter().any(Member::is_awaited)
    }

    /// What taktuk is to be told about signals.
    pub(super) fn take_signals(&mut self) -> Vec<u8> {
        let mut words = Vec::new();
        let signals = std::mem::take(&mut self.signals);
        if !signals.is_empty() {
            words.extend_from_slice(self.hurry());
        }
        for (signal, positions) in signals {
            let running = (1..).zip(&self.members).filter(|(_, member)| member.phase == Phase::Running);
            let all = running.map(|(position, _)| position).collect::<BTreeSet<Position>>().is_subset(&positions);
            let some: Vec<_> = positions.into_iter().collect();
            words.extend(language::signal(signal, (!all).then_some(&some)));
        }
        words
    }

    /// Nobody waits for the connections that are still being made: what is broadcast need not wait for them either.
    fn hurry(&mut self) -> &'static [u8] {
        let awaited = self.members.iter().any(Member::is_awaited);
        let hurry = !awaited && !self.root_is_ready && !std::mem::replace(&mut self.canceled, true);
        if hurry { language::CANCEL } else { b"" }
    }

    /// Whether everybody who can be reached has been. Until then every TakTuk keeps what is broadcast in its memory.
    pub(super) fn is_complete(&self) -> bool {
        self.root_is_ready && self.reached.is_subset(&self.ready)
    }

    /// Whether no process is left that wants anything of taktuk.
    pub(super) fn is_over(&self) -> bool {
        self.members.iter().all(|member| member.unwanted || member.phase == Phase::Over)
    }

    /// The last words to taktuk.
    pub(super) fn farewell(&mut self) -> Vec<u8> {
        let mut words = self.hurry().to_vec();
        words.extend(self.take_signals());
        // Whoever was called off and begins all the same. taktuk would wait for it.
        if self.members.iter().any(|member| member.phase != Phase::Over) {
            words.extend(language::signal(self.unwanted_signal, None));
        }
        words.extend_from_slice(language::QUIT);
        words
    }

    /// Returns the words that kill what has not ended although it was asked to; `None` when they have been said before.
    pub(super) fn kill_the_rest(&mut self) -> Option<Vec<u8>> {
        let said = std::mem::replace(&mut self.unwanted_signal, Signal::KILL) == Signal::KILL;
        (!said).then(|| language::signal(Signal::KILL, None))
    }

    /// taktuk has ended, and whoever is left will not be heard of again.
    pub(super) fn taktuk_ended(&mut self, how: &str, answer: Answer<'_>) {
        for member in &mut self.members {
            let reason = match member.phase {
                Phase::Running => format!("taktuk connection lost: `{}`, since taktuk itself {how}", member.host),
                _ => format!("taktuk connection failed: `{}`, since taktuk itself {how}", member.host),
            };
            member.lost(&reason, answer);
        }
    }
}

impl Member {
    fn hears(&self) -> bool {
        self.phase == Phase::Running && !self.unwanted
    }

    /// Whether its process waits to be started.
    fn is_awaited(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Connected) && !self.unwanted
    }

    fn ended(&mut self, status: ExitStatus, answer: Answer<'_>) {
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Over;
        if !self.unwanted {
            for stream in [Stream::Stdout, Stream::Stderr] {
                answer(self.id, Input::Eof(stream));
            }
            answer(self.id, Input::Exited(status));
        }
    }

    /// It will not be heard of again: a start error, or, when it ran, a status that is lost and the reason on stderr,
    /// where ssh would have put it.
    fn lost(&mut self, reason: &str, answer: Answer<'_>) {
        match self.phase {
            Phase::Over => {}
            Phase::Running => {
                if !self.unwanted {
                    let line = format!("{reason}\n");
                    answer(self.id, Input::Bytes(Stream::Stderr, line.as_bytes()));
                    answer(self.id, Input::Diagnostics(line.as_bytes()));
                }
                self.ended(ExitStatus::Lost, answer);
            }
            Phase::Connecting | Phase::Connected => {
                self.phase = Phase::Over;
                if !self.unwanted {
                    let error = StartError { program: "taktuk".to_owned(), reason: reason.to_owned(), errno: None };
                    answer(self.id, Input::SpawnFailed(error));
                }
            }
        }
    }

    /// What the program that connects said last.
    fn why(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaints);
        let worth = |line: &&str| {
            // TakTuk's own at the far end, and what ssh says of a key that it has just learnt.
            let noise = ["[ TAKTUK", "Unknown setting", "Warning: Permanently added"];
            !line.is_empty() && !noise.iter().any(|beginning| line.starts_with(beginning))
        };
        text.lines().map(str::trim).rfind(worth).map(|line| format!(": {line}")).unwrap_or_default()
    }
}

/// A status of wait(2), as Linux has it: the signal in the low seven bits, then whether there is a core, then the code.
fn status(raw: i32) -> ExitStatus {
    match Signal::from_number(raw & 0x7f) {
        Some(signal) if raw & 0x7f != 0 => ExitStatus::Signaled { signal, core_dumped: raw & 0x80 != 0 },
        _ => ExitStatus::Exited(raw >> 8 & 0xff),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use phalanx_process::event::SignalScope;

    /// A tree, and what was answered of its members, by position, in short words.
    struct World {
        tree: Tree,
        ids: Vec<ProcessId>,
        answers: Vec<String>,
    }

    impl World {
        fn new(count: usize) -> Self {
            let ids: Vec<_> = (0..count).map(|_| ProcessId::new()).collect();
            let hosts = ids.iter().enumerate().map(|(index, id)| (*id, format!("n{}", index + 1)));
            Self { tree: Tree::new(hosts), ids, answers: Vec::new() }
        }

        fn note(ids: &[ProcessId], answers: &mut Vec<String>, id: ProcessId, input: &Input<'_>) {
            let position = ids.iter().position(|known| *known == id).unwrap() + 1;
            answers.push(match input {
                Input::Bytes(stream, bytes) => format!("{position} {stream:?} {}", bytes.escape_ascii()),
                Input::SpawnFailed(error) => format!("{position} failed: {}", error.reason),
                Input::Exited(status) => format!("{position} {status:?}"),
                Input::Spawned { .. } => format!("{position} runs"),
                Input::Cancelled => format!("{position} called off"),
                Input::WriteFailed => format!("{position} write failed"),
                Input::Eof(_) | Input::Diagnostics(_) => return,
                other => panic!("{other:?}"),
            });
        }

        /// What is answered to these lines.
        fn hear(&mut self, lines: &str) -> Vec<String> {
            let Self { tree, ids, answers } = self;
            for line in lines.lines() {
                tree.hear(&Said::parse(line.as_bytes()), &mut |id, input| Self::note(ids, answers, id, &input));
            }
            std::mem::take(answers)
        }

        fn effect(&mut self, position: usize, effect: impl FnOnce(ProcessId) -> Effect) -> Vec<String> {
            let Self { tree, ids, answers } = self;
            let effect = effect(ids[position - 1]);
            tree.effect(&effect, &mut |id, input| Self::note(ids, answers, id, &input));
            std::mem::take(answers)
        }

        fn signal(&mut self, position: usize, signal: Signal) {
            self.effect(position, |id| Effect::Signal { id, signal, scope: SignalScope::Everything });
        }

        fn words(&mut self) -> String {
            String::from_utf8(self.tree.take_signals()).unwrap()
        }
    }

    #[test]
    fn the_life_of_a_member() {
        let mut world = World::new(1);
        assert_eq!(world.hear("s 4 0 1 "), [""; 0]);
        assert_eq!(world.hear("s 6 1 - "), ["1 runs"]);
        assert_eq!(
            world.hear("on 1 a b\no- 1 c\nen 1 "),
            ["1 Stdout a b", "1 Stdout \\n", "1 Stdout c", "1 Stderr ", "1 Stderr \\n"]
        );
        assert_eq!(world.hear("x 1 768\ns 8 1 - \nx 1 0\non 1 late"), ["1 Exited(3)"]);
        assert!(world.tree.is_over());
    }

    #[test]
    fn a_connection_that_fails_has_the_last_complaint_as_its_reason() {
        let mut world = World::new(2);
        let said =
            "c 1 Warning: Permanently added 'n1' to the list\nc 1 ssh: no route\nc 1 [ TAKTUK WARNING ]\ns 3 0 1 ";
        assert_eq!(world.hear(said), ["1 failed: taktuk connection failed: cannot reach `n1`: ssh: no route"]);
        assert_eq!(world.hear("s 3 1 2 "), ["2 failed: taktuk connection failed: cannot reach `n2`"]);
    }

    #[test]
    fn a_lost_connection_takes_those_behind_it_along() {
        let mut world = World::new(4);
        world.hear("s 4 0 1 \ns 6 1 - \ns 4 1 2 \ns 6 2 - \ns 4 0 4 \ns 6 4 - ");
        let answers = world.hear("s 5 0 1 n2:2 n3:3");
        assert_eq!(answers.iter().filter(|answer| answer.ends_with("Lost")).count(), 2, "{answers:?}");
        assert!(
            answers.contains(&"3 failed: taktuk connection lost: `n3`, which is behind `n1`".to_owned()),
            "{answers:?}"
        );
        assert!(!world.tree.is_over(), "the fourth goes on");
    }

    /// When all who were reached are ready, who was not reached never will be.
    #[test]
    fn who_is_given_up_without_a_word_is_noticed() {
        let mut world = World::new(3);
        world.hear("s 4 0 1 \ns 6 1 - \ns 4 1 2 \ns 6 2 - ");
        assert_eq!(world.hear("s 0 0 - \ns 0 1 - "), [""; 0], "the second may still connect");
        assert_eq!(world.hear("s 0 2 - "), ["3 failed: taktuk connection failed: it gave up connecting to `n3`"]);
    }

    #[test]
    fn signals_are_gathered_and_sent_to_sets_or_to_all() {
        let mut world = World::new(3);
        world.hear("s 4 0 1 \ns 6 1 - \ns 4 0 2 \ns 6 2 - \ns 4 0 3 \ns 6 3 - \ns 0 0 - ");
        world.signal(1, Signal::TERM);
        world.signal(3, Signal::TERM);
        assert!(!world.tree.signals_are_complete());
        world.signal(1, Signal::KILL);
        assert_eq!(world.words(), "broadcast kill target 1/3 15\nbroadcast kill target 1 9\n");
        (1..=3).for_each(|position| world.signal(position, Signal::TERM));
        assert!(world.tree.signals_are_complete());
        assert_eq!(world.words(), "broadcast kill 15\n");
        assert_eq!(world.words(), "");
    }

    #[test]
    fn nobody_waits_for_connections_that_nobody_wants() {
        let mut world = World::new(2);
        world.hear("s 4 0 1 \ns 6 1 - ");
        world.signal(1, Signal::TERM);
        assert_eq!(world.words(), "broadcast kill 15\n", "the second is still wanted");
        assert_eq!(world.effect(2, Effect::Cancel), ["2 called off"]);
        world.signal(1, Signal::KILL);
        assert_eq!(world.words(), "network cancel\nbroadcast kill 9\n");
        // It comes all the same: then it must go.
        assert_eq!(world.hear("s 4 0 2 \ns 6 2 - \non 2 x"), [""; 0]);
        assert_eq!(world.words(), "broadcast kill target 2 15\n");
        assert_eq!(world.hear("x 2 9\nx 1 9"), ["1 Signaled { signal: Signal(9), core_dumped: false }"]);
        assert_eq!(world.tree.farewell(), b"quit\n");
        // One that nobody heard of again may begin at any time, even after the farewell.
        let mut world = World::new(1);
        world.effect(1, Effect::Cancel);
        assert!(world.tree.is_over());
        assert_eq!(world.tree.farewell(), b"network cancel\nbroadcast kill 15\nquit\n");
        world.hear("s 4 0 1 \ns 6 1 - ");
        assert_eq!(world.words(), "broadcast kill 15\n");
        // It does not obey. Nor is anything else asked of one that begins so late.
        assert_eq!(world.tree.kill_the_rest().as_deref(), Some(&b"broadcast kill 9\n"[..]));
        assert_eq!(world.tree.kill_the_rest(), None);
        let mut world = World::new(1);
        world.effect(1, Effect::Cancel);
        assert!(world.tree.kill_the_rest().is_some());
        world.hear("s 4 0 1 \ns 6 1 - ");
        assert_eq!(world.words(), "network cancel\nbroadcast kill 9\n");
    }

    #[test]
    fn a_taktuk_that_ends_too_early_ends_all() {
        let mut world = World::new(3);
        world.hear("s 4 0 1 \ns 6 1 - \nx 1 0\ns 4 0 2 \ns 6 2 - ");
        let World { tree, ids, answers } = &mut world;
        tree.taktuk_ended("died", &mut |id, input| World::note(ids, answers, id, &input));
        assert_eq!(
            answers[..],
            [
                "2 Stderr taktuk connection lost: `n2`, since taktuk itself died\\n",
                "2 Lost",
                "3 failed: taktuk connection failed: `n3`, since taktuk itself died",
            ]
        );
        assert!(tree.is_over());
    }

    #[test]
    fn a_status_of_wait_is_taken_apart() {
        let signaled = |signal, core_dumped| ExitStatus::Signaled { signal, core_dumped };
        for (raw, expected) in [
            (0, ExitStatus::Exited(0)),
            (768, ExitStatus::Exited(3)),
            (0xff00, ExitStatus::Exited(255)),
            (15, signaled(Signal::TERM, false)),
            (0x8b, signaled(Signal::from_number(11).unwrap(), true)),
        ] {
            assert_eq!(status(raw), expected);
        }
        // What no system says harms nobody.
        for raw in [-1, i32::MIN, i32::MAX, 0x7f] {
            let _ = status(raw);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever taktuk says, in whatever order: each member begins at most once and ends at most once, says nothing
        /// outside of that, and all are over when taktuk is.
        #[test]
        fn any_story_has_one_end_for_each(lines in proptest::collection::vec(
            (0..9_u32, 0..5_u32, 0..5_u32, "[soxec][n-]?", "( n[1-4]:[1-4]){0,2}"), 0..60),
            offs in proptest::collection::vec(1..4_usize, 0..4)) {
            let mut world = World::new(3);
            let mut told = Vec::new();
            for (number, (code, position, peer, kind, given)) in lines.into_iter().enumerate() {
                if kind == "s" {
                    told.extend(world.hear(&format!("s {code} {position} {peer}{given}")));
                    told.extend(world.hear(&format!("s {code} {peer} -")));
                } else {
                    told.extend(world.hear(&format!("{kind} {position} {code}")));
                }
                if let Some(&off) = offs.get(number) {
                    told.extend(world.effect(off, Effect::Cancel));
                }
            }
            let World { tree, ids, answers } = &mut world;
            tree.taktuk_ended("ended", &mut |id, input| World::note(ids, answers, id, &input));
            told.append(answers);
            for position in 1..=3 {
                let mine: Vec<_> = told.iter().filter_map(|answer| answer.strip_prefix(&format!("{position} "))).collect();
                let is_end = |answer: &&&str| !answer.starts_with("Std") && **answer != "runs";
                prop_assert_eq!(mine.iter().filter(is_end).count(), 1, "{:?}", mine);
                prop_assert!(mine.last().is_some_and(|last| is_end(&last)), "{:?}", mine);
                if mine.len() > 1 {
                    prop_assert_eq!(mine[0], "runs", "{:?}", mine);
                    prop_assert!(mine[1..].iter().all(|answer| *answer != "runs"), "{:?}", mine);
                }
            }
        }
    }
}
