//! Prompt round trips and sessions, for `cargo xtask bench prompts sessions line-handler resident`:
//!
//! ```text
//! prompt_speed prompts COUNT     so many times: write a line to `cat` on a pty, expect it back; on one thread
//! prompt_speed handled COUNT     the same by a handler
//! prompt_speed handle COUNT      the same by the handle of a process, which a engine runs
//! prompt_speed sessions COUNT    so many sessions, one match each per second for five seconds; says the processor time
//! prompt_speed search FILE       a regular expression that comes behind the FILE, both of which a process says
//! prompt_speed lines FILE        the lines of FILE, as `cat` sends them, by a line handler
//! prompt_speed spawn MIB COUNT   so many `true`, with so much memory resident in this program
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program says what it found")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use phalanx_process::Process;
use phalanx_process::engine::{Engine, EngineHandle, EngineOptions};
use phalanx_process::event::{Request, Stream};
use phalanx_process::expect::{Expect, Pattern};
use phalanx_process::output::Capture;
use phalanx_process::spec::{Mode, Spec, Stdin, Terminal, WindowSize};
use phalanx_process::watch::{ExpectHandler, Next, Timeout};

type Said = Result<String, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let said =
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["prompts", count] => count.parse().map_err(Into::into).and_then(prompts),
            ["handled", count] => count.parse().map_err(Into::into).and_then(handled),
            ["handle", count] => count.parse().map_err(Into::into).and_then(handle),
            ["sessions", count] => count.parse().map_err(Into::into).and_then(sessions),
            ["search", file] => search(file),
            ["lines", file] => lines(file),
            ["spawn", mebibytes, count] => spawn(mebibytes, count),
            _ => Err("usage: prompt_speed prompts|handled|handle|sessions COUNT | search|lines FILE | spawn MIB COUNT"
                .into()),
        };
    match said {
        Ok(sentence) => {
            println!("{sentence}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("prompt_speed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Without echo, or what is expected would be there before `cat` has seen it.
const TERMINAL: Terminal = Terminal { echo: false, size: WindowSize { rows: 24, columns: 80 }, mode: Mode::Cooked };

fn speed(count: u64, begin: Instant) -> Said {
    Ok(format!("{:.0} round trips a second", count as f64 / begin.elapsed().as_secs_f64()))
}

fn prompts(count: u64) -> Said {
    let mut drive = Engine::current_thread(EngineOptions::default())?;
    let mut cat = Spec::new(["cat"]);
    cat.launch.stdin = Stdin::Pipe;
    cat.launch.terminal = Some(TERMINAL);
    cat.policy.capture_stdout = Capture::None;
    let (line, prompt): (Arc<[u8]>, _) = (b"prompt> \n"[..].into(), Expect::one("prompt> ")?);
    let begin = Instant::now();
    let cat = drive.start(cat);
    for _ in 0..count {
        drive.request(cat, Request::Write(Arc::clone(&line)));
        drive.expect(cat, Stream::Stdout, Timeout::Never, &prompt)??;
    }
    speed(count, begin)
}

fn handle(count: u64) -> Said {
    let prompt = Expect::one("prompt> ")?;
    let begin = Instant::now();
    let cat = Process::new("cat").terminal(TERMINAL).capture_stdout(Capture::None).start();
    for _ in 0..count {
        cat.write("prompt> \n");
        cat.expect(&prompt)?;
    }
    speed(count, begin)
}

/// As in a login dialogue: what is found is answered where it is found.
fn handled(count: u64) -> Said {
    let cat = Process::new("cat").terminal(TERMINAL).capture_stdout(Capture::None);
    let answer: Arc<[u8]> = b"prompt> \n"[..].into();
    let mut left = count;
    let first = Arc::clone(&answer);
    let handler = ExpectHandler::new(Stream::Stdout, Expect::one("prompt> ")?, move |context, id, verdict| {
        left -= u64::from(verdict.is_ok());
        match left {
            0 => context.kill(id),
            _ => context.request(id, Request::Write(Arc::clone(&answer))),
        }
        if left == 0 { Next::Done } else { Next::Again }
    });
    let begin = Instant::now();
    let cat = cat.on(handler).start();
    cat.write(&first);
    let cat = cat.wait();
    if !cat.ok() {
        return Err(format!("{cat:?}").into());
    }
    speed(count, begin)
}

fn sessions(count: usize) -> Said {
    let found = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&found);
    let tick = Expect::one("tick\n")?;
    let handler = EngineHandle::global().attach(ExpectHandler::new(Stream::Stdout, tick, move |_, _, verdict| {
        total.fetch_add(u64::from(verdict.is_ok()), Ordering::Relaxed);
        Next::Again
    }));
    // One program ticks for all of them: a thousand shells that start `sleep` would be what is measured.
    let directory = std::env::temp_dir().join(format!("phalanx-sessions-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let start = |n: usize| {
        let fifo = directory.join(n.to_string());
        let made = Process::new(vec!["mkfifo".into(), fifo.clone().into_os_string()]);
        let cat = Process::new(vec!["cat".into(), fifo.into_os_string()]);
        let _ = made.run();
        cat.capture_stdout(Capture::None).heard_by(handler).start()
    };
    let processes: Vec<_> = (0..count).map(start).collect();
    let ticker = r#"import os, sys, time
files = [open(os.path.join(sys.argv[1], str(n)), "wb", buffering=0) for n in range(int(sys.argv[2]))]
for second in range(6):
    begin = time.time()
    for file in files:
        file.write(b"noise noise noise\ntick\n")
    time.sleep(max(0, 1 - (time.time() - begin)))
"#;
    let ticker = Process::new(["python3", "-c", ticker, &directory.display().to_string(), &count.to_string()]).start();
    while found.load(Ordering::Relaxed) < count as u64 {
        std::thread::yield_now();
    }
    let (before, begin) = (processor(), Instant::now());
    let ticker = ticker.wait();
    let share = (processor() - before) / begin.elapsed().as_secs_f64();
    let missed = processes.into_iter().map(Process::wait).filter(|process| process.exit_code() != Some(0)).count();
    std::fs::remove_dir_all(&directory)?;
    let matches = found.load(Ordering::Relaxed);
    if missed > 0 || !ticker.ok() || matches != 6 * count as u64 {
        return Err(format!("{matches} matches, {missed} sessions failed, {ticker:?}").into());
    }
    Ok(format!("{:.2} percent of a core for {count} sessions with a match each per second", 100.0 * share))
}

/// Seconds of processor of this program, its children apart.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let own = |text: String| text.split_whitespace().next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_thread = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("schedstat")).map_or(0.0, own);
    let sum: f64 = threads.map(of_thread).sum();
    if sum > 0.0 { sum / 1e9 } else { own(stat) / 1e9 }
}

fn search(file: &str) -> Said {
    let bytes = std::fs::metadata(file)?.len();
    let begin = Instant::now();
    let words = ["sh", "-c", "cat \"$1\"; printf 'root@host:/tmp# '; exec sleep 100", "sh", file];
    let process = Process::new(words).capture_stdout(Capture::None).start();
    let found = process.expect(Pattern::regex(r"([a-z]+)@([a-z]+):[^ ]*[$#] "))?;
    let rate = bytes as f64 / begin.elapsed().as_secs_f64() / 1e6;
    process.kill();
    if found.position().end != bytes + 16 || found.group_text(1).as_deref() != Some("root") {
        return Err(format!("found at {:?}", found.position()).into());
    }
    Ok(format!("{rate:.0} MB/s"))
}

fn lines(file: &str) -> Said {
    let counter = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&counter);
    let mut count = 0_u64;
    let cat = Process::new(["cat", file]).capture_stdout(Capture::None);
    let cat = cat.on_line(move |_, _, line| {
        count += u64::from(!line.bytes.is_empty());
        total.store(count, Ordering::Relaxed);
    });
    let cat = cat.run().check()?;
    drop(cat);
    Ok(format!("{} lines", counter.load(Ordering::Relaxed)))
}

fn spawn(mebibytes: &str, count: &str) -> Said {
    let mut ballast = vec![0_u8; mebibytes.parse::<usize>()? << 20];
    // Every page is touched, so that it is resident.
    ballast.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    let count: usize = count.parse()?;
    let begin = Instant::now();
    for _ in 0..count {
        Process::new("true").run().check()?;
    }
    let each = begin.elapsed().as_secs_f64() * 1e6 / count as f64;
    Ok(format!("{each:.0} microseconds each, with {} MiB", ballast.len() >> 20))
}
