//! One process, as its user sees it: the items of execo's inventory (`docs/execo.md`) and the acceptance checks A1 to A20
//! of the reference, each by its number.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime};

use phalanx_process::engine::EngineHandle;
use phalanx_process::event::{Event, Grace, Kill, Stream};
use phalanx_process::handler::Context;
use phalanx_process::id::ProcessId;
use phalanx_process::listeners::{Lifecycle, LifecycleHandler, LineHandler, Sink};
use phalanx_process::outcome::Finished;
use phalanx_process::output::Capture;
use phalanx_process::spec::{Command, Faults, Leftovers, Output, Stdin};
use phalanx_process::{ExitStatus, Process, Signal, Spec};

/// Far longer than anything here takes: it only keeps a defect from hanging the tests.
const SAFETY_NET: Duration = Duration::from_secs(120);

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + SAFETY_NET;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

fn is_dead(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// Runs a process that prints pids, one to a line, and returns it once `count` of them are known.
fn with_pids(process: Process, count: usize) -> (Process, Vec<String>) {
    let process = process.start();
    let pids = || text(process.stdout()).lines().map(str::to_owned).collect::<Vec<_>>();
    wait_until("the pids are known", || pids().len() >= count && process.stdout().ends_with(b"\n"));
    let pids = pids();
    (process, pids)
}

/// Items 1, 2, 21, 68, A3: a command is a line of words, a list of arguments, or a line for the shell.
#[test]
fn a_command_is_a_line_a_list_or_a_line_for_the_shell() {
    let said = |process: Process| text(process.run().stdout());
    assert_eq!(said(Process::new("echo $HOME 'a  b'")), "$HOME a  b\n");
    assert_eq!(said(Process::shell("echo $((1 + 1)) a  b")), "2 a b\n");
    assert_eq!(said(Process::new(["echo", "a  b", "$HOME"])), "a  b $HOME\n");
    assert_eq!(said(Process::new(vec!["echo".to_owned(), "*".to_owned()])), "*\n");
    assert_eq!(Process::new("true").command(), Command::Words("true".to_owned()));
}

#[test]
fn environment_and_working_directory_are_its_own() {
    let process = Process::shell("echo $GREETING; pwd").env("GREETING", "hello").directory("/proc").run();
    assert_eq!(text(process.stdout()), "hello\n/proc\n");
    let nowhere = Process::new("pwd").directory("/no/such/place").run();
    assert!(nowhere.error().unwrap().reason.contains("working directory"), "{nowhere:?}");
}

/// Items 4, 5, 31, 36 to 40, 44 to 49, A1: exit codes.
#[test]
fn an_exit_code_is_a_code_and_may_be_ignored() {
    let code = Faults { exit_code: true, ..Faults::default() };
    for (ignore, nolog, ok, warned) in [
        (Faults::default(), Faults::default(), false, true),
        (code, Faults::default(), true, true),
        (Faults::default(), code, false, false),
        (code, code, true, false),
    ] {
        let process = Process::shell("exit 3").ignore(ignore).nolog(nolog).run();
        assert_eq!((process.exit_code(), process.ok(), process.finished_ok()), (Some(3), ok, ok));
        assert_eq!(process.finished().unwrap().worth_a_warning, warned);
    }
}

/// Items 8, 9, 29, 30, A2: a start error is an end, and `ignore error` alone forgives it.
#[test]
fn a_start_error_is_an_end_that_can_be_forgiven() {
    let error = Faults { error: true, ..Faults::default() };
    let process = Process::new("/no/such/program").run();
    assert!(process.started() && process.ended() && !process.running() && !process.ok());
    assert_eq!((process.error().unwrap().errno, process.exit_code(), process.pid()), (Some(2), None, None));
    assert!(process.finished().unwrap().worth_a_warning);
    let forgiven = Process::new("/no/such/program").ignore(error).nolog(error).run();
    assert!(forgiven.ok() && !forgiven.finished().unwrap().worth_a_warning);
}

/// Items 3, 6, 7, 59, 60, 61, 210, A4: a timeout, in every format.
#[test]
fn a_timeout_ends_it_in_any_format_and_may_be_ignored() {
    let ignored = Faults { timeout: true, ..Faults::default() };
    let sleep = || Process::new("sleep 1000");
    let timeouts = [sleep().timeout(1), sleep().timeout(0.3), sleep().timeout("0:0:0.3"), sleep().timeout("1")];
    let timeouts = timeouts.map(Process::start);
    for process in timeouts {
        let deadline = process.clone().wait_started().timeout_at();
        assert!(deadline.is_some());
        let process = process.wait();
        assert!(process.timed_out() && process.killed() && !process.ok() && !process.forced_kill(), "{process:?}");
        assert_eq!(process.status(), Some(ExitStatus::Signaled { signal: Signal::TERM, core_dumped: false }));
    }
    assert!(sleep().timeout(0.1).ignore(ignored).run().ok());
    for wrong in ["-1", "soon"] {
        let process = sleep().timeout(wrong).run();
        assert!(process.error().unwrap().reason.contains("timeout"), "{process:?}");
    }
}

/// Items 34, 41, 71, A5: signals, and what follows them.
#[test]
fn a_kill_escalates_as_its_type_says() {
    let stubborn = || {
        let process = Process::shell("trap '' TERM INT; echo; while :; do sleep 1000; done");
        with_pids(process, 1).0
    };
    let soon = Grace::After(Duration::from_millis(200));
    for (signal, grace, forced) in [
        (Signal::TERM, soon, true),
        (Signal::INT, soon, true),
        (Signal::TERM, Grace::After(Duration::ZERO), true),
        (Signal::KILL, Grace::Never, false),
    ] {
        let process = stubborn();
        process.kill_with(Kill { signal, grace, group: true });
        let process = process.wait();
        assert_eq!((process.forced_kill(), process.killed(), process.ok()), (forced, true, true), "{signal} {grace:?}");
    }
    let patient = stubborn();
    patient.kill_with(Kill { grace: Grace::Never, ..Kill::default() });
    let patient = patient.wait_for(Duration::from_millis(300));
    assert!(patient.running());
    patient.kill_with(Kill::NOW);
    assert!(patient.wait().killed());
    let hung_up = with_pids(Process::shell("trap 'exit 7' HUP; echo; while :; do sleep 0.01; done"), 1).0;
    hung_up.kill_with(Kill { signal: Signal::HUP, ..Kill::default() });
    let hung_up = hung_up.wait();
    assert!(hung_up.exit_code() == Some(7) && hung_up.ok(), "we ended it: its exit code is forgiven");
}

/// Items 70, A6: a kill leaves nobody, not even those who left the group, the session, or their parents.
#[test]
fn a_kill_ends_all_that_it_started_wherever_it_went() {
    let script = "sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & \
                  (setsid sh -c 'sleep 1000 & echo $!' &); wait";
    let (process, pids) = with_pids(Process::shell(script), 3);
    assert!(pids.iter().all(|pid| !is_dead(pid)));
    process.kill();
    assert!(process.wait().killed());
    for pid in pids {
        wait_until(&format!("{pid} is dead"), || is_dead(&pid));
    }
}

/// Item 71: who is stopped hears that it is to end, and its grace is not waited for.
#[test]
fn a_stopped_process_ends_when_it_is_asked_to() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let process = Process::shell("kill -s STOP $$; exec sleep 1000").start().wait_started();
        let stat = format!("/proc/{}/stat", process.pid().unwrap());
        wait_until("it is stopped", || std::fs::read_to_string(&stat).unwrap_or_default().contains(") T "));
        process.kill_with(Kill { signal, grace: Grace::After(SAFETY_NET), group: true });
        let finished = process.wait().finished().unwrap();
        assert_eq!(finished.outcome.status, Some(ExitStatus::Signaled { signal, core_dumped: false }));
        assert!(!finished.outcome.forced_kill);
    }
}

