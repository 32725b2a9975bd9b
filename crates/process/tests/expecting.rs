//! Expecting something of processes: checks E1 to E15 of the reference on real ones. What is found in which bytes is the
//! business of `expect.rs` and `expect_oracle.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use phalanx_process::Process;
use phalanx_process::engine::EngineHandle;
use phalanx_process::event::Stream;
use phalanx_process::expect::{Expect, NotFound, Pattern, Reason, Script};
use phalanx_process::id::ProcessId;
use phalanx_process::process::expect_all;
use phalanx_process::spec::{Faults, Stdin};
use phalanx_process::watch::{ExpectFailed, ExpectHandler, Next, Timeout};

/// Far longer than anything here takes: it only keeps a defect from hanging the tests.
const SAFETY_NET: Duration = Duration::from_secs(120);

fn cat() -> Process {
    Process::new("cat").stdin(Stdin::Pipe).default_expect_timeout(Some(SAFETY_NET)).start()
}

fn end(process: Process) -> Process {
    process.close_stdin();
    process.wait()
}

/// Item 63, E1, E2, E13: what was said before counts, also after the end; two matches of one chunk come one by one.
#[test]
fn what_was_said_before_is_found_piece_by_piece_also_after_the_end() {
    let process = Process::new("echo one two one").run();
    let one = process.expect("one").unwrap();
    assert_eq!(one.position(), 0..3);
    let again = process.expect("one").unwrap();
    assert_eq!((again.before(), again.position()), (&b" two "[..], 8..11));
    assert!(process.ok());
    assert!(process.expect("one").is_err() && !process.ok(), "there is no third");
}

/// Item 63, E3, E4: matches across chunks, and lines.
#[test]
fn a_match_may_come_in_pieces() {
    let process = cat();
    for piece in ["no l", "ogin\nlog", "in", ": "] {
        process.write(piece);
    }
    let found = process.expect(Pattern::regex("^login: ")).unwrap();
    assert_eq!(found.before(), b"no login\n");
    assert!(end(process).ok());
}

/// Item 63, E5.
#[test]
fn the_number_of_the_needle_says_which_it_was() {
    let process = cat();
    process.write("b a");
    assert_eq!(process.expect(["a", "b"]).unwrap().pattern(), 1);
    assert_eq!(process.expect(vec![Pattern::regex("x"), "a".into()]).unwrap().pattern(), 1);
    assert!(end(process).ok());
}

/// Items 10, 11, 32, E6: a miss is the process's fault, unless that is ignored.
#[test]
fn a_miss_makes_it_not_ok_and_says_what_came_instead() {
    let ignored = Faults { expect_failed: true, ..Faults::default() };
    for ignore in [Faults::default(), ignored] {
        let process = Process::new("cat").stdin(Stdin::Pipe).ignore(ignore).nolog(ignore).start();
        process.write("password: ");
        let failed = process.expect_within(Duration::from_millis(30), "login: ").unwrap_err();
        let ExpectFailed::NotFound(missed) = &failed else { panic!("{failed}") };
        assert_eq!(missed.reason, Reason::Timeout);
        assert!(failed.to_string().contains("expected \"login: \""), "{failed}");
        assert_eq!(process.expect("password: ").unwrap().pattern(), 0, "the bytes are still there");
        let process = end(process);
        assert!(process.expect_failed());
        assert_eq!((process.ok(), process.finished().unwrap().worth_a_warning), (ignore == ignored, ignore != ignored));
    }
}

/// Item 63, E7: the end of the stream is an answer, whether the process goes on or not.
#[test]
fn the_end_of_the_stream_ends_the_wait() {
    let closed = Process::shell("echo x; exec >&-; exec sleep 1000").start();
    let ended = Process::new("echo x").start();
    for process in [&closed, &ended] {
        let failed = process.expect_within(Timeout::Never, "y").unwrap_err();
        assert!(matches!(failed, ExpectFailed::NotFound(NotFound { reason: Reason::EndOfFile, .. })), "{failed}");
        assert_eq!(process.expect(Pattern::EndOfFile).unwrap().before(), b"x\n");
    }
    assert!(closed.running());
    closed.kill();
    assert!(closed.wait().expect_failed() && ended.wait().expect_failed());
}

/// Item 63, E8: no time at all is a look, and a miss of a look is no failure.
#[test]
fn a_poll_looks_at_what_is_there_and_blames_nobody() {
    let process = cat();
    assert!(process.expect_within(Duration::ZERO, "x").is_err());
    process.write("x");
    process.expect("x").unwrap();
    process.write("yz");
    process.expect("y").unwrap();
    process.expect_within(Duration::ZERO, "z").unwrap();
    assert!(end(process).ok());
}

/// Items 14, 22, E9: a default, for ever, and so long.
#[test]
fn a_limit_is_a_default_for_ever_or_so_long() {
    let process = Process::new("cat").stdin(Stdin::Pipe);
    let process = process.default_expect_timeout(Some(Duration::from_millis(20))).start();
    assert!(process.expect("x").is_err());
    let waiting = {
        let process = process.clone();
        std::thread::spawn(move || process.expect_on(Stream::Stdout, Timeout::Never, "x").is_ok())
    };
    assert!(process.expect_within(Duration::from_millis(1), Pattern::Timeout).is_ok() || waiting.is_finished());
    process.write("x");
    assert!(waiting.join().unwrap());
    drop(end(process));
}

