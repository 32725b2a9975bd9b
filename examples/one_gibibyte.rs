//! Takes in the output of one process: keeps it whole, or counts its lines and keeps nothing.
//!
//! ```text
//! one_gibibyte whole FILE
//! one_gibibyte lines FILE
//! ```
//!
//! Runs `cat FILE` and says how many bytes or lines came. `cargo xtask bench bytes lines` measures it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program says what it found")]

use std::process::ExitCode;

use phalanx::process::engine::{Engine, EngineOptions};
use phalanx::process::event::{Event, Request, Stream};
use phalanx::process::output::Capture;
use phalanx::process::{Process, Spec};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let said = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["whole", file] => whole(file).map(|bytes| format!("{bytes} bytes")),
        ["lines", file] => lines(file).map(|lines| format!("{lines} lines")),
        _ => Err("usage: one_gibibyte whole|lines FILE".into()),
    };
    match said {
        Ok(sentence) => {
            println!("{sentence}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("one_gibibyte: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A process keeps its output by default; this is all there is to it.
fn whole(file: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let process = Process::new(["cat", file]).run().check()?;
    let finished = process.finished().ok_or("it was waited for")?;
    Ok(finished.stdout.bytes().len() as u64)
}

/// Nothing is kept; every piece is looked at as it comes, here on the caller's own thread.
fn lines(file: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let mut cat = Spec::new(["cat", file]);
    cat.policy.capture_stdout = Capture::None;
    let mut drive = Engine::current_thread(EngineOptions::default())?;
    let cat = drive.start(cat);
    drive.request(cat, Request::EmitOutput);
    let mut lines = 0;
    while let Some(event) = drive.next_event(None)? {
        match event {
            Event::Output { stream: Stream::Stdout, bytes, .. } => lines += memchr::memchr_iter(b'\n', &bytes).count(),
            Event::Ended { finished, .. } if finished.ok => return Ok(lines),
            Event::Ended { finished, .. } => return Err(format!("{finished:?}").into()),
            _ => {}
        }
    }
    Err("there is no deadline, so that the end of events cannot come before that of the process".into())
}
