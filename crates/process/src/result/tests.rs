//! The list in [`Evidence::judge`], against a second spelling of it, for every combination of facts.

use std::time::Instant;

use super::evidence::NO_WORD;
use super::*;
use crate::outcome::{Outcome, StartError};
use crate::output::{Capture, Captured};
use crate::spec::Faults;
use crate::{ExitStatus, Signal};

fn finished(status: Option<ExitStatus>) -> Finished {
    let now = Instant::now();
    Finished::new(Outcome::new(status, Some(now), now), Faults::default())
}

fn captured(text: &str) -> Captured {
    let mut captured = Captured::new(Capture::All);
    captured.append(text.as_bytes());
    captured
}

/// How the process of a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Exit(i32),
    Signal,
    Untold,
    /// A signal ended it, and what ran it does not tell which.
    UnknownSignal,
    NeverRan,
    Unreachable,
    Broken,
    RemoteSignal,
}

const HOWS: [How; 11] = [
    How::Exit(0),
    How::Exit(3),
    How::Exit(127),
    How::Exit(255),
    How::Signal,
    How::Untold,
    How::UnknownSignal,
    How::NeverRan,
    How::Unreachable,
    How::Broken,
    How::RemoteSignal,
];

fn ended(how: How) -> Finished {
    let exited = |code| finished(Some(ExitStatus::Exited(code)));
    let through_ssh = |log: &str| Finished { diagnostics: captured(log), ..exited(255) };
    match how {
        How::Exit(code) => exited(code),
        How::Signal => finished(Some(ExitStatus::Signaled { signal: Signal::KILL, core_dumped: false })),
        How::Untold => finished(Some(ExitStatus::Lost)),
        How::UnknownSignal => finished(Some(ExitStatus::UnknownSignal)),
        How::NeverRan => finished(None),
        How::Unreachable => through_ssh("ssh: connect to host n1 port 22: Connection refused\n"),
        How::Broken => through_ssh("debug1: Sending command: x\nConnection to n1 closed by remote host.\n"),
        How::RemoteSignal => through_ssh(
            "debug1: Sending command: x\ndebug1: client_input_channel_req: channel 0 rtype exit-signal reply 0\n",
        ),
    }
}

fn flags(bits: u32) -> [bool; 7] {
    std::array::from_fn(|n| bits >> n & 1 == 1)
}

/// The kind that the list gives, written as the list is.
fn expected(finished: &Finished, how: How, route: Route, case: &Case) -> ResultKind {
    use ResultKind::*;
    let Outcome { error, timed_out, killed, expect_failed, write_error, handler_failed, .. } = &finished.outcome;
    let stopped = if finished.outcome.status.is_none() { NotStarted } else { Interrupted };
    let fault = matches!(case.delivery, Some(Delivery::Failed(_) | Delivery::GivenUp(_)));
    let files = case.delivery.is_some();
    let beside = match () {
        () if handler_failed.is_some() => Some(HandlerFailed),
        () if *expect_failed && !files => Some(ExpectFailed),
        () if *write_error => Some(StdinNotRead),
        () => None,
    };
    let ssh = route == Route::Ssh && !killed;
    let confirmed = case.delivery == Some(Delivery::Confirmed);
    let lost = if case.output_lost { OutputLost } else { Ok };
    let rules = [
        (error.is_some() && fault, NotTransferred),
        (error.is_some(), NotStartable),
        (*timed_out, Timeout),
        (case.ended == EndedBecause::PartOver, lost),
        (case.ended == EndedBecause::RunStopped, stopped),
        (ssh && how == How::Unreachable, Unreachable),
        (case.missed, ExpectFailed),
        (fault && !killed, NotTransferred),
        (matches!(case.delivery, Some(Delivery::GivenUp(_))), NotTransferred),
        (*killed, beside.unwrap_or(stopped)),
        (ssh && matches!(how, How::Broken | How::Signal), Lost),
        (ssh && how == How::RemoteSignal, Signal),
        (matches!(how, How::Signal | How::UnknownSignal), Signal),
        (matches!(how, How::Untold | How::NeverRan), Lost),
        (files && !(confirmed && how == How::Exit(0)), NotTransferred),
        (!files && !matches!(how, How::Exit(0 | 127)), Exit),
        (beside.is_some(), beside.unwrap_or(Ok)),
        (true, lost),
    ];
    rules.iter().find(|(applies, _)| *applies).expect("the last always applies").1
}

