//! Ends at once and leaves a grandchild behind that keeps its output open.
//!
//! ```text
//! orphan SECONDS [session]
//! ```
//!
//! The grandchild is a `sleep SECONDS` with the same stdout and stderr; with `session` it leads a session of its own,
//! so that no signal to the process group reaches it. Says the grandchild's pid as its only line and exits with status
//! 0.

use std::io::{self, Write};
use std::process::{Command, Stdio};

#[expect(
    clippy::disallowed_methods,
    clippy::zombie_processes,
    reason = "a child under test, and leaving somebody behind is its purpose"
)]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seconds = words.first().expect("usage: orphan SECONDS [session]");
    let mut sleep = if words.get(1).is_some_and(|word| word == "session") {
        let mut setsid = Command::new("setsid");
        setsid.arg("sleep");
        setsid
    } else {
        Command::new("sleep")
    };
    let grandchild = sleep.arg(seconds).stdin(Stdio::null()).spawn().expect("sleep is there");
    let _ = writeln!(io::stdout(), "{}", grandchild.id());
}
