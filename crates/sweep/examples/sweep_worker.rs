//! A worker on a sweep, for the tests of sweeps: takes one combination after the other and does nothing with it.
//!
//! ```text
//! sweep_worker DIRECTORY COUNT
//! ```
//!
//! Makes the sweep `n = 0 … COUNT-1`, and drains it together with all who work on the same directory. For each
//! combination it says `took N`, and `done N` once that was confirmed; then `end`. Errors go to stderr, with status 1.

#![expect(clippy::print_stdout, reason = "a program says what it did")]

use std::io::Write;

use phalanx_sweep::{Factors, Queue};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Err(error) = work() {
        // The sentence a user reads, not the structure behind it.
        writeln!(std::io::stderr(), "{error}")?;
        std::process::exit(1);
    }
    Ok(())
}

fn work() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [directory, count] = arguments.as_slice() else { return Err("usage: sweep_worker DIRECTORY COUNT".into()) };
    let queue = Queue::open(directory)?;
    queue.set(Factors::new().factor("n", 0..count.parse::<i32>()?).combinations()?)?;
    while let Some(combination) = queue.next()? {
        let number = combination.get("n").ok_or("another sweep is in this directory")?;
        println!("took {number}");
        queue.done(&combination)?;
        println!("done {number}");
    }
    println!("end");
    Ok(())
}
