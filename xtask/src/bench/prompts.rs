//! Processes that are talked to: prompt round trips, many sessions at once, lines by a handler, and starts out of a big
//! program. `crates/process/examples/prompt_speed.rs` does our part.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Row;
use super::contest::{Contestant, Goal, in_turn, pairwise};
use super::expect::built;
use super::measure::quiet;
use super::workshop::Workshop;
use crate::step::target;

pub(super) const PROMPTS: Row =
    Row { name: "prompts", work: "20,000 prompt round trips with `cat` on a pty", run: prompts };
pub(super) const SESSIONS: Row =
    Row { name: "sessions", work: "1,000 sessions expecting at once, one match each per second", run: sessions };
pub(super) const LINE_HANDLER: Row =
    Row { name: "line-handler", work: "50 million lines of `cat`, each given to a handler", run: line_handler };
pub(super) const RESIDENT: Row = Row {
    name: "resident",
    work: "3,000 × true, one after the other, with 1 GiB resident in the caller",
    run: resident,
};

const ROUND_TRIPS: usize = 20_000;

fn ours(arguments: &[&str]) -> Result<impl Fn() -> Command + use<>, String> {
    let example = built("prompt_speed")?;
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    Ok(move || {
        let mut command = quiet(&example);
        command.args(&arguments);
        command
    })
}

/// One round trip in flight, for all: each writes when it has found the answer to what it wrote before.
fn prompts(_: &Workshop) -> Result<(), String> {
    let count = ROUND_TRIPS.to_string();
    let ways =
        [("on one thread", "prompts"), ("by a handler", "handled"), ("by a handle of another thread's", "handle")];
    let mut all: Vec<Contestant<'_>> = Vec::new();
    for (name, way) in ways {
        all.push((name, Box::new(ours(&[way, &count])?)));
    }
    let mut theirs: Vec<(Contestant<'_>, Goal)> = Vec::new();
    let tcl = format!(
        "set timeout 60; log_user 0; spawn -noecho cat; stty -echo < $spawn_out(slave,name); \
         for {{set i 0}} {{$i < {ROUND_TRIPS}}} {{incr i}} {{ send \"prompt> \\n\"; expect \"prompt> \" {{}} timeout {{ exit 1 }} }}"
    );
    if phalanx_tests::find_program("expect").is_some() {
        let command = move || {
            let mut expect = quiet("expect");
            expect.args(["-c", &tcl]);
            expect
        };
        theirs.push((("expect", Box::new(command)), Goal::AtLeast(3.0)));
    } else {
        println!("  expect: not installed (apt-get install expect), left out");
    }
    let script = format!(
        "import pexpect\np = pexpect.spawn('cat', echo=False)\np.delaybeforesend = None\n\
         for i in range({ROUND_TRIPS}):\n    p.send('prompt> \\n')\n    p.expect_exact('prompt> ')\np.close(force=True)\n"
    );
    match pexpect() {
        Ok(python) => {
            let command = move || {
                let mut command = quiet(&python);
                command.args(["-c", &script]);
                command
            };
            theirs.push((("pexpect", Box::new(command)), Goal::AtLeast(10.0)));
        }
        Err(sentence) => println!("  pexpect: left out ({sentence})"),
    }
    in_turn(7, &all, &theirs)
}

/// A Python that has pexpect: the system's, or one in an environment of our own.
fn pexpect() -> Result<PathBuf, String> {
    let has = |python: &PathBuf| {
        let mut import = quiet(python);
        import.args(["-c", "import pexpect"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let system = PathBuf::from("python3");
    let directory = target().join("bench/pexpect");
    let own = directory.join("bin/python");
    if let Some(python) = [system, own.clone()].into_iter().find(has) {
        return Ok(python);
    }
    let steps = [
        quiet("python3").args(["-m", "venv"]).arg(&directory).status(),
        quiet(&own).args(["-m", "pip", "install", "--quiet", "pexpect"]).status(),
    ];
    match steps {
        [Ok(made), Ok(installed)] if made.success() && installed.success() => Ok(own),
        _ => Err("pip cannot install it".to_owned()),
    }
}

fn sessions(_: &Workshop) -> Result<(), String> {
    let mut command = ours(&["sessions", "1000"])?();
    let output =
        command.stdout(Stdio::piped()).output().map_err(|error| format!("cannot start the example: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let share: f64 = said
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("it failed: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
    let word = if share < 5.0 { "REACHED" } else { "MISSED" };
    println!("  {said}        goal < 5 percent       {word}");
    Ok(())
}

fn line_handler(workshop: &Workshop) -> Result<(), String> {
    let file = workshop.files().join("lines");
    let line = b"node17: 4096 bytes\n".repeat(50_000);
    let write = |mut file: fs::File| (0..1000).try_for_each(|_| std::io::Write::write_all(&mut file, &line));
    fs::File::create(&file).and_then(write).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let path = file.display().to_string();
    let all = ours(&["lines", &path])?;
    let theirs = || {
        let mut shell = quiet("sh");
        shell.args(["-c", "cat \"$1\" | wc -l", "sh", &path]);
        shell
    };
    pairwise("wc -l behind a pipe", Goal::AtLeast(0.5), 5, all, theirs)?;
    fs::remove_file(&file).map_err(|error| format!("cannot remove {}: {error}", file.display()))
}

fn resident(_: &Workshop) -> Result<(), String> {
    let each = |mebibytes: &str| -> Result<f64, String> {
        let mut command = ours(&["spawn", mebibytes, "3000"])?();
        let output =
            command.stdout(Stdio::piped()).output().map_err(|error| format!("cannot start the example: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.split(' ').next().and_then(|number| number.parse().ok()).ok_or("it said nothing".to_owned())
    };
    let mut ratios = Vec::new();
    let (mut small, mut large) = (0.0, 0.0);
    for _ in 0..5 {
        (small, large) = (each("10")?, each("1024")?);
        ratios.push(large / small);
    }
    ratios.sort_by(f64::total_cmp);
    let word = if ratios[2] <= 1.2 { "REACHED" } else { "MISSED" };
    println!(
        "  {:7.2} × the time with 10 MiB ({large:.0} µs to {small:.0} µs)        goal ≤ 1.2 ×       {word}",
        ratios[2]
    );
    Ok(())
}
