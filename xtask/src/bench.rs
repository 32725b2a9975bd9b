//! `cargo xtask bench [ROW…]`: what things cost, as ratios to a limit measured in the same run.
//!
//! This machine and the next one differ, and so do this minute and the next. So two contestants take turns (A B A B …),
//! each turn gives one ratio, and the median of those is what is said. The limits are small programs that do the bare
//! minimum; other tools take part where they are installed and are left out by name where not.
//!
//! A topic is a file below; its rows are entered in `ROWS`. Deliberately not a test: a busy machine fails nobody.

mod bytes;
mod chain;
mod cold;
mod connectors;
mod contest;
mod dry_run;
mod expect;
mod files;
mod labels;
mod measure;
mod nodeset;
mod prompts;
mod report;
mod silent;
mod spawning;
mod workshop;

use std::process::ExitCode;

use self::workshop::Workshop;

/// One line of the table.
struct Row {
    name: &'static str,
    work: &'static str,
    /// Says its findings as they come; an error when it cannot be measured at all.
    run: fn(&Workshop) -> Result<(), String>,
}

const ROWS: &[Row] = &[
    spawning::ROW,
    connectors::ROW,
    bytes::WHOLE,
    bytes::LINES,
    labels::ROW,
    cold::ROW,
    silent::ROW,
    dry_run::ROW,
    nodeset::ROW,
    expect::SEARCH,
    expect::PROCESS,
    expect::LINES,
    files::LARGE,
    files::SMALL,
    chain::ROW,
    prompts::PROMPTS,
    prompts::SESSIONS,
    prompts::LINE_HANDLER,
    prompts::RESIDENT,
    report::ROW,
];

/// `cargo xtask bench [ROW…]`.
pub fn run(names: &[String]) -> ExitCode {
    if let Some(unknown) = names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        eprintln!("xtask bench: no row is called «{unknown}»: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let workshop = match Workshop::open() {
        Ok(workshop) => workshop,
        Err(sentence) => {
            eprintln!("xtask bench: {sentence}");
            return ExitCode::FAILURE;
        }
    };
    let chosen = ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name));
    let mut end = ExitCode::SUCCESS;
    for row in chosen {
        println!("\n{}: {}", row.name, row.work);
        if let Err(sentence) = (row.run)(&workshop) {
            println!("  cannot be measured: {sentence}");
            end = ExitCode::FAILURE;
        }
    }
    end
}
