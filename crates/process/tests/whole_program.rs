//! What only shows in a program of its own: dying, running out of descriptors, pids that start again from the beginning,
//! and a hundred thousand processes. The program is this very test binary, told by a variable which part to play.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::time::{Duration, Instant};

use phalanx_process::event::Kill;
use phalanx_process::expect::Pattern;
use phalanx_process::{Process, Signal};

/// Far longer than anything here takes: it only keeps a defect from hanging the tests.
const SAFETY_NET: Duration = Duration::from_secs(120);

const PART: &str = "PHALANX_TEST_PART";

/// The command line of this program, playing a part.
fn program(prefix: &[&str]) -> Vec<String> {
    let this = std::env::current_exe().unwrap();
    let this = this.to_str().unwrap();
    let test = ["--exact", "the_part_of_the_program", "--nocapture", "--test-threads=1"];
    prefix.iter().copied().chain([this]).chain(test).map(str::to_owned).collect()
}

fn play(part: &str, prefix: &[&str]) -> Process {
    let limit = Some(4 * SAFETY_NET);
    Process::new(program(prefix)).env(PART, part).default_expect_timeout(limit).start()
}

/// Not a test when run by hand: nobody has given it a part.
#[test]
fn the_part_of_the_program() {
    match std::env::var(PART).as_deref() {
        Ok("waits") => waits(),
        Ok("few descriptors") => few_descriptors(),
        Ok("wrapped pids") => wrapped_pids(),
        Ok("soak") => soak(),
        _ => {}
    }
}

#[expect(clippy::print_stdout, reason = "it tells the test")]
fn tell(text: std::fmt::Arguments<'_>) {
    println!("{text}");
}

fn waits() {
    let process = Process::new("sleep 1000").start();
    tell(format_args!("sleeping as {}", process.pid().unwrap()));
    drop(process.wait());
}

fn is_dead(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// A17, A18: a program that waits can be interrupted at once, and takes its children along, however it ends.
#[test]
fn a_program_that_is_interrupted_or_killed_while_it_waits_leaves_no_child() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let program = play("waits", &[]);
        let found = program.expect(Pattern::regex(r"sleeping as (\d+)\n")).unwrap();
        let child = found.group_text(1).unwrap().into_owned();
        // The program alone: its children must not owe their end to our looking for them.
        program.kill_with(Kill { signal, group: false, ..Kill::default() });
        assert!(program.wait().killed());
        let deadline = Instant::now() + SAFETY_NET;
        while !is_dead(&child) {
            assert!(Instant::now() < deadline, "{signal}: {child} lives on");
            std::thread::yield_now();
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The last children are released just after their ends were told.
fn settle(wanted: usize) {
    let deadline = Instant::now() + SAFETY_NET;
    while descriptors() > wanted {
        assert!(Instant::now() < deadline, "{} descriptors are open, {wanted} were before", descriptors());
        std::thread::yield_now();
    }
}

fn few_descriptors() {
    assert!(Process::new("true").run().ok());
    let before = descriptors();
    for _ in 0..3 {
        let processes: Vec<_> = (0..32).map(|n| Process::new(["echo", &n.to_string()]).start()).collect();
        for (n, process) in processes.into_iter().enumerate() {
            let process = process.wait();
            assert!(process.ok() && process.stdout() == format!("{n}\n").as_bytes(), "{process:?}");
        }
    }
    settle(before);
    tell(format_args!("all well"));
}

/// A19: with half as many processes as descriptors, three times over: a shortage slows, and fails nobody.
#[test]
fn a_shortage_of_descriptors_slows_and_fails_nobody() {
    let program = play("few descriptors", &["sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""]);
    program.expect("all well").unwrap();
    assert!(program.wait().ok());
}

fn wrapped_pids() {
    let mut last = 0;
    let mut wrapped = false;
    for _ in 0..20 {
        let processes: Vec<_> = (0..20).map(|_| Process::shell("echo $$; sleep 0.01; exit 5").start()).collect();
        for process in processes {
            let process = process.wait();
            let pid = process.pid().unwrap();
            assert_eq!((process.stdout(), process.exit_code()), (format!("{pid}\n").into_bytes(), Some(5)));
            wrapped |= pid < last;
            last = pid;
        }
    }
    assert!(wrapped, "the pids never started again from the beginning");
    tell(format_args!("all well"));
}

/// In a pid namespace whose last pid is the last there is, so that the next ones begin anew.
#[test]
fn pids_that_begin_anew_confuse_nobody() {
    let wrap = "echo $(($(cat /proc/sys/kernel/pid_max) - 100)) > /proc/sys/kernel/ns_last_pid && exec \"$0\" \"$@\"";
    let namespace = ["unshare", "--pid", "--fork", "--mount-proc"];
    let able = Process::new(namespace.iter().copied().chain(["true"]).collect::<Vec<_>>()).run();
    if !able.ok() && std::env::var("CI").as_deref() != Ok("true") {
        return tell(format_args!("skipped: pids_that_begin_anew_confuse_nobody (needs root, for unshare --pid)"));
    }
    let prefix: Vec<_> = namespace.into_iter().chain(["sh", "-c", wrap]).collect();
    let program = play("wrapped pids", &prefix);
    program.expect("all well").unwrap();
    assert!(program.wait().ok());
}

fn resident_kibibytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn batch(count: usize) {
    let start = |n: usize| {
        let process = Process::new(["echo", "hello"]).on_line(|_, _, line| assert_eq!(line.bytes, b"hello"));
        if n.is_multiple_of(50) { process.pty().start() } else { process.start() }
    };
    let processes: Vec<_> = (0..count).map(start).collect();
    for (n, process) in processes.into_iter().enumerate() {
        if n.is_multiple_of(10) {
            process.expect("hello").unwrap();
        }
        assert!(process.wait().ok());
    }
}

fn soak() {
    let total: usize = std::env::var("PHALANX_SOAK").map_or(3_000, |count| count.parse().unwrap());
    batch(500);
    let (memory, open) = (resident_kibibytes(), descriptors());
    (0..total / 250).for_each(|_| batch(250));
    settle(open);
    let later = resident_kibibytes();
    assert!(later < memory + 16 * 1024, "memory: {memory} KiB before, {later} KiB after {total} processes");
    tell(format_args!("all well: {total} processes, {memory} KiB before, {later} KiB after, {open} descriptors"));
}

/// `PHALANX_SOAK=100000` for the whole of it.
#[test]
fn many_short_processes_leave_descriptors_and_memory_flat() {
    let program = play("soak", &[]);
    let found = program.expect(Pattern::regex("all well.*$")).unwrap();
    tell(format_args!("{}", found.matched_text()));
    assert!(program.wait().ok());
}