/// Items 70, A6: unless only the process itself is meant.
#[test]
fn a_kill_of_the_process_alone_leaves_the_others() {
    let (process, pids) = with_pids(Process::shell("sleep 1000 & echo $!; wait"), 1);
    process.kill_with(Kill { group: false, ..Kill::default() });
    assert!(process.wait().killed());
    assert!(!is_dead(&pids[0]));
    assert!(Process::new(["kill", "-KILL", &pids[0]]).run().ok());
}

/// A7, and who is killed while it starts.
#[test]
fn a_kill_before_the_start_after_the_end_or_twice_is_harmless() {
    let process = Process::new("true");
    process.kill();
    assert!(!process.started());
    let process = process.run();
    process.kill();
    process.kill();
    assert!(process.ok() && !process.killed());
    let starting: Vec<_> = (0..200).map(|_| Process::new("sleep 1000").start()).collect();
    starting.iter().for_each(Process::kill);
    starting.iter().for_each(Process::kill);
    for process in starting {
        let process = process.wait();
        assert!(process.killed() && process.ok(), "{process:?}");
    }
}

/// Items 50, 73, 78, A8.
#[test]
fn a_wait_with_a_limit_leaves_it_running_and_one_before_the_start_is_refused() {
    let process = Process::new("sleep 1000").start().wait_started().wait_for(Duration::from_millis(20));
    assert!(process.running() && !process.ended() && process.ok() && !process.finished_ok());
    process.kill();
    let unstarted = Process::new("true");
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(unstarted.wait())));
    assert!(refused.unwrap_err().downcast_ref::<String>().unwrap().contains("must be started"));
    assert!(process.wait().killed());
}

