//! The README's example in Rust: one command on many hosts, and what each of them said.

#![expect(clippy::print_stdout, reason = "a program says what it found")]

use phalanx::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hosts = ["node1", "node2", "node3"];
    let action = Remote::new("uname -sr", hosts).fanout(16).build()?.run().check()?;
    for process in action.processes() {
        print!("{}: {}", process.host().unwrap_or_default(), String::from_utf8_lossy(&process.stdout()));
    }
    Ok(())
}
