//! How fast expect reads: `cargo run --release -p phalanx-process --example expect_speed [MIB]`, or `… expect_speed -` to
//! search standard input for a shell's prompt, to compare with grep behind the same pipe.
//!
//! Every row is a search for something that comes last, over chunks of 64 KiB that are never seen whole; the ratio is
//! to one `memcpy` of the same bytes, measured in the same run. "flat" is the slowest quarter of the stream over the
//! fastest.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::io::Read;
use std::time::{Duration, Instant};

use phalanx_process::expect::{Expect, Matcher, Pattern};

const CHUNK: usize = 64 << 10;

fn main() -> std::io::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("-") {
        return search_standard_input();
    }
    let mebibytes: usize = std::env::args().nth(1).and_then(|argument| argument.parse().ok()).unwrap_or(1024);
    let chunk: Vec<u8> = b"Nov 21 08:34:56 n17 kernel: eth0: link up, 10000 Mbps, full duplex\n"
        .iter()
        .copied()
        .cycle()
        .take(CHUNK)
        .collect();
    let copy = copying(&chunk, mebibytes);
    println!("{:<44} {:>8} MB/s", "memcpy", rate(mebibytes, copy));
    let rows: [(&str, Vec<Pattern>); 9] = [
        ("regex that begins with a frequent letter", vec![Pattern::regex(r"e\S+ never")]),
        ("regex that begins with a frequent byte", vec![Pattern::regex(r" \d+ never")]),
        ("text", vec!["root@n1:~# ".into()]),
        ("regex with a literal prefix", vec![Pattern::regex(r"^login: $")]),
        ("regex without one", vec![Pattern::regex(r"[$#] $")]),
        ("regex that never leaves its states", vec![Pattern::regex(r"\w+@\w+:\S*[$#] ")]),
        (
            "regex with groups and Unicode classes",
            vec![Pattern::regex(r"(?u)(?<user>\w+)@(?<host>[\w.-]+):(?<dir>\S+)# ")],
        ),
        ("regex across lines", vec![Pattern::regex(r"(?s)eth1.*link down")]),
        (
            "four of these",
            vec![
                "root@n1:~# ".into(),
                Pattern::regex(r"^login: $"),
                Pattern::regex(r"[$#] $"),
                Pattern::regex(r"\w+@\w+:\S*[$#] "),
            ],
        ),
    ];
    for (name, patterns) in rows {
        let expect = Expect::new(patterns).expect("valid patterns");
        let quarters = searching(&expect, &chunk, mebibytes);
        let total: Duration = quarters.iter().sum();
        let (fastest, slowest) = (quarters.iter().min().expect("four"), quarters.iter().max().expect("four"));
        println!(
            "{name:<44} {:>8} MB/s   {:>5.2} x memcpy   flat {:.2}",
            rate(mebibytes, total),
            copy.as_secs_f64() / total.as_secs_f64(),
            slowest.as_secs_f64() / fastest.as_secs_f64()
        );
    }
    prompts();
    many();
    sessions();
    Ok(())
}

fn search_standard_input() -> std::io::Result<()> {
    let prompt = Expect::one(Pattern::regex(r"[a-z]+@[a-z]+:[^ ]*[$#] $")).expect("valid");
    let mut stdin = std::io::stdin().lock();
    let mut stream = Matcher::default();
    let mut verdict = stream.expect(&prompt);
    let mut chunk = vec![0; CHUNK];
    while verdict.is_none() {
        verdict = match stdin.read(&mut chunk)? {
            0 => stream.end_of_file(),
            read => stream.feed(&chunk[..read]),
        };
    }
    match verdict.expect("the loop has ended") {
        Ok(found) => println!("found at {:?}", found.position()),
        Err(missed) => println!("{missed}"),
    }
    Ok(())
}