/// Items 25, 26, 51, 52, 64, 74, A9.
#[test]
fn a_reset_forgets_the_run_and_keeps_the_description() {
    let before = SystemTime::now();
    let process = Process::shell("echo $$").start().start().wait();
    let first = text(process.stdout());
    assert!(process.start_date().unwrap() >= before && process.end_date() >= process.start_date());
    assert_eq!(text(process.clone().start().wait().stdout()), first, "a second start does nothing");
    let process = process.reset();
    assert!(!process.started() && !process.ended() && process.ok() && process.outcome().is_none());
    assert!(process.stdout().is_empty() && process.pid().is_none() && process.start_date().is_none());
    assert_ne!(text(process.run().stdout()), first);
}

/// A10: what was said is there, and nobody waits for the grandchild.
#[test]
fn a_grandchild_is_not_waited_for() {
    let process = Process::shell("sleep 1000 & echo $!; echo done").run();
    let said = text(process.stdout());
    assert!(said.ends_with("done\n") && process.outcome().unwrap().leaked);
    assert!(Process::new(["kill", "-KILL", said.lines().next().unwrap()]).run().ok());
}

/// Items 12, 13, 62, 75, 79, A12: stdin, live and closed.
#[test]
fn stdin_is_written_live_closed_and_refused_when_it_is_late() {
    let process = Process::new("sort").stdin(Stdin::Pipe).start();
    process.write("b\n");
    process.try_write("a\n").unwrap();
    process.close_stdin();
    let process = process.wait();
    assert_eq!((text(process.stdout()), process.ok()), ("a\nb\n".to_owned(), true));
    process.write("late\n");
    wait_until("the late write is noticed", || process.write_error());
    assert!(!process.ok());
    let ignored = Faults { write_error: true, ..Faults::default() };
    let forgiven = Process::new("true").stdin(Stdin::Pipe).ignore(ignored).run();
    forgiven.write("late");
    wait_until("the late write is noticed", || forgiven.write_error());
    assert!(forgiven.ok());
}

/// Item 79: who writes to a process that does not read waits, and a bounded amount is kept.
#[test]
fn a_writer_waits_while_too_much_is_queued() {
    let process = Process::shell("read start; wc -c").stdin(Stdin::Pipe).start();
    let chunk = vec![b'x'; 256 * 1024];
    let mut accepted = 0;
    while process.try_write(&chunk).is_ok() {
        accepted += chunk.len();
        assert!(accepted < 64 << 20, "there is a bound");
    }
    let writer = {
        let process = process.clone();
        let chunk = chunk.clone();
        std::thread::spawn(move || process.write(chunk))
    };
    assert!(!writer.is_finished());
    // It reads its first line only now: the newline was among nothing so far, so it must be given room.
    process.kill();
    writer.join().unwrap();
    assert!(process.wait().killed());

    let counted = Process::new("wc -c").stdin(Stdin::Pipe).start();
    for _ in 0..100 {
        counted.write(&chunk);
    }
    counted.close_stdin();
    assert_eq!(text(counted.wait().stdout()).trim(), (100 * chunk.len()).to_string());
}