#[derive(Debug, Clone)]
struct Case {
    ended: EndedBecause,
    missed: bool,
    delivery: Option<Delivery>,
    output_lost: bool,
}

fn cases() -> Vec<Case> {
    let because = [EndedBecause::ByItself, EndedBecause::PartOver, EndedBecause::RunStopped];
    let why = || "why".to_owned();
    let deliveries = [
        None,
        Some(Delivery::Confirmed),
        Some(Delivery::Unconfirmed),
        Some(Delivery::Failed(why())),
        Some(Delivery::GivenUp(why())),
    ];
    let mut cases = Vec::new();
    for ended in because {
        for missed in [false, true] {
            for delivery in &deliveries {
                for output_lost in [false, true] {
                    cases.push(Case { ended, missed, delivery: delivery.clone(), output_lost });
                }
            }
        }
    }
    cases
}

#[test]
fn the_judge_follows_its_list_for_every_combination() {
    let cases = cases();
    for bits in 0..1 << 6 {
        let [error, timed_out, killed, expect_failed, write_error, handler_failed, _] = flags(bits);
        for how in HOWS {
            let mut finished = ended(how);
            let outcome = &mut finished.outcome;
            outcome.error = error.then(|| StartError { program: "x".into(), reason: "y".into(), errno: Some(2) });
            (outcome.timed_out, outcome.killed) = (timed_out, killed);
            (outcome.expect_failed, outcome.write_error, outcome.handler_failed) =
                (expect_failed, write_error, handler_failed.then(|| "it panicked".into()));
            for route in [Route::Direct, Route::Ssh] {
                for case in &cases {
                    let result = Evidence::new(&finished, route)
                        .accepting(&[0, 127])
                        .ended(case.ended)
                        .expectation_missed(case.missed.then(|| "missed".to_owned()))
                        .delivery(case.delivery.clone())
                        .output_lost(case.output_lost.then(|| "full".to_owned()))
                        .judge();
                    let kind = expected(&finished, how, route, case);
                    assert_eq!(result.kind(), kind, "{how:?} {route:?} {case:?} {:?}", finished.outcome);
                }
            }
        }
    }
}

/// What a process is not ok for by its own policy is never a result that is ok: an error made of it has a reason.
#[test]
fn a_process_that_is_not_ok_has_no_result_that_is() {
    for bits in 0..1 << 6 {
        let [killed, timed_out, expect_failed, write_error, handler_failed, exit_ignored, _] = flags(bits);
        for how in HOWS {
            let ignore = Faults { exit_code: exit_ignored, ..Faults::default() };
            let Finished { mut outcome, diagnostics, .. } = ended(how);
            (outcome.killed, outcome.timed_out) = (killed, timed_out);
            (outcome.expect_failed, outcome.write_error, outcome.handler_failed) =
                (expect_failed, write_error, handler_failed.then(|| "it panicked".into()));
            let finished = Finished { diagnostics, ..Finished::new(outcome, ignore) };
            // What is confirmed has ended with 0, or the exit status is the fault.
            let delivery = Some(Delivery::Confirmed);
            for result in [
                Evidence::new(&finished, Route::Direct).judge(),
                Evidence::new(&finished, Route::Ssh).judge(),
                Evidence::new(&finished, Route::Ssh).delivery(delivery.filter(|_| !expect_failed)).judge(),
            ] {
                assert!(finished.ok || !result.is_ok(), "{result:?} of {finished:?}");
            }
        }
    }
}

