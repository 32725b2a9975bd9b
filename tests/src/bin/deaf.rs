//! Never reads its stdin.
//!
//! Says "deaf" on stdout and waits for a signal that ends it, its stdin open and unread: a writer fills the pipe and
//! gets no further.

use std::io::{self, Write};

fn main() {
    let mut out = io::stdout();
    let _ = out.write_all(b"deaf\n").and_then(|()| out.flush());
    loop {
        nix::unistd::pause();
    }
}