/// Item 79: inside a handler nobody may wait.
#[test]
fn a_write_inside_a_handler_is_refused_with_a_sentence() {
    let (told, heard) = mpsc::channel();
    let cat = Process::new("cat").stdin(Stdin::Pipe).start();
    let target = cat.clone();
    let process = Process::new("true").on_start(move |_, _| {
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target.write("x")));
        told.send(refused.unwrap_err().downcast_ref::<String>().cloned()).unwrap();
        target.try_write("from a handler").unwrap();
        target.close_stdin();
    });
    assert!(process.run().ok());
    assert!(heard.recv().unwrap().unwrap().contains("would wait for itself"));
    assert_eq!(text(cat.wait().stdout()), "from a handler");
}

/// Items 15, 16, 23, 24, 55, 57, A13: captured whole, in part, or not at all; apart or merged.
#[test]
fn output_is_captured_as_wanted() {
    let all: Vec<u8> = (0..=255).collect();
    let bytes = Process::new("cat").stdin(Stdin::Data(all.clone().into())).run();
    assert_eq!(bytes.stdout(), all);
    let apart = Process::shell("echo out; echo err >&2").run();
    assert_eq!((apart.stdout(), apart.stderr()), (b"out\n".to_vec(), b"err\n".to_vec()));
    let merged = Process::shell("echo out; echo err >&2; echo out").stderr_to(Output::WithStdout).run();
    assert_eq!((text(merged.stdout()).as_str(), merged.stderr().len()), ("out\nerr\nout\n", 0));
    let none = Process::new("echo x").capture_stdout(Capture::None).run();
    assert_eq!((none.stdout().len(), none.finished().unwrap().stdout.total()), (0, 2));
    let much = Process::shell("head -c 104857600 /dev/zero").run();
    assert_eq!(much.stdout().len(), 100 << 20);
    let discarded = Process::shell("echo x; echo y >&2").stdout_to(Output::Null).stderr_to(Output::Null).run();
    assert!(discarded.ok() && discarded.stdout().is_empty() && discarded.stderr().is_empty());
}

/// Items 18, 19, 56, 58, 76, 77, A14: to a file, visible while it runs, and to handlers and memory at the same time.
#[test]
fn output_goes_to_memory_handlers_files_and_descriptors_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&seen);
    let file = |name: &str, append| Sink::File { path: path(name), append };
    let descriptor: Arc<OwnedFd> = Arc::new(File::create(path("descriptor")).unwrap().into());
    let process = Process::shell("echo out; echo err >&2; read go; echo end")
        .stdin(Stdin::Pipe)
        .on_line(move |_, _, line| lines.lock().unwrap().push(text(line.bytes.to_vec())))
        .copy_to(Stream::Stdout, file("truncated", false))
        .copy_to(Stream::Stderr, file("truncated", false))
        .copy_to(Stream::Stdout, file("appended", true))
        .copy_to(Stream::Stdout, Sink::Descriptor(descriptor))
        .start();
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default();
    wait_until("the file is visible while it runs", || read("truncated").len() == 8);
    assert!(process.running());
    process.write("go\n");
    let process = process.wait();
    assert_eq!(text(process.stdout()), "out\nend\n");
    assert_eq!((read("appended"), read("descriptor")), ("out\nend\n".to_owned(), "out\nend\n".to_owned()));
    assert!(read("truncated").contains("err\n") && read("truncated").len() == 12);
    assert_eq!(seen.lock().unwrap().len(), 3);
    let again = process.reset().with(|spec| spec.launch.stdin = Stdin::Data(b"go\n"[..].into())).run();
    assert!(again.ok());
    assert_eq!((read("truncated").len(), read("appended").len()), (12, 16));
    let silent = Process::new("true").copy_to(Stream::Stdout, file("empty", false)).run();
    assert!(silent.ok() && path("empty").exists());
    let nowhere = Process::new("echo x").copy_to(Stream::Stdout, file("no/such/place", false)).run();
    assert!(!nowhere.ok(), "what was said is not where it was asked to be");
}

