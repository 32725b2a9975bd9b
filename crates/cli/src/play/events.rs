//! What happens in a plan as the events of docs/json.md, for `--json` and for `--record`: those of a run, each with the
//! number of its step.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::time::SystemTime;

use phalanx_action::rollout::Retry;
use phalanx_nodeset::fold_names;
use phalanx_plan::course::Turn;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Outcome;
use phalanx_process::result::{HostResult, ResultKind};
use phalanx_record::event::{Event, Hosts};

use super::act::Act;
use crate::show::partial::Partial;

/// Makes events; the beginnings of lines wait here for their ends.
#[derive(Debug, Default)]
pub(super) struct Events {
    partial: HashMap<(usize, Stream), Partial>,
}

impl Events {
    pub(super) fn step(turn: Turn, act: &Act, to: &mut Vec<u8>) {
        let worker = if act.remote { "ssh" } else { "exec" };
        let (name, command, hosts) = (act.path.as_str(), act.command.as_str(), &*act.members);
        let phalanx = env!("CARGO_PKG_VERSION");
        write(turn, &Event::Step { name, command, hosts, worker, phalanx }, to);
    }

    pub(super) fn skipped(turn: Turn, name: &str, message: &str, to: &mut Vec<u8>) {
        write(turn, &Event::Skipped { name, message }, to);
    }

    pub(super) fn started(turn: Turn, node: &str, pid: u32, to: &mut Vec<u8>) {
        write(turn, &Event::Started { node, pid }, to);
    }

    pub(super) fn output(
        &mut self,
        turn: Turn,
        (key, node): (usize, &str),
        stream: Stream,
        bytes: &[u8],
        to: &mut Vec<u8>,
    ) {
        let partial = self.partial.entry((key, stream)).or_default();
        let Ok(()) = partial.feed(bytes, |lines| {
            let lines = lines.split_inclusive(|byte| *byte == b'\n');
            lines.for_each(|line| write(turn, &Event::output(node, stream, line), to));
            Ok::<(), Infallible>(())
        });
    }

    pub(super) fn ended(
        &mut self,
        turn: Turn,
        (key, node): (usize, &str),
        verdict: &HostResult,
        outcome: Option<&Outcome>,
        to: &mut Vec<u8>,
    ) {
        self.last_words(turn, (key, node), to);
        write(turn, &Event::ended(node, verdict, outcome), to);
    }

    /// An attempt has failed, and there will be another.
    pub(super) fn retry(
        &mut self,
        turn: Turn,
        (key, node): (usize, &str),
        verdict: &HostResult,
        retry: Retry,
        to: &mut Vec<u8>,
    ) {
        self.last_words(turn, (key, node), to);
        let (result, message) = (verdict.kind(), verdict.sentence());
        let Retry { failed: attempt, attempts, pause } = retry;
        write(turn, &Event::Retry { node, result, message, attempt, attempts, pause: pause.as_secs_f64() }, to);
    }

    fn last_words(&mut self, turn: Turn, (key, node): (usize, &str), to: &mut Vec<u8>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = self.partial.remove(&(key, stream)).map(|mut partial| partial.take()).unwrap_or_default();
            if !rest.is_empty() {
                write(turn, &Event::output(node, stream, &rest), to);
            }
        }
    }

    /// A step is over.
    pub(super) fn over(turn: Turn, act: &Act, ok: bool, to: &mut Vec<u8>) {
        let mut results: BTreeMap<&'static str, Vec<&String>> = BTreeMap::new();
        for (member, verdict) in act.members.iter().zip(&act.verdicts) {
            let word = verdict.as_ref().map_or(ResultKind::NotStarted, HostResult::kind).word();
            results.entry(word).or_default().push(member);
        }
        let hosts = |members: Vec<&String>| Hosts { count: members.len(), nodes: fold_names(members) };
        let results = results.into_iter().map(|(word, members)| (word, hosts(members))).collect();
        let (total, good) = (act.members.len(), act.ok_count());
        let exit_status = u8::from(!ok);
        write(turn, &Event::Summary { total, ok: good, failed: total - good, exit_status, results }, to);
    }

    /// All is over.
    pub(super) fn summary(ok: usize, failed: usize, exit_status: u8, to: &mut Vec<u8>) {
        let total = ok + failed;
        Event::Summary { total, ok, failed, exit_status, results: BTreeMap::new() }.write(SystemTime::now(), to);
    }
}

fn write(turn: Turn, event: &Event<'_>, to: &mut Vec<u8>) {
    event.write_of(Some(turn.number()), SystemTime::now(), to);
}
