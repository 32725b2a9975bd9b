//! Says a lot, exactly known.
//!
//! ```text
//! flood lines COUNT [LABEL]  COUNT lines on each stream, in turn: "LABEL out 0" … and "LABEL err 0" …
//! flood short COUNT          COUNT lines "0", "1", … on stdout only, as fast as they can be written
//! flood bytes COUNT          COUNT bytes "x" on stdout, without a newline
//! flood binary               the bytes 0x00 to 0xFF on stdout, and 0xFF to 0x00 on stderr
//! ```
//!
//! Ends with status 0, or with status 1 when somebody stops reading.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let written = match words.as_slice() {
        ["lines", count] => lines(number(count), "flood"),
        ["lines", count, label] => lines(number(count), label),
        ["short", count] => short(number(count)),
        ["bytes", count] => bytes(number(count)),
        ["binary"] => binary(),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "usage: flood lines COUNT [LABEL] | short COUNT | bytes COUNT | binary",
        )),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "flood: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("COUNT is a number")
}

/// Unbuffered: every line is a write of its own, so that the two streams really alternate.
fn lines(count: u64, label: &str) -> io::Result<()> {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    for line in 0..count {
        out.write_all(format!("{label} out {line}\n").as_bytes())?;
        out.flush()?;
        err.write_all(format!("{label} err {line}\n").as_bytes())?;
    }
    Ok(())
}

fn short(count: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    (0..count).try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()
}

fn bytes(count: u64) -> io::Result<()> {
    let chunk = [b'x'; 1 << 16];
    let mut out = io::stdout().lock();
    let mut left = count;
    while left > 0 {
        let now = left.min(chunk.len() as u64) as usize;
        out.write_all(&chunk[..now])?;
        left -= now as u64;
    }
    out.flush()
}

fn binary() -> io::Result<()> {
    let up: Vec<u8> = (0..=255).collect();
    let down: Vec<u8> = (0..=255).rev().collect();
    let mut out = io::stdout().lock();
    out.write_all(&up)?;
    out.flush()?;
    io::stderr().write_all(&down)
}
