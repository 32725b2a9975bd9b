//! A record as execo's tables, and below them who failed why.

use std::fmt::Write as _;

use phalanx_process::duration::Fraction;
use phalanx_process::visible::visible;

use super::model::{Record, Step, date as date_of};
use super::totals::{Totals, hosts_by, stats};
use crate::date::{self, Zone};
use crate::report::{Layout, Report};

/// The records as text for people, with dates in `zone`.
#[must_use]
pub fn to_text(records: &[Record], layout: Layout, zone: &Zone) -> String {
    let mut report = Report::default();
    let steps = || records.iter().flat_map(|record| record.steps.iter().map(move |step| (record, step)));
    steps().for_each(|(_, step)| report.add(stats(step)));
    let mut text = report.to_text(layout, false, zone);
    for (record, step) in steps() {
        write_step(record, step, zone, &mut text).expect("writing into a String cannot fail");
    }
    text
}

fn write_step(record: &Record, step: &Step, zone: &Zone, text: &mut String) -> std::fmt::Result {
    let Totals { total, ok, failed, unfinished } = Totals::of(&step.processes);
    let begin = date::format(date_of(step.begin), Fraction::None, zone);
    writeln!(text, "\n{} ({}, {begin})", visible(step.name()), visible(&record.source))?;
    write!(text, "  {total} hosts: {ok} ok, {failed} failed, {unfinished} unfinished")?;
    match step.exit_status {
        Some(status) => writeln!(text, "; exit status {status}")?,
        None => writeln!(text, "; the record ends before the run")?,
    }
    let reasons = hosts_by(step, |process| (!process.is_ok()).then(|| process.message()));
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (reason, (count, nodes)) in reasons {
        let count = if count == 1 { String::new() } else { format!(" ({count})") };
        writeln!(text, "  {}{count}: {}", visible(&nodes), visible(&reason))?;
    }
    Ok(())
}
