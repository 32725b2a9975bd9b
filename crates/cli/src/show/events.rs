//! What happens in a run as the events of docs/json.md, for `--json` and for `--record`. Knows nothing of where they
//! go: every event is appended to bytes, as one line.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::time::SystemTime;

use phalanx_action::files::Progress;
use phalanx_action::rollout::Retry;
use phalanx_nodeset::fold_names;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Outcome;
use phalanx_process::result::HostResult;
use phalanx_record::event::{Event, Hosts};

use super::partial::Partial;
use crate::run::{Plan, Tally};

/// Makes events; the beginnings of lines wait here for their ends.
#[derive(Debug, Default)]
pub(crate) struct Events {
    partial: HashMap<(usize, Stream), Partial>,
}

impl Events {
    /// The first object of a record.
    pub(crate) fn run(plan: &Plan, to: &mut Vec<u8>) {
        let worker = plan.worker();
        let phalanx = env!("CARGO_PKG_VERSION");
        let (command, hosts, fanout) = (plan.command.as_str(), &*plan.hosts, plan.rollout.fanout);
        write(&Event::Run { command, hosts, worker, fanout, phalanx }, to);
    }

    pub(crate) fn started(node: &str, pid: u32, to: &mut Vec<u8>) {
        write(&Event::Started { node, pid }, to);
    }

    pub(crate) fn output(&mut self, host: usize, node: &str, stream: Stream, bytes: &[u8], to: &mut Vec<u8>) {
        let partial = self.partial.entry((host, stream)).or_default();
        let Ok(()) = partial.feed(bytes, |lines| {
            let lines = lines.split_inclusive(|byte| *byte == b'\n');
            lines.for_each(|line| write(&Event::output(node, stream, line), to));
            Ok::<(), Infallible>(())
        });
    }

    pub(crate) fn progress(progress: Progress, total: Option<Progress>, to: &mut Vec<u8>) {
        let (total_bytes, total_files) = (total.map(|total| total.bytes), total.map(|total| total.files));
        write(&Event::Progress { bytes: progress.bytes, files: progress.files, total_bytes, total_files }, to);
    }

    pub(crate) fn ended(
        &mut self,
        host: usize,
        node: &str,
        verdict: &HostResult,
        outcome: Option<&Outcome>,
        to: &mut Vec<u8>,
    ) {
        self.last_words(host, node, to);
        write(&Event::ended(node, verdict, outcome), to);
    }

    /// An attempt has failed, and there will be another.
    pub(crate) fn retry(&mut self, host: usize, node: &str, verdict: &HostResult, retry: Retry, to: &mut Vec<u8>) {
        self.last_words(host, node, to);
        let (result, message) = (verdict.kind(), verdict.sentence());
        let Retry { failed: attempt, attempts, pause } = retry;
        write(&Event::Retry { node, result, message, attempt, attempts, pause: pause.as_secs_f64() }, to);
    }

    fn last_words(&mut self, host: usize, node: &str, to: &mut Vec<u8>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = self.partial.remove(&(host, stream)).map(|mut partial| partial.take()).unwrap_or_default();
            if !rest.is_empty() {
                write(&Event::output(node, stream, &rest), to);
            }
        }
    }

    pub(crate) fn summary(&mut self, plan: &Plan, tally: &Tally, exit_status: u8, to: &mut Vec<u8>) {
        // Who was never started has no end of its own in the stream yet.
        let mut results: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (host, verdict) in tally.verdicts() {
            if *verdict == HostResult::NotStarted {
                self.ended(host, &plan.hosts[host], verdict, None, to);
            }
            results.entry(verdict.kind().word()).or_default().push(host);
        }
        let results = results.into_iter().map(|(word, hosts)| {
            let nodes = fold_names(hosts.iter().map(|host| &plan.hosts[*host]));
            (word, Hosts { count: hosts.len(), nodes })
        });
        let (total, failed) = (tally.total(), tally.failed());
        write(&Event::Summary { total, ok: total - failed, failed, exit_status, results: results.collect() }, to);
    }
}

fn write(event: &Event<'_>, to: &mut Vec<u8>) {
    event.write(SystemTime::now(), to);
}