/// Item 63, E10: from any thread.
#[test]
fn any_thread_may_expect() {
    let process = cat();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let process = process.clone();
            std::thread::spawn(move || process.expect("word ").unwrap().position().start)
        })
        .collect();
    process.write("word word word word ");
    let mut positions: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    positions.sort_unstable();
    assert_eq!(positions, [0, 5, 10, 15]);
    assert!(end(process).ok());
}

/// E11: over several processes at once, the limit is one limit, and the verdicts come in the order of the processes.
#[test]
fn several_processes_share_one_limit() {
    let processes: Vec<_> = (0..20).map(|_| cat()).collect();
    let start = Instant::now();
    let limit = Duration::from_millis(500);
    processes[7].write("here");
    let verdicts = expect_all(&processes, Stream::Stdout, limit, "here").unwrap();
    let found: Vec<_> = verdicts.iter().enumerate().filter(|(_, verdict)| verdict.is_ok()).map(|(n, _)| n).collect();
    assert_eq!(found, [7]);
    assert!(start.elapsed() >= limit && start.elapsed() < 20 * limit, "not one after the other");
    processes.into_iter().for_each(|process| drop(end(process)));
}

/// E12.
#[test]
fn stderr_can_be_expected_on_apart_from_stdout() {
    let process = Process::shell("echo out; echo err >&2").start();
    assert_eq!(process.expect_on(Stream::Stderr, Timeout::Never, "err").unwrap().position(), 0..3);
    assert_eq!(process.expect("out").unwrap().position(), 0..3);
    assert!(process.wait().ok());
}

/// E14: with `cat` in the other part.
#[test]
fn a_dialogue_answers_what_it_is_asked() {
    let process = cat();
    process.write("login: ");
    let script = Script::new().respond("login: ", "Password: ").respond("Password: ", "done\n").succeed_on("done");
    assert!(process.run_script(Timeout::After(SAFETY_NET), &script).unwrap().ok());
    process.write("more");
    process.expect("more").unwrap();
    assert!(end(process).ok());
}

/// E15.
#[test]
fn what_was_received_can_be_skipped() {
    let process = cat();
    process.write("old old ");
    process.expect("old").unwrap();
    process.expect(Pattern::Bytes(5)).unwrap();
    process.write("older ");
    process.expect(" ").unwrap();
    process.write("newer");
    process.expect("new").unwrap();
    process.skip_received(Stream::Stdout);
    process.write(" newest");
    let found = process.expect("new").unwrap();
    assert!(found.position().start >= 17, "{found:?}");
    assert!(end(process).ok());
}

/// The rule of silence: a prompt that further bytes might change is taken when none come.
#[test]
fn a_prompt_that_might_go_on_is_taken_after_a_silence() {
    let process = cat();
    process.write("value: 42");
    let found = process.expect(Pattern::regex(r"\d+")).unwrap();
    assert_eq!(found.matched(), b"42");
    process.write("# ");
    process.expect(Pattern::regex("# *$")).unwrap();
    assert!(end(process).ok());
}

#[test]
fn a_malformed_needle_is_said_so_and_blames_nobody() {
    let process = cat();
    assert!(matches!(process.expect(Pattern::regex("(")), Err(ExpectFailed::Invalid(_))));
    assert!(process.run_script(Timeout::Never, &Script::new().respond(Pattern::regex("("), "x")).is_err());
    process.write("x");
    process.expect("x").unwrap();
    assert!(end(process).ok());
}

/// Items 97, 98, 99: a handler that calls back, one instance for many processes; by match, end and limit.
#[test]
fn a_handler_calls_back_for_many_processes() {
    let heard = Arc::new(Mutex::new(HashMap::<ProcessId, Vec<String>>::new()));
    let log = Arc::clone(&heard);
    let word = Expect::one(Pattern::regex(r"\w+ ")).unwrap();
    let handler = EngineHandle::global().attach(ExpectHandler::new(Stream::Stdout, word, move |_, id, verdict| {
        let said = verdict.map_or_else(|missed| missed.reason.to_string(), |found| found.matched_text().into_owned());
        log.lock().unwrap().entry(id).or_default().push(said);
        Next::Again
    }));
    let processes: Vec<_> = (0..50).map(|_| Process::new("echo a b c").heard_by(handler).start()).collect();
    for process in processes {
        assert!(process.wait().expect_failed(), "it goes on until a miss");
    }
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 50);
    assert!(heard.values().all(|said| *said == ["a ", "b ", "the stream ended"]), "{heard:?}");
}

/// Item 97: and its limit.
#[test]
fn a_handler_is_told_when_its_time_is_over() {
    let (told, verdicts) = mpsc::channel();
    let handler = ExpectHandler::new(Stream::Stdout, Expect::one("x").unwrap(), move |_, _, verdict| {
        told.send(verdict.map(|_| ()).map_err(|missed| missed.reason)).unwrap();
        Next::Done
    });
    let process = Process::new("sleep 1000").on(handler.within(Duration::from_millis(30))).start();
    assert_eq!(verdicts.recv_timeout(SAFETY_NET).unwrap(), Err(Reason::Timeout));
    process.kill();
    assert!(process.wait().expect_failed() && verdicts.try_recv().is_err());
}

/// As an iterator: it ends with the stream, and that is no failure.
#[test]
fn matches_can_be_iterated() {
    let process = Process::new("seq 1 1000").start();
    let numbers = process.matches(Stream::Stdout, Timeout::Never, Pattern::regex(r"^(\d+)\n")).unwrap();
    let sum: u32 = numbers.map(|found| found.group_text(1).unwrap().parse::<u32>().unwrap()).sum();
    assert_eq!(sum, 500_500);
    assert!(process.wait().ok());
}
