//! How fast lines are cut: `cargo run --release -p phalanx-process --example line_speed [MILLIONS]`, or `… line_speed
//! -` to count the lines of standard input, to compare with `wc -l` behind the same pipe.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::io::Read;
use std::time::Instant;

use phalanx_process::lines::Lines;

fn main() -> std::io::Result<()> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("-") {
        return count_standard_input();
    }
    let millions: usize = argument.and_then(|argument| argument.parse().ok()).unwrap_or(50);
    let text = b"node17: 4096 bytes\n".repeat(10_000);
    let mut lines = Lines::default();
    let (mut count, mut bytes) = (0_usize, 0_usize);
    let start = Instant::now();
    for _ in 0..millions * 100 {
        for chunk in text.chunks(64 << 10) {
            for line in lines.feed(chunk) {
                count += 1;
                bytes += line.bytes.len();
            }
        }
    }
    let ours = start.elapsed();
    assert_eq!((count, bytes), (millions * 1_000_000, millions * 18_000_000));
    let start = Instant::now();
    for _ in 0..millions * 100 {
        count -= text.chunks(64 << 10).map(|chunk| memchr::memchr_iter(b'\n', chunk).count()).sum::<usize>();
    }
    let counting = start.elapsed();
    assert_eq!(count, 0);
    println!(
        "{millions} million lines in {:.2} s, {:.1} million a second: {:.2} x as fast as counting newlines in memory",
        ours.as_secs_f64(),
        millions as f64 / ours.as_secs_f64(),
        counting.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

fn count_standard_input() -> std::io::Result<()> {
    let mut stdin = std::io::stdin().lock();
    let mut lines = Lines::default();
    let mut chunk = vec![0; 64 << 10];
    let mut count = 0_usize;
    loop {
        match stdin.read(&mut chunk)? {
            0 => break,
            read => count += lines.feed(&chunk[..read]).count(),
        }
    }
    println!("{}", count + lines.end_of_file().count());
    Ok(())
}
