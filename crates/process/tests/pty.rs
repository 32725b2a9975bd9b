//! Processes on terminals of their own.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::time::Duration;

use phalanx_process::event::Stream;
use phalanx_process::expect::{Pattern, Script, ScriptOutcome};
use phalanx_process::process::expect_all;
use phalanx_process::spec::{Mode, Output, Stdin, Terminal, WindowSize};
use phalanx_process::watch::Timeout;
use phalanx_process::{ExitStatus, Process, Signal};

/// Far longer than anything here takes: it only keeps a defect from hanging the tests.
const SAFETY_NET: Duration = Duration::from_secs(120);

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Item 69, A11.
#[test]
fn a_pty_is_the_controlling_terminal_of_a_session_leader_and_stderr_stays_apart() {
    let script = "tty; test -t 0 && test -t 1 && echo both; test -t 2 || echo apart; echo complaint >&2; \
                  echo to the terminal > /dev/tty; set -- $(cat /proc/$$/stat); echo $1 $5 $6";
    let process = Process::shell(script).pty().run();
    let said = text(process.stdout());
    let lines: Vec<_> = said.split("\r\n").collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{said:?}");
    assert_eq!(lines[1..4], ["both", "apart", "to the terminal"]);
    let pid = process.pid().unwrap();
    assert_eq!(lines[4], format!("{pid} {pid} {pid}"), "process, group and session");
    assert_eq!(process.stderr(), b"complaint\n");
    assert!(process.ok());
}

/// Item 69: the other setting of each.
#[test]
fn a_terminal_has_the_size_mode_and_echo_it_was_given_and_may_take_stderr_in() {
    let terminal = Terminal { size: WindowSize { rows: 50, columns: 132 }, mode: Mode::Raw, echo: false };
    let process = Process::shell("stty size; stty -a; echo complaint >&2; test -t 2 && echo all three")
        .terminal(terminal)
        .stderr_to(Output::WithStdout)
        .run();
    let said = text(process.stdout());
    assert!(said.starts_with("50 132\n"), "raw: no carriage return is added: {said:?}");
    assert!(said.contains("-icanon") && said.contains("-echo "), "{said}");
    assert!(said.ends_with("complaint\nall three\n"), "in the order of writing: {said:?}");
    assert!(process.stderr().is_empty());
}

/// Item 69, A11: what the documentation of execo promises and its source does not do.
#[test]
fn control_c_is_a_character_that_interrupts() {
    let process = Process::shell("echo ready; exec sleep 1000").pty().start();
    process.expect("ready").unwrap();
    process.write([phalanx_core::pty::INTERRUPT]);
    let process = process.wait();
    let expected = ExitStatus::Signaled { signal: Signal::INT, core_dumped: false };
    assert_eq!(process.status(), Some(expected));
    assert!(!process.killed(), "nobody called kill");
}

#[test]
fn closing_a_cooked_terminal_ends_the_input_wherever_the_line_is() {
    for (input, expected) in [("one\n", "one\r\n"), ("one\ntwo", "one\r\ntwo"), ("", "")] {
        let terminal = Terminal { echo: false, ..Terminal::default() };
        let process = Process::new("cat").terminal(terminal).start();
        process.write(input);
        process.close_stdin();
        let process = process.wait();
        assert_eq!((text(process.stdout()), process.ok()), (expected.to_owned(), true), "{input:?}");
    }
    let given = Process::new("wc -l").terminal(Terminal::default()).stdin(Stdin::Data(b"a\nb\n"[..].into())).run();
    assert!(text(given.stdout()).ends_with("2\r\n"), "{given:?}");
}

#[test]
fn closing_a_raw_terminal_only_means_that_nothing_more_can_be_written() {
    let terminal = Terminal { mode: Mode::Raw, echo: false, ..Terminal::default() };
    let process = Process::shell("echo ready; head -c 3; echo; exec sleep 1000").terminal(terminal).start();
    process.expect("ready\n").unwrap();
    process.write([1, 2, 4]);
    process.close_stdin();
    process.expect(Pattern::text([1, 2, 4])).unwrap();
    assert!(process.running());
    process.write("late");
    process.kill();
    let process = process.wait();
    assert!(process.write_error(), "what was written after the end was refused");
}