/// A14: both streams straight into one file.
#[test]
fn one_file_for_both_streams_keeps_both() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("both");
    let file = || Output::File { path: path.clone(), append: false };
    for _ in 0..2 {
        assert!(Process::shell("echo a; echo b >&2; echo c").stdout_to(file()).stderr_to(file()).run().ok());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
    }
    let descriptor = Arc::new(OwnedFd::from(File::create(&path).unwrap()));
    assert!(Process::new("echo d").stdout_to(Output::Descriptor(descriptor)).run().ok());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "d\n");
}

type Heard = Arc<Mutex<Vec<(ProcessId, &'static str)>>>;

struct Diary(Heard);

impl Diary {
    fn note(&self, id: ProcessId, what: &'static str) {
        self.0.lock().unwrap().push((id, what));
    }
}

impl Lifecycle for Diary {
    fn started(&mut self, _: &mut Context<'_>, id: ProcessId, _: u32) {
        self.note(id, "started");
    }

    fn ended(&mut self, _: &mut Context<'_>, id: ProcessId, _: &Finished) {
        self.note(id, "ended");
    }

    fn reset(&mut self, _: &mut Context<'_>, id: ProcessId) {
        self.note(id, "reset");
    }
}

/// Items 17, 42, 91 to 93, 99, A15: start, end exactly once, reset; one instance for many.
#[test]
fn lifecycle_handlers_hear_start_end_and_reset_of_many_processes() {
    let heard = Heard::default();
    let handler = EngineHandle::global().attach(LifecycleHandler(Diary(Arc::clone(&heard))));
    let (resets, reset) = mpsc::channel();
    let processes: Vec<_> = (0..20)
        .map(|n| Process::new(if n % 2 == 0 { "true" } else { "/no/such/program" }).heard_by(handler))
        .map(|process| {
            let resets = resets.clone();
            process.on_reset(move |_| resets.send(()).unwrap()).start()
        })
        .collect();
    for process in processes {
        drop(process.wait().reset());
    }
    (0..20).for_each(|_| reset.recv_timeout(SAFETY_NET).unwrap());
    let mut stories: HashMap<ProcessId, Vec<&str>> = HashMap::new();
    heard.lock().unwrap().iter().for_each(|(id, what)| stories.entry(*id).or_default().push(what));
    let stories: Vec<_> = stories.into_values().collect();
    let count = |story: &[&str]| stories.iter().filter(|it| *it == story).count();
    assert_eq!((count(&["started", "ended", "reset"]), count(&["ended", "reset"])), (10, 10), "{stories:?}");
    EngineHandle::global().release(handler);
}

/// Items 94 to 96, 99, A16: chunks and lines, the last partial line, CRLF, one instance for many processes.
#[test]
fn output_handlers_get_chunks_and_lines() {
    let chunks = Arc::new(Mutex::new(Vec::new()));
    let pieces = Arc::clone(&chunks);
    let process = Process::shell(r"printf 'a\nb\r\n\nc'");
    let process = process.on_chunk(move |_, _, bytes| pieces.lock().unwrap().extend_from_slice(bytes)).run();
    assert_eq!(*chunks.lock().unwrap(), process.stdout());
    let lines = Arc::new(Mutex::new(HashMap::<ProcessId, Vec<String>>::new()));
    let sink = Arc::clone(&lines);
    let handler = EngineHandle::global().attach(LineHandler::new(
        move |_: &mut Context<'_>, id, _, line: phalanx_process::lines::Line<'_>| {
            sink.lock().unwrap().entry(id).or_default().push(text(line.bytes.to_vec()));
        },
    ));
    let many: Vec<_> = (0..10).map(|_| Process::shell(r"printf 'a\nb\r\n\nc'").heard_by(handler).start()).collect();
    many.into_iter().for_each(|process| assert!(process.wait().ok()));
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 10);
    assert!(lines.values().all(|seen| *seen == ["a", "b", "", "c"]), "{lines:?}");
}

