//! A record as one JSON object: the figures, and what became of every host. What the hosts said is not in it; that is
//! in the record itself, which is JSON too.

use std::collections::BTreeMap;

use serde::Serialize;

use super::event::{Hosts, VERSION};
use super::model::{Process, Record, Step};
use super::totals::{Totals, hosts_by};

#[derive(Serialize)]
struct Summary<'a> {
    version: u32,
    #[serde(flatten)]
    totals: Counts,
    steps: Vec<StepSummary<'a>>,
}

#[derive(Serialize)]
struct Counts {
    total: usize,
    ok: usize,
    failed: usize,
    unfinished: usize,
}

#[derive(Serialize)]
struct StepSummary<'a> {
    file: &'a str,
    command: Option<&'a str>,
    worker: Option<&'a str>,
    phalanx: Option<&'a str>,
    begin: f64,
    end: f64,
    finished: bool,
    exit_status: Option<u8>,
    #[serde(flatten)]
    totals: Counts,
    results: BTreeMap<&'a str, Hosts>,
    hosts: Vec<HostSummary<'a>>,
}

#[derive(Serialize)]
struct HostSummary<'a> {
    node: &'a str,
    ok: bool,
    result: &'a str,
    started: Option<f64>,
    ended: Option<f64>,
    duration: Option<f64>,
    exit_code: Option<i32>,
    signal: Option<&'a str>,
    message: std::borrow::Cow<'a, str>,
    output_bytes: u64,
}

/// The records as one line of JSON; docs/json.md describes it.
#[must_use]
pub fn to_json(records: &[Record]) -> String {
    let steps = || records.iter().flat_map(|record| record.steps.iter().map(move |step| (record, step)));
    let summary = Summary {
        version: VERSION,
        totals: counts(Totals::of(steps().flat_map(|(_, step)| &step.processes))),
        steps: steps().map(|(record, step)| summary_of(&record.source, step)).collect(),
    };
    serde_json::to_string(&summary).expect("strings and numbers can be written into memory") + "\n"
}

fn counts(totals: Totals) -> Counts {
    let Totals { total, ok, failed, unfinished } = totals;
    Counts { total, ok, failed, unfinished }
}

fn summary_of<'a>(file: &'a str, step: &'a Step) -> StepSummary<'a> {
    let results = hosts_by(step, |process| Some(process.result()))
        .into_iter()
        .map(|(word, (count, nodes))| (word, Hosts { count, nodes }));
    StepSummary {
        file,
        command: step.command.as_deref(),
        worker: step.worker.as_deref(),
        phalanx: step.phalanx.as_deref(),
        begin: step.begin,
        end: step.last,
        finished: step.exit_status.is_some(),
        exit_status: step.exit_status,
        totals: counts(Totals::of(&step.processes)),
        results: results.collect(),
        hosts: step.processes.iter().map(host).collect(),
    }
}

fn host(process: &Process) -> HostSummary<'_> {
    let end = process.end.as_ref();
    HostSummary {
        node: &process.node,
        ok: process.is_ok(),
        result: process.result(),
        started: process.started,
        ended: end.map(|end| end.time),
        duration: process.duration(),
        exit_code: end.and_then(|end| end.exit_code),
        signal: end.and_then(|end| end.signal.as_deref()),
        message: process.message(),
        output_bytes: process.said.total,
    }
}