#[test]
fn exit_codes_are_accepted_by_the_list_or_by_the_policy() {
    let judge = |code, accepted: &[i32], ignored| {
        let finished = ended(How::Exit(code));
        let ignore = Faults { exit_code: ignored, ..Faults::default() };
        let finished = Finished::new(finished.outcome, ignore);
        Evidence::new(&finished, Route::Direct).accepting(accepted).judge()
    };
    assert_eq!(judge(0, &[0], false), HostResult::Ok);
    assert_eq!(judge(3, &[0, 3], false), HostResult::Accepted(3));
    assert_eq!(judge(3, &[0], true), HostResult::Accepted(3));
    assert_eq!(judge(3, &[0], false), HostResult::Exited(3));
    assert_eq!(judge(0, &[3], false), HostResult::Exited(0), "0 is not fine when only 3 is");
}

#[test]
fn a_transfer_is_ok_only_by_a_word() {
    let judge = |code, delivery| Evidence::new(&ended(How::Exit(code)), Route::Ssh).delivery(Some(delivery)).judge();
    assert_eq!(judge(0, Delivery::Confirmed), HostResult::Ok);
    for (code, delivery, reason) in [
        (0, Delivery::Unconfirmed, NO_WORD),
        (3, Delivery::Confirmed, "the far end exited with exit code 3"),
        (127, Delivery::Unconfirmed, "there is no sh on that host"),
        (0, Delivery::Failed("disk full".to_owned()), "disk full"),
    ] {
        assert_eq!(judge(code, delivery), HostResult::NotTransferred(reason.to_owned()));
    }
}

#[test]
fn a_status_that_was_lost_has_the_reason_that_is_known() {
    let mut finished = ended(How::Untold);
    let judge = |finished: &Finished| Evidence::new(finished, Route::Direct).judge().sentence();
    assert!(judge(&finished).starts_with("connection lost: its exit status was taken"), "{}", judge(&finished));
    finished.outcome.lost_because = Some("the engine has ended".into());
    assert!(judge(&finished).starts_with("connection lost: the engine has ended ("), "{}", judge(&finished));
}

#[test]
fn last_words_are_the_last_line_that_the_sentence_does_not_have() {
    let words = |result: HostResult, stderr: &str| {
        result.last_words(&Finished { stderr: captured(stderr), ..ended(How::Exit(3)) })
    };
    let exited = || HostResult::Exited(3);
    assert_eq!(words(exited(), "first\ndisk is full\r\n\n  \n").as_deref(), Some("disk is full"));
    assert_eq!(words(exited(), "\n"), None);
    assert_eq!(words(exited(), "red \x1b[31malert\n").as_deref(), Some("red \\u{1b}[31malert"));
    let long = words(exited(), &"é".repeat(1000)).expect("there is a line");
    assert_eq!(long.chars().count(), 301);
    let unreachable = HostResult::Unreachable { reason: "ssh: no such host".to_owned(), advice: "check the name" };
    assert_eq!(words(unreachable, "ssh: no such host\n"), None);
}

#[test]
fn sentences_are_for_people_and_advice_is_in_them() {
    let lost = || "its ssh was killed by SIGKILL".to_owned();
    for (result, sentence) in [
        (HostResult::Accepted(3), "exited with exit code 3, which is fine"),
        (HostResult::Signaled(Some(9)), "killed by SIGKILL"),
        (HostResult::Signaled(Some(4096)), "killed by signal 4096"),
        (
            HostResult::Lost { reason: lost(), advice: "again" },
            "connection lost: its ssh was killed by SIGKILL (again)",
        ),
        (HostResult::NotTransferred("full".to_owned()), "not transferred: full"),
    ] {
        assert_eq!((result.sentence().as_str(), result.to_string().as_str()), (sentence, sentence));
        assert!(result.advice().is_none_or(|advice| sentence.contains(advice)));
    }
}

#[test]
fn what_is_known_about_a_lost_status_is_the_reason() {
    let mut finished = finished(Some(ExitStatus::Lost));
    finished.outcome.lost_because = Some("the ssh master has ended".into());
    let HostResult::Lost { reason, .. } = Evidence::new(&finished, Route::Direct).judge() else {
        panic!("{finished:?}")
    };
    assert_eq!(reason, "the ssh master has ended");
}
