//! A record of ten thousand processes that were really run: what recording costs, how long each form of the report
//! takes, and how long the page keeps somebody waiting in a real browser.
//!
//! There is no other tool to race against: the goals are times, since it is people who wait.

use std::fs;
use std::path::Path;

use phalanx_tests::Browser;

use super::Row;
use super::contest::{Goal, pairwise};
use super::measure::measure;
use super::workshop::{Phalanx, Workshop};

pub(super) const ROW: Row =
    Row { name: "report", work: "a record of 10,000 processes: recorded, reported, looked at", run };

/// A report is there before one has looked away (seconds).
const REPORT: f64 = 1.0;
/// What a page may take to answer without a visible wait (milliseconds).
const PAGE: f64 = 100.0;

fn run(workshop: &Workshop) -> Result<(), String> {
    let phalanx = workshop.phalanx()?;
    let path = |name: &str| workshop.files().join(name).display().to_string();
    let (record, page) = (path("record"), path("page.html"));
    let job = ["-R", "exec", "-N", "-f", "16", "-w", "node[1-10000]", "echo", "a line of output from %h"];
    let recorded = || {
        let _ = fs::remove_file(&record);
        phalanx.run(&[&["--record", &record], &job[..]].concat())
    };
    pairwise("the same run unrecorded", Goal::Told, 3, recorded, || phalanx.run(&job))?;
    for form in ["text", "json", "junit", "html"] {
        report(phalanx, form, &record, &page)?;
    }
    look(Path::new(&page))
}

fn report(phalanx: &Phalanx, form: &str, record: &str, to: &str) -> Result<(), String> {
    let turn = |_| measure(&mut phalanx.verb(&["report", "--format", form, "-o", to, record]));
    let mut costs = (0..5).map(turn).collect::<Result<Vec<_>, String>>()?;
    costs.sort_by(|one, other| one.wall.total_cmp(&other.wall));
    let size = fs::metadata(to).map_err(|error| format!("there is no report: {error}"))?.len();
    let (cost, mebibytes) = (costs[2], size as f64 / f64::from(1 << 20));
    println!(
        "  {:6.3} s for {form:36} goal ≤ {REPORT} s      {}",
        cost.wall,
        if cost.wall <= REPORT { "REACHED" } else { "MISSED" }
    );
    println!("          {mebibytes:.1} MiB written, peak {:.1} MiB, 5 rounds", cost.peak);
    Ok(())
}

/// The page says itself how long it took; what the browser does before and after is the same for every page.
fn look(page: &Path) -> Result<(), String> {
    let Some(browser) = Browser::find() else {
        println!("  chromium: not installed (apt-get install chromium), left out");
        return Ok(());
    };
    for (work, fragment, name) in [
        ("the page opens", "", "opened"),
        ("the page finds a host, the first time", "q=node7777", "filtered"),
        ("the page sorts", "sort=longest", "filtered"),
    ] {
        let mut times = (0..3).map(|_| said(&browser.dom(page, fragment), name)).collect::<Result<Vec<_>, _>>()?;
        times.sort_by(f64::total_cmp);
        let taken = times[1];
        let word = if taken <= PAGE { "REACHED" } else { "MISSED" };
        println!("  {taken:6.0} ms until {work:37} goal ≤ {PAGE} ms   {word}");
    }
    Ok(())
}

/// What the page noted about itself, in milliseconds.
fn said(dom: &str, name: &str) -> Result<f64, String> {
    let noted = dom.split(&format!(" data-{name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
    noted.and_then(|noted| noted.parse().ok()).ok_or_else(|| "the page does not say how long it took".to_owned())
}
