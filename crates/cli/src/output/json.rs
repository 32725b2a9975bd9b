//! What happens in a job as the events of docs/json.md, for `--json` and for `--record`. Knows nothing of where they go:
//! every event is appended to bytes, as one line.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::time::SystemTime;

use phalanx_action::files::Progress;
use phalanx_action::job::Retry;
use phalanx_nodeset::fold_names;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Outcome;
use phalanx_process::result::{HostResult, ResultKind};
use phalanx_record::event::{Event, Hosts};

use super::event::StepId;
use super::line_buffer::LineBuffer;
use super::step_state::StepState;

/// Makes events; the beginnings of lines wait here for their ends.
#[derive(Debug, Default)]
pub(super) struct Json {
    buffers: HashMap<(usize, Stream), LineBuffer>,
}

/// The number of a member among all of the job, and its name.
type Member<'a> = (usize, &'a str);

impl Json {
    pub(super) fn step_begun(step: StepId, state: &StepState, to: &mut Vec<u8>) {
        let worker = if state.description.remote { "ssh" } else { "exec" };
        let (name, command, hosts) = (&*state.description.path, &*state.description.command, state.members());
        let phalanx = env!("CARGO_PKG_VERSION");
        write(step, &Event::Step { name, command, hosts, worker, phalanx }, to);
    }

    pub(super) fn step_skipped(step: StepId, name: &str, message: &str, to: &mut Vec<u8>) {
        write(step, &Event::Skipped { name, message }, to);
    }

    pub(super) fn started(step: StepId, node: &str, pid: u32, to: &mut Vec<u8>) {
        write(step, &Event::Started { node, pid }, to);
    }

    pub(super) fn output(
        &mut self,
        step: StepId,
        (key, node): Member<'_>,
        stream: Stream,
        bytes: &[u8],
        to: &mut Vec<u8>,
    ) {
        let buffer = self.buffers.entry((key, stream)).or_default();
        let Ok(()) = buffer.feed(bytes, |lines| {
            let lines = lines.split_inclusive(|byte| *byte == b'\n');
            lines.for_each(|line| write(step, &Event::output(node, stream, line), to));
            Ok::<(), Infallible>(())
        });
    }

    pub(super) fn progress(progress: Progress, total: Option<Progress>, to: &mut Vec<u8>) {
        let (total_bytes, total_files) = (total.map(|total| total.bytes), total.map(|total| total.files));
        let event = Event::Progress { bytes: progress.bytes, files: progress.files, total_bytes, total_files };
        write(StepId::RUN, &event, to);
    }

    /// Writes the end of a process, or that it will not be started, if it has no outcome.
    pub(super) fn ended(
        &mut self,
        step: StepId,
        member: Member<'_>,
        result: &HostResult,
        outcome: Option<&Outcome>,
        to: &mut Vec<u8>,
    ) {
        self.rest_of_output(step, member, to);
        write(step, &Event::ended(member.1, result, outcome), to);
    }

    /// Writes that an attempt has failed, and that there will be another.
    pub(super) fn retry(
        &mut self,
        step: StepId,
        member: Member<'_>,
        result: &HostResult,
        retry: Retry,
        to: &mut Vec<u8>,
    ) {
        self.rest_of_output(step, member, to);
        let (kind, message) = (result.kind(), result.sentence());
        let Retry { failed: attempt, attempts, delay } = retry;
        let pause = delay.as_secs_f64();
        write(step, &Event::Retry { node: member.1, result: kind, message, attempt, attempts, pause }, to);
    }

    fn rest_of_output(&mut self, step: StepId, (key, node): Member<'_>, to: &mut Vec<u8>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = self.buffers.remove(&(key, stream)).map(|mut buffer| buffer.take()).unwrap_or_default();
            if !rest.is_empty() {
                write(step, &Event::output(node, stream, &rest), to);
            }
        }
    }

    /// Writes that a step is over, or a run, which has one step.
    pub(super) fn summary_of_members(step: StepId, state: &StepState, exit_status: u8, to: &mut Vec<u8>) {
        let mut members: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        let mut kinds = vec![ResultKind::NotStarted; state.members().len()];
        state.results().for_each(|(member, result)| kinds[member] = result.kind());
        for (kind, name) in kinds.iter().zip(state.members()) {
            members.entry(kind.word()).or_default().push(name);
        }
        let hosts = |names: Vec<&str>| Hosts { count: names.len(), nodes: fold_names(names) };
        let results = members.into_iter().map(|(word, names)| (word, hosts(names))).collect();
        let total = kinds.len();
        let ok = kinds.iter().filter(|kind| **kind == ResultKind::Ok).count();
        write(step, &Event::Summary { total, ok, failed: total - ok, exit_status, results }, to);
    }

    /// Writes that a plan is over, which counts its steps.
    pub(super) fn summary_of_steps(ok: usize, failed: usize, exit_status: u8, to: &mut Vec<u8>) {
        let results = BTreeMap::new();
        write(StepId::RUN, &Event::Summary { total: ok + failed, ok, failed, exit_status, results }, to);
    }
}

fn write(step: StepId, event: &Event<'_>, to: &mut Vec<u8>) {
    event.write_of(step.number(), SystemTime::now(), to);
}
