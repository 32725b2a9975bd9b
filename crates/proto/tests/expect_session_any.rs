//! Sessions under random chunks, random times and random scripts. No test sleeps: the time is an argument.

use std::time::{Duration, Instant};

use phalanx_proto::expect::{
    Expect, IDLE_TIMEOUT, MatchResult, Matcher, Pattern, Reason, Script, ScriptOutcome, Session, SessionResult,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Chunks, each with the time that passes before it; gaps around those that mean silence.
fn arrivals() -> impl Strategy<Value = Vec<(Duration, Vec<u8>)>> {
    let piece = select(vec![&b"a"[..], b"b", b"ab", b" ", b"\n", b"\r\n", b"\xff", b"", b"aab"]);
    vec((gap(), vec(piece, 0..4).prop_map(|pieces| pieces.concat())), 0..8)
}

fn gap() -> impl Strategy<Value = Duration> {
    let idle = IDLE_TIMEOUT.as_nanos() as u64;
    select(vec![0, 1, idle / 3, idle - 1, idle, idle + 1, 3 * idle]).prop_map(Duration::from_nanos)
}

fn pattern() -> impl Strategy<Value = &'static str> {
    select(vec![
        "a", "b", "ab", "a+", "a*", "ab?", "b$", "^a", "a.", "a.?b", "(a)(b)?", "[^a]", r"\w+", ".*\n", "", "a|ab",
        "ab|a", "x", r"\bb", "^$", "(?s).+",
    ])
}

/// What ends a run, and when, counted from its beginning.
type Ended = (Duration, MatchResult);

/// Lets time pass up to `now` as a driver does: on time, or all at once when it is late.
fn pass(session: &mut Session, begin: Instant, now: Duration) {
    while let Some(at) = session.poll_timeout().filter(|at| *at <= begin + now) {
        session.handle_timeout(at);
    }
}

fn run(expect: &Expect, limit: Option<Duration>, arrivals: &[(Duration, Vec<u8>)], nosy: bool) -> Ended {
    let (begin, mut now, mut session) = (Instant::now(), Duration::ZERO, Session::default());
    session.expect(begin, expect, limit);
    let ended = |session: &mut Session| match session.poll_result()? {
        SessionResult::Match(result) => Some(result),
        SessionResult::Script(_) => panic!("no script runs"),
    };
    if let Some(result) = ended(&mut session) {
        return (now, result);
    }
    let mut due = session.poll_timeout();
    for (gap, chunk) in arrivals {
        while let Some(at) = due.filter(|at| *at <= begin + now + *gap) {
            session.handle_timeout(at);
            if let Some(result) = ended(&mut session) {
                return (at - begin, result);
            }
            due = session.poll_timeout();
        }
        now += *gap;
        session.feed(begin + now, chunk);
        if nosy {
            // Neither asking nor a call before its time changes anything.
            session.handle_timeout(begin + now);
            let _ = (session.poll_timeout(), session.poll_write());
        }
        if let Some(result) = ended(&mut session) {
            return (now, result);
        }
        due = session.poll_timeout();
    }
    session.handle_eof(begin + now);
    let result = ended(&mut session).expect("the end of the stream ends everything");
    (now, result)
}

/// The first match in a text that is complete.
fn in_whole_text(expect: &Expect, text: &[u8]) -> MatchResult {
    let mut matcher = Matcher::default();
    let _ = matcher.feed(text);
    matcher.expect(expect).or_else(|| matcher.end_of_file()).expect("the end decides")
}

/// When and how it should end, told without a session: by the rules, one after the other, from the prefixes of the text.
fn oracle(expect: &Expect, limit: Option<Duration>, arrivals: &[(Duration, Vec<u8>)]) -> Ended {
    let (mut now, mut heard, mut text) = (Duration::ZERO, Duration::ZERO, Vec::new());
    for step in 0..=arrivals.len() {
        // Decided by the bytes alone.
        let mut matcher = Matcher::default();
        let _ = matcher.feed(&text);
        if let Some(result) = matcher.expect(expect) {
            return (now, result);
        }
        let Some((gap, chunk)) = arrivals.get(step) else { break };
        // Decided by silence, if the text as it stands has a match; by the deadline otherwise.
        let whole = in_whole_text(expect, &text);
        let idle = whole.is_ok().then_some(heard + IDLE_TIMEOUT);
        let end = [idle, limit].into_iter().flatten().min().filter(|end| *end <= now + *gap);
        if let Some(end) = end {
            let timed_out = |result: MatchResult| {
                result.map_err(|mut missed| {
                    missed.reason = Reason::Timeout;
                    missed
                })
            };
            return (end, timed_out(whole));
        }
        now += *gap;
        heard = if chunk.is_empty() { heard } else { now };
        text.extend_from_slice(chunk);
    }
    (now, in_whole_text(expect, &text))
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Send,
    Respond,
    Optional,
    Repeat,
    SucceedOn,
    FailOn,
}

