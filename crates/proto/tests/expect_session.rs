//! What is expected of a stream over time: silence, deadlines, pauses, scripts. No test sleeps: the time is an argument.

use std::time::{Duration, Instant};

use phalanx_proto::expect::{
    Expect, IDLE_TIMEOUT, Match, NotFound, Pattern, Reason, Script, ScriptOutcome, Session, SessionResult,
};

const SECOND: Duration = Duration::from_secs(1);

/// A session, and the time.
struct Clock {
    session: Session,
    now: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { session: Session::default(), now: Instant::now() }
    }

    fn run(script: &Script) -> Self {
        let mut clock = Self::new();
        clock.session.run_script(clock.now, script, Some(SECOND)).expect("valid");
        clock
    }

    fn expect(&mut self, pattern: impl Into<Pattern>, limit: Option<Duration>) {
        self.session.expect(self.now, &Expect::one(pattern).expect("valid"), limit);
    }

    fn feed(&mut self, text: &str) {
        self.session.feed(self.now, text.as_bytes());
    }

    /// Lets time pass, with everything that is due in it.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
        }
        self.now = until;
    }

    fn end(&mut self) {
        self.session.handle_eof(self.now);
    }

    /// What was sent since the last time.
    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_write()).map(|bytes| String::from_utf8(bytes).expect("text")).collect()
    }

    fn outcome(&mut self) -> Option<ScriptOutcome> {
        match self.session.poll_result()? {
            SessionResult::Script(outcome) => Some(outcome),
            SessionResult::Match(result) => panic!("a script runs: {result:?}"),
        }
    }

    fn result(&mut self) -> Option<Result<Match, NotFound>> {
        match self.session.poll_result()? {
            SessionResult::Match(result) => Some(result),
            SessionResult::Script(outcome) => panic!("no script runs: {outcome:?}"),
        }
    }
}

fn login() -> Script {
    Script::new()
        .respond("login: ", "root\n")
        .optional("Password: ", "secret\n")
        .respond("terminal type? ", "vt100\n")
        .repeat("--More--", " ")
        .succeed_on(Pattern::regex("[$#] "))
        .fail_on("incorrect")
}

#[test]
fn a_match_is_there_at_once_and_told_once() {
    let mut clock = Clock::new();
    clock.feed("n1 login: ");
    clock.expect("login: ", None);
    assert_eq!(clock.session.poll_timeout(), None);
    assert_eq!(clock.result().expect("decided").expect("found").position(), 3..10);
    assert_eq!(clock.result(), None);
    assert!(!clock.session.is_active());
}

#[test]
fn a_deadline_is_for_the_whole_expectation() {
    let mut clock = Clock::new();
    clock.expect("login: ", Some(SECOND));
    for _ in 0..9 {
        clock.pass(SECOND / 10);
        clock.feed("still booting\n");
        assert_eq!(clock.result(), None);
    }
    let end = clock.now + SECOND / 10;
    assert_eq!(clock.session.poll_timeout(), Some(end));
    clock.pass(SECOND / 10 - Duration::from_nanos(1));
    assert_eq!(clock.result(), None);
    clock.pass(Duration::from_nanos(1));
    assert_eq!(clock.result().expect("over").expect_err("nothing").reason, Reason::Timeout);
    assert_eq!(clock.session.poll_timeout(), None);
    clock.expect("login: ", Some(SECOND));
    clock.feed("login: ");
    assert!(clock.result().expect("decided").is_ok());
}

#[test]
fn no_time_at_all_is_a_look() {
    let mut clock = Clock::new();
    clock.feed("log");
    clock.expect("login: ", Some(Duration::ZERO));
    assert_eq!(clock.result().expect("at once").expect_err("not yet").unconsumed, 3);
    clock.feed("in: ");
    clock.expect("login: ", Some(Duration::ZERO));
    assert!(clock.result().expect("at once").is_ok());
    clock.feed("17");
    clock.expect(Pattern::regex(r"\d+"), Some(Duration::ZERO));
    assert_eq!(clock.result().expect("at once").expect("found").matched(), b"17");
}

#[test]
fn silence_begins_anew_with_every_byte() {
    let mut clock = Clock::new();
    clock.expect(Pattern::regex(r"took (\d+)"), None);
    clock.feed("took 1");
    clock.pass(IDLE_TIMEOUT - Duration::from_millis(1));
    clock.feed("2");
    clock.pass(IDLE_TIMEOUT - Duration::from_millis(1));
    assert_eq!(clock.result(), None);
    clock.pass(Duration::from_millis(1));
    assert_eq!(clock.result().expect("settled").expect("found").group(1), Some(&b"12"[..]));
}

#[test]
fn silence_is_measured_from_the_beginning_of_the_search() {
    let mut clock = Clock::new();
    clock.feed("17");
    clock.pass(10 * SECOND);
    clock.expect(Pattern::regex(r"\d+"), Some(SECOND));
    assert_eq!(clock.session.poll_timeout(), Some(clock.now + IDLE_TIMEOUT));
    clock.feed("\n");
    assert_eq!(clock.result().expect("decided").expect("found").matched(), b"17");
}