#[test]
fn all_that_was_said_before_the_end_is_read_and_the_end_is_an_end() {
    for _ in 0..20 {
        let process = Process::shell("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done").pty().run();
        let said = text(process.stdout());
        assert_eq!(said.lines().count(), 2000);
        assert!(said.ends_with("line 1999\r\n") && process.ok(), "{process:?}");
    }
}

#[test]
fn a_background_job_that_keeps_the_terminal_is_a_leak_and_one_that_is_hung_up_is_not() {
    let process = Process::shell("trap '' HUP; sleep 1000 & echo $!").pty().run();
    assert!(process.outcome().unwrap().leaked, "{process:?}");
    let said = text(process.stdout());
    assert!(Process::new(["kill", "-KILL", said.trim()]).run().ok());
}

#[test]
fn a_kill_reaches_the_jobs_of_an_interactive_shell() {
    let process = Process::shell("set -m; sleep 1000 & echo job $!; wait").pty().start();
    let found = process.expect(Pattern::regex(r"job (\d+)")).unwrap();
    let job = found.group_text(1).unwrap().into_owned();
    process.kill();
    assert!(process.wait().killed());
    wait_until_dead(&job);
}

fn wait_until_dead(pid: &str) {
    let deadline = std::time::Instant::now() + SAFETY_NET;
    let alive = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while alive() {
        assert!(std::time::Instant::now() < deadline, "pid {pid} is still alive");
        std::thread::yield_now();
    }
}

const LOGIN: &str = r#"printf 'n1 login: '; read user; stty -echo; printf 'Password: '; read password; stty echo; echo;
    if [ "$password" != secret ]; then echo Login incorrect; exit 1; fi; printf 'Last login: today\nn1# '; read line; echo "$user said $line""#;

fn login(password: &str) -> Script {
    Script::new()
        .respond("login: ", "root\n")
        .respond("Password: ", format!("{password}\n"))
        .succeed_on(Pattern::regex(r"^\w+# "))
        .fail_on("incorrect")
}

/// Item 63, E14.
#[test]
fn a_dialogue_logs_in_over_a_pty() {
    let process = Process::shell(LOGIN).pty().start();
    assert!(process.run_script(Timeout::After(SAFETY_NET), &login("secret")).unwrap().ok());
    process.write("hello\n");
    process.expect("root said hello").unwrap();
    let process = process.wait();
    assert!(process.ok() && !text(process.stdout()).contains("secret"), "{process:?}");
    let refused = Process::shell(LOGIN).pty().start();
    let outcome = refused.run_script(Timeout::Never, &login("wrong")).unwrap();
    assert!(matches!(outcome, ScriptOutcome::Failed(_)), "{outcome:?}");
    assert!(refused.wait().expect_failed());
}

/// A thousand terminals, each in a dialogue, all at once.
#[test]
fn a_thousand_ptys_converse_at_once() {
    let count = 1000;
    let script = r#"printf 'name: '; read name; echo "hello $name"; read rest"#;
    let processes: Vec<_> = (0..count).map(|_| Process::shell(script).pty().start()).collect();
    let limit = Timeout::After(SAFETY_NET);
    let prompts = expect_all(&processes, Stream::Stdout, limit, "name: ").unwrap();
    assert!(prompts.iter().all(Result::is_ok));
    processes.iter().enumerate().for_each(|(number, process)| process.write(format!("n{number}\n")));
    let greetings = expect_all(&processes, Stream::Stdout, limit, Pattern::regex(r"^hello (n\d+)$")).unwrap();
    for (number, greeting) in greetings.into_iter().enumerate() {
        assert_eq!(greeting.unwrap().group_text(1).unwrap(), format!("n{number}"));
    }
    processes.iter().for_each(Process::close_stdin);
    for process in processes {
        let process = process.wait();
        assert_eq!(process.exit_code(), Some(1), "read met the end: {process:?}");
    }
}