/// Many matches in what was received before anybody looked.
fn many() {
    let text = b"node17: 4096 bytes\n".repeat(50_000);
    let mut stream = Matcher::default();
    assert!(stream.feed(&text).is_none());
    let patterns = [Pattern::regex("never"), Pattern::regex(r"(\d+) bytes\n"), "nor this".into()];
    let expect = Expect::new(patterns).expect("valid");
    let start = Instant::now();
    let mut count = 0;
    while stream.expect(&expect).is_some() {
        count += 1;
    }
    assert_eq!(count, 50_000);
    println!("{:<44} {:>8.2} us each", "50,000 matches in one chunk", start.elapsed().as_secs_f64() * 1e6 / 5e4);
}

/// Memory of many sessions that wait for the same thing, each having read some output.
fn sessions() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm")
            .expect("Linux")
            .split(' ')
            .nth(1)
            .expect("resident")
            .parse::<usize>();
        pages.expect("a number") * 4
    };
    let expect = Expect::one(Pattern::regex(r"^(?<user>\w+)@(?<host>\w+):\S*[$#] ")).expect("valid");
    let before = resident();
    let mut streams: Vec<Matcher> = std::iter::repeat_with(Matcher::default).take(1000).collect();
    for stream in &mut streams {
        assert!(stream.expect(&expect).is_none());
        assert!(stream.feed(b"some output\r\nroot@n1:/tmp").is_none());
    }
    println!("{:<44} {:>8} KiB each", "a session that expects a regex", (resident() - before) / streams.len());
    let start = Instant::now();
    for _ in 0..10 {
        for stream in &mut streams {
            assert!(stream.feed(b"# ").is_some());
            assert!(stream.expect(&expect).is_none());
            assert!(stream.feed(b"some output\r\nroot@n1:/tmp").is_none());
        }
    }
    println!("{:<44} {:>8.2} us each", "a match in one of 1,000 sessions", start.elapsed().as_secs_f64() * 1e6 / 1e4);
}

fn rate(mebibytes: usize, time: Duration) -> u64 {
    ((mebibytes << 20) as f64 / time.as_secs_f64() / 1e6) as u64
}

fn copying(chunk: &[u8], mebibytes: usize) -> Duration {
    let mut target = Vec::with_capacity(chunk.len());
    let start = Instant::now();
    for _ in 0..(mebibytes << 20) / CHUNK {
        target.clear();
        target.extend_from_slice(std::hint::black_box(chunk));
        std::hint::black_box(&target);
    }
    start.elapsed()
}

fn searching(expect: &Expect, chunk: &[u8], mebibytes: usize) -> Vec<Duration> {
    let mut stream = Matcher::default();
    assert!(stream.expect(expect).is_none());
    let mut quarters = Vec::new();
    for _ in 0..4 {
        let start = Instant::now();
        for _ in 0..(mebibytes << 20) / CHUNK / 4 {
            assert!(stream.feed(chunk).is_none());
        }
        quarters.push(start.elapsed());
    }
    let verdict =
        stream.feed(b"\neth1: link down 17 never e17 never root@n1:~# \nlogin: ").or_else(|| stream.handle_idle());
    assert!(verdict.expect("it comes last").is_ok());
    quarters
}

/// A dialogue: the matcher's own share of a round trip.
fn prompts() {
    let expect = Expect::one(Pattern::regex(r"^\w+@\w+:\S*[$#] ")).expect("valid");
    let text = Expect::one("login: ").expect("valid");
    for (name, reused) in [("regex", true), ("regex asked for anew", false)] {
        let rounds = 300_000;
        let mut stream = Matcher::default();
        let start = Instant::now();
        for _ in 0..rounds {
            let fresh = (!reused).then(|| Expect::one(Pattern::regex(r"^\w+@\w+:\S*[$#] ")).expect("valid"));
            assert!(stream.expect(fresh.as_ref().unwrap_or(&expect)).is_none());
            assert!(stream.feed(b"some output\r\nroot@n1:/tmp# ").is_some());
        }
        println!(
            "{:<44} {:>8.2} us each",
            format!("prompts, {name}"),
            start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
        );
    }
    let mut stream = Matcher::default();
    let start = Instant::now();
    for _ in 0..1_000_000 {
        assert!(stream.expect(&text).is_none());
        assert!(stream.feed(b"login: ").is_some());
    }
    println!("{:<44} {:>8.2} us each", "prompts, text", start.elapsed().as_secs_f64());
}