/// A16: a last line comes when its stream ends, not only when the process does.
#[test]
fn the_last_line_of_a_stream_that_is_closed_comes_at_once() {
    let (told, heard) = mpsc::channel();
    let process = Process::shell("printf last; exec >&-; exec sleep 1000")
        .on_line(move |_, _, line| told.send(line.bytes.to_vec()).unwrap())
        .start();
    assert_eq!(heard.recv_timeout(SAFETY_NET).unwrap(), b"last");
    assert!(process.running());
    process.kill();
}

/// A16.
#[test]
fn a_million_lines_are_a_million_calls() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let process = Process::new("seq 1000000").capture_stdout(Capture::None);
    let process = process
        .on_line(move |_, _, _| {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .run();
    assert!(process.ok());
    assert_eq!(count.load(Ordering::Relaxed), 1_000_000);
}

/// A15: a handler that panics, that sleeps, that starts others, that kills its own process.
#[test]
fn handlers_of_every_kind_harm_nobody_else() {
    let bad = Process::shell("echo x; echo y").on_line(|_, _, _| panic!("on purpose"));
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    let bad = bad
        .on_line(move |_, _, _| {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .run();
    assert!(!bad.ok() && bad.outcome().unwrap().handler_failed.is_some());
    assert_eq!(heard.load(Ordering::SeqCst), 2, "the other handler heard every line");
    let at_the_end = Process::new("true").on_end(|_, _| panic!("on purpose")).run();
    assert!(!at_the_end.ok(), "a panic over the last event counts too");

    #[expect(clippy::disallowed_methods, reason = "the sleeping handler is what is tested")]
    let slow = Process::new("echo x").on_line(|_, _, _| std::thread::sleep(Duration::from_millis(150))).start();
    assert!(Process::new("echo meanwhile").run().ok());
    assert!(slow.wait().ok());

    let started = Arc::new(AtomicBool::new(false));
    let (told, ended) = mpsc::channel();
    let flag = Arc::clone(&started);
    let parent = Process::new("true").on(move |context: &mut Context<'_>, event: &Event| match event {
        Event::Ended { .. } if !flag.swap(true, Ordering::SeqCst) => {
            context.start(ProcessId::new(), Spec::new(["echo", "child"]));
        }
        Event::Ended { finished, .. } => told.send(finished.stdout.text().into_owned()).unwrap(),
        _ => {}
    });
    assert!(parent.run().ok());
    assert_eq!(ended.recv_timeout(SAFETY_NET).unwrap(), "child\n");

    let suicidal = Process::shell("echo x; exec sleep 1000").on(|context: &mut Context<'_>, event: &Event| {
        if let Event::Output { id, .. } = event {
            context.kill(*id);
        }
    });
    assert!(suicidal.run().killed());
}

/// Items 66, A17: it does not outlive its scope, whatever ends that.
#[test]
fn a_scope_takes_its_process_along() {
    let process = Process::new("sleep 1000");
    let inner = process.clone();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let scoped = inner.scoped();
        assert!(scoped.pid().is_some());
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && process.wait().killed());
}