#[test]
fn the_deadline_settles_what_silence_has_not_yet() {
    let mut clock = Clock::new();
    clock.expect(Pattern::regex(r"\d+"), Some(IDLE_TIMEOUT / 2));
    clock.feed("17");
    clock.pass(IDLE_TIMEOUT / 2);
    assert_eq!(clock.result().expect("over").expect("there").matched(), b"17");
}

#[test]
fn the_end_of_the_stream_ends_it_at_once_and_whatever_is_expected_after_it() {
    let mut clock = Clock::new();
    clock.expect("login: ", None);
    clock.feed("bye");
    clock.end();
    for _ in 0..2 {
        assert_eq!(clock.result().expect("over").expect_err("nothing").reason, Reason::EndOfFile);
        clock.expect("login: ", Some(SECOND));
    }
    assert!(clock.result().expect("over").is_err());
    clock.session.run_script(clock.now, &login(), None).expect("valid");
    assert!(matches!(clock.outcome(), Some(ScriptOutcome::NotFound(_))));
}

#[test]
fn what_arrives_late_but_before_the_driver_has_said_so_counts() {
    let mut clock = Clock::new();
    clock.expect("login: ", Some(SECOND));
    clock.now += 2 * SECOND;
    clock.feed("login: ");
    assert!(clock.result().expect("decided").is_ok());
}

#[test]
fn what_is_cancelled_consumes_nothing_and_goes_on_when_asked_for_again() {
    let mut clock = Clock::new();
    clock.expect("login: ", Some(SECOND));
    clock.feed("log");
    clock.session.cancel();
    clock.feed("in: ");
    clock.pass(2 * SECOND);
    assert_eq!(clock.result(), None);
    clock.expect("login: ", None);
    assert_eq!(clock.result().expect("decided").expect("found").position(), 0..7);
}

#[test]
fn steps_are_responded_to_in_their_order_whatever_the_chunks() {
    let text = "n1 login: Password: --More----More--terminal type? # ";
    for size in [1, 3, 100] {
        let mut clock = Clock::run(&login());
        text.as_bytes().chunks(size).for_each(|chunk| clock.session.feed(clock.now, chunk));
        assert_eq!(clock.sent(), ["root\n", "secret\n", " ", " ", "vt100\n"]);
        assert!(clock.outcome().expect("ended").ok());
    }
}

#[test]
fn an_optional_step_may_be_left_out_and_is_then_over() {
    let mut clock = Clock::run(&login());
    clock.feed("login: terminal type? Password: ");
    assert_eq!(clock.sent(), ["root\n", "vt100\n"]);
    assert_eq!(clock.outcome(), None);
}

#[test]
fn a_prompt_before_its_time_is_no_success() {
    let mut clock = Clock::run(&login());
    clock.feed("# Welcome # login: ");
    assert_eq!(clock.sent(), ["root\n"]);
    assert_eq!(clock.outcome(), None);
}

#[test]
fn a_refusal_ends_the_script_at_any_time() {
    let mut clock = Clock::run(&login());
    ["login: ", "Password: ", "Login incorrect\r\n", "login: "].iter().for_each(|text| clock.feed(text));
    assert!(matches!(clock.outcome(), Some(ScriptOutcome::Failed(found)) if found.matched() == b"incorrect"));
    assert_eq!(clock.session.unconsumed(), b"\r\nlogin: ");
}

#[test]
fn without_a_success_pattern_the_last_step_is_the_success() {
    let mut clock = Clock::run(&Script::new().respond("login: ", "root\n"));
    clock.feed("login: rest");
    assert_eq!(clock.sent(), ["root\n"]);
    assert!(clock.outcome().expect("ended").ok());
    assert_eq!(clock.session.unconsumed(), b"rest");
}

#[test]
fn a_script_without_steps_sends_its_opening_and_succeeds_at_once() {
    let mut clock = Clock::run(&Script::new().send("\r").send("x").pause(SECOND));
    assert_eq!((clock.sent(), clock.outcome()), (vec!["\r".to_owned()], None));
    clock.pass(SECOND);
    assert_eq!((clock.sent(), clock.outcome()), (vec!["x".to_owned()], Some(ScriptOutcome::Succeeded(None))));
    assert_eq!(Clock::run(&Script::new()).outcome(), Some(ScriptOutcome::Succeeded(None)));
}