/// A script, with the number of its lines and whether it pauses.
fn script(pauses: bool) -> impl Strategy<Value = Script> {
    let kinds =
        vec![Kind::Send, Kind::Respond, Kind::Respond, Kind::Optional, Kind::Repeat, Kind::SucceedOn, Kind::FailOn];
    let looked_for = prop_oneof![
        6 => pattern().prop_map(Pattern::regex),
        1 => Just(Pattern::EndOfFile),
        1 => Just(Pattern::Timeout),
        1 => Just(Pattern::Bytes(2)),
        1 => Just(Pattern::from("ab")),
    ];
    let pause = if pauses { gap().boxed() } else { Just(Duration::ZERO).boxed() };
    vec((select(kinds), looked_for, pause), 0..7).prop_map(|lines| {
        let mut script = Script::new();
        for (number, (kind, pattern, pause)) in lines.into_iter().enumerate() {
            let text = format!("<{number}>");
            script = match kind {
                Kind::Send => script.send(text),
                Kind::Respond => script.respond(pattern, text),
                Kind::Optional => script.optional(pattern, text),
                Kind::Repeat => script.repeat(pattern, text),
                Kind::SucceedOn => script.succeed_on(pattern),
                Kind::FailOn => script.fail_on(pattern),
            };
            if !matches!(kind, Kind::SucceedOn | Kind::FailOn) {
                script = script.pause(pause);
            }
        }
        script
    })
}

/// Everything that a script sends, and how it ends; with the end of the stream at the latest.
fn converse(script: &Script, limit: Option<Duration>, arrivals: &[(Duration, Vec<u8>)]) -> (Vec<u8>, ScriptOutcome) {
    let (begin, mut now, mut session) = (Instant::now(), Duration::ZERO, Session::default());
    session.run_script(begin, script, limit).expect("valid");
    for (gap, chunk) in arrivals {
        now += *gap;
        pass(&mut session, begin, now);
        session.feed(begin + now, chunk);
    }
    session.handle_eof(begin + now);
    assert!(!session.is_active() && session.poll_timeout().is_none());
    let sent = std::iter::from_fn(|| session.poll_write()).flatten().collect();
    match session.poll_result().expect("the end of the stream ends everything") {
        SessionResult::Script(outcome) => (sent, outcome),
        SessionResult::Match(result) => panic!("a script runs: {result:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_expectation_ends_when_and_as_the_rules_say(
        patterns in vec(pattern(), 1..3), limit in proptest::option::of(gap()), arrivals in arrivals(), nosy in any::<bool>(),
    ) {
        let expect = Expect::new(patterns.iter().copied().map(Pattern::regex)).expect("valid");
        let limit = limit.filter(|limit| !limit.is_zero());
        let oracle = oracle(&expect, limit, &arrivals);
        prop_assert_eq!(run(&expect, limit, &arrivals, nosy), oracle);
    }

    #[test]
    fn without_pauses_a_script_depends_on_the_bytes_alone(
        script in script(false), arrivals in arrivals(), cuts in 1usize..5,
    ) {
        let text: Vec<u8> = arrivals.iter().flat_map(|(_, chunk)| chunk.clone()).collect();
        let at_once = |chunks: Vec<&[u8]>| -> Vec<_> {
            chunks.into_iter().map(|chunk| (Duration::ZERO, chunk.to_vec())).collect()
        };
        let whole = converse(&script, None, &at_once(vec![&text]));
        prop_assert_eq!(&converse(&script, None, &at_once(text.chunks(cuts).collect())), &whole);
    }

    #[test]
    fn any_script_ends_and_what_it_sends_is_made_of_its_responses(
        script in script(true), limit in proptest::option::of(gap()), arrivals in arrivals(),
    ) {
        // A timeout without any time, responded to every time, would be responded to without end.
        let limit = limit.filter(|limit| *limit >= IDLE_TIMEOUT);
        let (sent, _) = converse(&script, limit, &arrivals);
        let text = String::from_utf8(sent).expect("text");
        let well_formed = text.split_terminator('>').all(|piece| piece.strip_prefix('<').is_some_and(|number| number.parse::<usize>().is_ok()));
        prop_assert!(well_formed, "{}", text);
    }

    #[test]
    fn a_session_that_is_used_again_and_again_never_panics_and_never_hangs(
        steps in vec((0..7_u8, gap(), pattern(), script(true)), 0..20), window in 1usize..10,
    ) {
        let (begin, mut now, mut session) = (Instant::now(), Duration::ZERO, Session::with_window(window));
        for (step, gap, pattern, script) in steps {
            now += gap;
            let at = begin + now;
            match step {
                0 => session.expect(at, &Expect::one(Pattern::regex(pattern)).expect("valid"), Some(gap)),
                1 => session.run_script(at, &script, None).expect("valid"),
                2 => session.handle_timeout(at),
                3 => session.handle_eof(at),
                4 => session.skip_received(),
                5 => session.cancel(),
                _ if session.has_ended() => {}
                _ => session.feed(at, pattern.as_bytes()),
            }
            prop_assert!(!(session.poll_result().is_some() && session.is_active()));
        }
    }
}