/// Items 20, 32, 33, 35, 43, 65, 67, 72, A20: names, figures, and what is shown. Item 164 too.
#[test]
fn it_can_be_named_counted_and_shown() {
    let process = Process::shell("echo out; exit 3").named("the third").on_host("n1").run();
    let (name, host) = (process.name(), process.host());
    assert_eq!((name.as_str(), host.as_deref()), ("the third", Some("n1")));
    assert_eq!(format!("{process:?}"), r#"Process("the third" on n1, exited with exit code 3, not ok)"#);
    let stats = process.stats();
    assert_eq!((stats.name.as_str(), stats.processes, stats.started, stats.ended), ("the third", 1, 1, 1));
    assert_eq!((stats.non_zero_exit_codes, stats.errors, stats.ok, stats.finished_ok), (1, 0, 0, 0));
    assert!(process.dump().ends_with("stdout:\nout\n\nstderr:\n"), "{}", process.dump());
    let long = Process::shell("head -c 20000 /dev/zero | tr '\\0' x").run();
    let half = "x".repeat(2048);
    assert!(long.dump().contains(&format!("stdout:\n{half}\n[...]\n{half}\nstderr:")));
    assert!(long.dump_within(0).contains(&"x".repeat(20_000)));
    assert!(!process.expect_failed() && process.pid().is_some());
    let failed = process.check().unwrap_err();
    assert_eq!((failed.failures().len(), failed.total()), (1, 1));
    assert!(failed.to_string().contains("exit code 3"));
    let idle = Process::new("true");
    assert_eq!(format!("{idle:?}"), r#"Process("true", not started)"#);
    assert_eq!((idle.stats().started, idle.stats().ok, idle.stats().finished_ok), (0, 1, 0));
}

/// Items 27, 28, 53, 54: to be told of the start and the end, wait for them.
#[test]
fn start_and_end_can_be_waited_for_by_any_number_of_threads() {
    let process = Process::new("cat").stdin(Stdin::Pipe).start();
    let waiting: Vec<_> = (0..8)
        .map(|n| {
            let process = process.clone();
            std::thread::spawn(
                move || if n % 2 == 0 { process.wait_started().started() } else { process.wait().ended() },
            )
        })
        .collect();
    process.close_stdin();
    assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
}

/// Handlers of a process go with it: a program that starts processes for ever does not fill memory.
#[test]
fn handlers_are_dropped_with_their_process() {
    struct Canary(Arc<AtomicUsize>);
    impl Drop for Canary {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let canary = Canary(Arc::clone(&dropped));
        let process = Process::new("true")
            .on_end(move |_, _| {
                let _ = &canary;
            })
            .run();
        process.expect_within(Duration::ZERO, "x").unwrap_err();
    }
    wait_until("all handlers are gone", || dropped.load(Ordering::SeqCst) == 10);
}

/// What a process of `Leftovers::Kill` left in its group is killed; who left the group on purpose is not.
#[test]
fn a_daemon_outlives_an_end_that_nobody_forced() {
    let process = Process::shell("setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000 & echo $!; sleep 0.3")
        .with(|spec| spec.policy.leftovers = Leftovers::Kill)
        .run();
    let said = text(process.stdout());
    let mut alive: Vec<_> = said.lines().collect();
    wait_until("one is dead", || {
        alive.retain(|pid| !is_dead(pid));
        alive.len() == 1
    });
    assert!(Process::new(["kill", "-KILL", alive[0]]).run().ok());
}

/// Clock jumps: spans are measured by the monotonic clock alone. The table and the timers are given the time and cannot
/// read it (their tests move it by hand, over days); what remains to be shown is that nothing between them and the
/// processes reads the wall clock, except to write down dates for people.
#[test]
// The table is in the pure crate, where tidy keeps clocks out.
fn nothing_that_waits_reads_the_wall_clock() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ["engine.rs", "engine/event_loop.rs", "engine/local.rs", "engine/dispatch.rs", "handler.rs"];
    let more = [
        "engine/kill_descendants.rs",
        "engine/current_thread.rs",
        "completion.rs",
        "watch.rs",
        "watch/seeker.rs",
        "watch/callback.rs",
        "subscription.rs",
    ];
    for file in files.iter().chain(&more) {
        let text = std::fs::read_to_string(source.join(file)).unwrap();
        assert!(!text.contains("SystemTime") && !text.contains("jiff"), "{file} reads the wall clock");
    }
}

#[test]
fn a_failed_process_is_an_error_that_says_why() {
    let check =
        |process: Process| process.named("it").nolog(Faults::ALL).run().check().expect_err("it failed").to_string();
    assert_eq!(check(Process::shell("echo disk is full >&2; exit 3")), "it: exited with exit code 3: disk is full");
    assert_eq!(check(Process::shell("kill -9 $$")), "it: killed by SIGKILL");
    assert_eq!(check(Process::new("sleep 60").timeout(0.05)), "it: command timeout: ended after its time");
    let missing = check(Process::new("/nowhere/program"));
    assert!(missing.starts_with("it: cannot start `/nowhere/program`: "), "{missing}");
    let unread = Process::new("true").stdin(Stdin::Data(vec![b'x'; 1 << 20].into()));
    assert_eq!(check(unread), "it: did not read what was written to its stdin");
}