#[test]
fn a_timeout_and_an_end_say_what_was_waited_for() {
    let mut clock = Clock::run(&login());
    clock.feed("login: ");
    clock.pass(SECOND);
    let Some(ScriptOutcome::NotFound(missed)) = clock.outcome() else { panic!("not found") };
    assert_eq!(missed.expected, r#""incorrect", "--More--", "Password: " or "terminal type? ""#);
    let mut clock = Clock::run(&login());
    clock.end();
    assert!(matches!(clock.outcome(), Some(ScriptOutcome::NotFound(NotFound { reason: Reason::EndOfFile, .. }))));
}

#[test]
fn each_response_begins_the_time_for_the_next() {
    let mut clock = Clock::run(&login());
    for text in ["login: ", "--More--", "--More--", "terminal type? "] {
        clock.pass(SECOND / 10 * 9);
        clock.feed(text);
        assert_eq!(clock.outcome(), None);
    }
    clock.pass(SECOND);
    assert!(matches!(clock.outcome(), Some(ScriptOutcome::NotFound(_))));
}

#[test]
fn the_end_of_the_stream_can_be_the_success() {
    let mut clock = Clock::run(&Script::new().respond("login: ", "root\n").succeed_on(Pattern::EndOfFile));
    clock.feed("login: bye");
    clock.end();
    assert!(matches!(clock.outcome(), Some(ScriptOutcome::Succeeded(Some(found))) if found.before() == b"bye"));
}

#[test]
fn silence_settles_a_prompt_that_may_go_on() {
    let mut clock = Clock::run(&Script::new().respond(Pattern::regex("login: *"), "root\n"));
    clock.feed("login: ");
    assert!(clock.sent().is_empty());
    clock.pass(IDLE_TIMEOUT);
    assert_eq!(clock.sent(), ["root\n"]);
}

#[test]
fn a_script_goes_on_where_another_search_stopped() {
    let mut clock = Clock::new();
    clock.feed("n1 login: ");
    clock.expect("n1 ", None);
    assert!(clock.result().expect("decided").is_ok());
    clock.session.run_script(clock.now, &login(), None).expect("valid");
    assert_eq!(clock.sent(), ["root\n"]);
}

#[test]
fn a_response_waits_for_its_pause_and_the_time_for_the_next_begins_after_it() {
    let script = Script::new().respond("login: ", "root\n").pause(5 * SECOND).respond("Password: ", "secret\n");
    let mut clock = Clock::run(&script);
    clock.feed("login: ");
    clock.pass(5 * SECOND - Duration::from_nanos(1));
    // What comes meanwhile is looked at afterwards.
    clock.feed("flushed Password: ");
    assert_eq!((clock.sent(), clock.outcome()), (vec![], None));
    clock.pass(Duration::from_nanos(1));
    assert_eq!(clock.sent(), ["root\n", "secret\n"]);
    assert!(clock.outcome().expect("ended").ok());
}

#[test]
fn a_script_has_succeeded_only_when_its_last_response_is_sent() {
    let script = Script::new().respond("login: ", "root\n").pause(SECOND);
    let mut clock = Clock::run(&script);
    clock.feed("login: ");
    assert_eq!((clock.sent(), clock.outcome()), (vec![], None));
    clock.pass(SECOND);
    assert_eq!(clock.sent(), ["root\n"]);
    assert!(matches!(clock.outcome(), Some(ScriptOutcome::Succeeded(Some(found))) if found.matched() == b"login: "));
}

#[test]
fn the_end_of_the_stream_ends_every_pause() {
    let script = Script::new().respond("a", "1").pause(Duration::MAX).respond("b", "2").pause(SECOND).succeed_on("c");
    let mut clock = Clock::run(&script);
    clock.feed("a");
    assert_eq!(clock.session.poll_timeout(), None, "longer than a clock can say");
    clock.feed("b");
    clock.end();
    assert_eq!(clock.sent(), ["1", "2"]);
    assert!(matches!(clock.outcome(), Some(ScriptOutcome::NotFound(_))));
}

#[test]
fn an_empty_match_is_responded_to_once_until_something_else_has_matched() {
    let script = Script::new().repeat(Pattern::regex("x*"), "!").respond("a", "1").respond("b", "2");
    let mut clock = Clock::run(&script);
    clock.feed("ab");
    clock.pass(IDLE_TIMEOUT);
    clock.end();
    assert!(clock.outcome().expect("ended").ok());
    assert_eq!(clock.sent(), ["!", "1", "!", "2"]);
}

#[test]
fn a_timeout_can_be_responded_to_every_time() {
    let script = Script::new().repeat(Pattern::Timeout, "\r").respond("login: ", "root\n");
    let mut clock = Clock::run(&script);
    clock.pass(3 * SECOND);
    assert_eq!(clock.sent(), ["\r", "\r", "\r"]);
    clock.feed("login: ");
    assert!(clock.outcome().expect("ended").ok());
}

#[test]
fn a_malformed_script_expects_nothing() {
    let mut session = Session::default();
    let script = Script::new().send("x").respond(Pattern::regex("("), "y");
    assert!(session.run_script(Instant::now(), &script, None).is_err());
    assert_eq!((session.is_active(), session.poll_write(), session.poll_result()), (false, None, None));
}

#[test]
fn responses_are_not_shown() {
    let mut session = Session::default();
    session.run_script(Instant::now(), &login(), None).expect("valid");
    assert!(!format!("{session:?} {:?}", login()).contains("secret"));
}
