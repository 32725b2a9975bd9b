//! Catches the polite signals and goes on.
//!
//! ```text
//! trap [COUNT STATUS]
//! ```
//!
//! Says "ready", and then "caught INT", "caught TERM" or "caught HUP" for every such signal. Without arguments only
//! SIGKILL ends it; with them, the signal number COUNT does: it exits with STATUS.

use std::io::{self, Write};
use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let patience = words.first().map(|count| count.parse().expect("COUNT is a number"));
    let status = words.get(1).map_or(0, |status| status.parse().expect("STATUS is a number below 256"));
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).expect("these signals can be caught");
    say("ready");
    for (count, signal) in (1_usize..).zip(signals.forever()) {
        say(match signal {
            SIGHUP => "caught HUP",
            SIGINT => "caught INT",
            _ => "caught TERM",
        });
        if patience == Some(count) {
            break;
        }
    }
    ExitCode::from(status)
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
