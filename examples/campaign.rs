//! A campaign of measurements that can be interrupted at any time and goes on where it was, in as many processes as you
//! like: how small and how fast is each compressor on each kind of data?
//!
//! ```console
//! $ cargo run -p phalanx-examples --example campaign /tmp/campaign
//! $ cargo run -p phalanx-examples --example campaign /tmp/campaign   # nothing left to do: the results again
//! ```
//!
//! The directory holds the state of the sweep (`docs/sweeps.md`) and, for every combination, a directory of results.

#![expect(clippy::print_stdout, reason = "a program says what it found")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use phalanx::process::Process;
use phalanx::sweep::{Combination, Factors, Level, Queue, State, geometric_integers};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("usage: campaign DIRECTORY")?);
    let queue = Queue::open(&directory)?;
    queue.set(factors()?.combinations()?)?;
    while let Some(combination) = queue.next()? {
        match measure(&combination, &directory.join(combination.slug())) {
            Ok(()) => queue.done(&combination)?,
            Err(error) => {
                println!("{combination}: {error}");
                queue.skip(&combination)?
            }
        };
        println!("{}", queue.stats()?);
    }
    for combination in queue.list(State::Done)? {
        let bytes = fs::read_to_string(directory.join(combination.slug()).join("bytes"))?;
        println!("{} {}", combination.slug(), bytes.trim());
    }
    Ok(())
}

/// Only gzip has levels here: a factor that opens under one level of another.
fn factors() -> Result<Factors, Box<dyn Error>> {
    let gzip = Level::from("gzip").with(Factors::new().factor("level", [1, 6, 9]));
    let sizes = geometric_integers(1_000, 1_000_000, 4)?;
    Ok(Factors::new().factor("program", [gzip, "cat".into()]).factor("data", ["zero", "urandom"]).factor("size", sizes))
}

/// Writes its result under another name first: a directory that was left half done is begun anew.
fn measure(combination: &Combination, results: &Path) -> Result<(), Box<dyn Error>> {
    let value = |name| combination.get(name).ok_or_else(|| format!("{combination} has no {name}: another sweep"));
    let level = combination.get("level").map(|level| format!("-{level}")).unwrap_or_default();
    let (program, data, size) = (value("program")?, value("data")?, value("size")?);
    let run = Process::shell(format!("head -c {size} /dev/{data} | {program} {level} | wc -c")).run().check()?;
    fs::create_dir_all(results)?;
    fs::write(results.join("bytes.part"), run.stdout())?;
    fs::rename(results.join("bytes.part"), results.join("bytes"))?;
    Ok(())
}
