//! Many children that live and say nothing, in one program: what that costs is for `cargo xtask bench silent`.
//!
//! ```text
//! silent_children COUNT
//! ```
//!
//! Starts COUNT times `sleep 1000`, says "ready" when all of them run, and waits until it is killed. Its children go
//! with it, however it goes.

#![expect(clippy::print_stdout, reason = "a program says that it is ready")]

use phalanx::process::Spec;
use phalanx::process::engine::{Engine, EngineOptions};
use phalanx::process::event::Event;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).ok_or("usage: silent_children COUNT")?.parse()?;
    let mut drive = Engine::current_thread(EngineOptions::default())?;
    // One description for all: they share its environment.
    let sleep = Spec::new(["sleep", "1000"]);
    for _ in 0..count {
        drive.start(sleep.clone());
    }
    let mut started = 0;
    while let Some(event) = drive.next_event(None)? {
        match event {
            Event::Started { .. } => started += 1,
            Event::Ended { finished, .. } => return Err(format!("a sleep ended: {finished:?}").into()),
            _ => {}
        }
        if started == count {
            println!("ready");
            // Once only.
            started += 1;
        }
    }
    Ok(())
}
