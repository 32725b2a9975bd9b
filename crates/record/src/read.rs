//! Reads a record, also that of a run that was killed in the middle.
//!
//! What can be read is kept, whatever stands around it: a line that is no event is skipped and counted, an event of a
//! kind unknown here is passed over, a field unknown here too. A host that the record names and does not end is
//! unfinished. The last line may be torn; that is how a killed run ends.
//!
//! Memory is bounded by the number of hosts, not by what they said: of a talkative host the end is kept, for that is
//! where the trouble usually is.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phalanx_process::event::Stream;
use serde::Deserialize;

use super::event::VERSION;
use super::model::{End, Process, Record, Step};

/// The longest line that is looked at, in bytes. A line of output comes in pieces of about 1 MiB, and JSON writes a
/// byte with at most six; the first line has the names of all hosts, which may be millions.
pub const LONGEST_LINE: usize = 64 << 20;

/// How many bytes of output are kept of the hosts of a step together, about.
const KEPT_IN_ALL: usize = 64 << 20;
/// The least that is kept of each, and the most.
const KEPT_OF_EACH: (usize, usize) = (4 << 10, 1 << 20);

/// Later than anybody's runs (the year 9892), and still a date everywhere.
const LATEST: f64 = 2.5e11;

/// Lines that are no events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The number of the first such line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
    /// How many such lines there are.
    pub count: usize,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is skipped, since it is no event: {}", self.line, self.reason)?;
        match self.count {
            0 | 1 => Ok(()),
            2 => f.write_str("; so is 1 more"),
            count => write!(f, "; so are {} more", count - 1),
        }
    }
}

/// There are lines, and not one of them is an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no record of phalanx run --record: {0}")]
pub struct NotARecord(pub Skipped);

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error(transparent)]
    NotARecord(#[from] NotARecord),
}

/// Reads a whole record; `source` is what it is called in reports.
///
/// # Errors
/// When it cannot be read, or holds lines and no event at all. What is merely damaged is no error.
pub fn read(source: &str, mut from: impl BufRead) -> Result<Record, ReadError> {
    let mut reader = Reader { record: Record { source: source.to_owned(), ..Record::default() }, ..Reader::default() };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let complete = match read_line(&mut from, &mut line)? {
            Length::End => break,
            Length::TooLong => {
                reader.skip(number, format!("it is longer than {LONGEST_LINE} bytes"));
                continue;
            }
            Length::Line { complete } => complete,
        };
        match reader.event(&line) {
            Ok(()) => {}
            Err(_) if !complete => reader.record.torn = true,
            Err(error) => reader.skip(number, error.to_string()),
        }
    }
    reader.finish()
}

enum Length {
    /// There is none.
    End,
    /// It is too long, and was passed over.
    TooLong,
    Line {
        /// It ends with a newline.
        complete: bool,
    },
}

fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Length> {
    let read = from.take(LONGEST_LINE as u64 + 1).read_until(b'\n', line)?;
    let complete = line.ends_with(b"\n");
    if read > LONGEST_LINE && !complete {
        from.skip_until(b'\n')?;
        return Ok(Length::TooLong);
    }
    Ok(if read == 0 { Length::End } else { Length::Line { complete } })
}

/// What every event has.
#[derive(Deserialize)]
struct Head {
    version: u32,
    time: f64,
    event: String,
    /// The step of a plan that it belongs to.
    step: Option<u64>,
}

#[derive(Deserialize)]
struct Run {
    name: Option<String>,
    command: String,
    hosts: Vec<String>,
    worker: Option<String>,
    phalanx: Option<String>,
}

#[derive(Deserialize)]
struct NotRun {
    name: String,
    message: String,
}

#[derive(Deserialize)]
struct Started {
    node: String,
}

#[derive(Deserialize)]
struct Output {
    node: String,
    stream: String,
    text: Option<String>,
    base64: Option<String>,
}

#[derive(Deserialize)]
struct Ended {
    node: String,
    ok: bool,
    result: String,
    exit_code: Option<i32>,
    signal: Option<String>,
    #[serde(default)]
    forced_kill: bool,
    duration: Option<f64>,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Summary {
    exit_status: u8,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("it is of version {0} of the schema, and only {VERSION} is known here: use a newer phalanx")]
    Version(u32),
    #[error("its time, {0}, is none")]
    Time(f64),
    #[error("there is no stream `{0}`")]
    Stream(String),
    #[error("it has neither text nor base64")]
    NoData,
    #[error("its base64 is damaged: {0}")]
    Base64(#[from] base64::DecodeError),
}

#[derive(Default)]
struct Reader {
    record: Record,
    /// The steps that may get more events, by their numbers; those of a plan may be open at the same time.
    open: HashMap<Option<u64>, Open>,
    /// The step that the present event belongs to.
    current: Option<u64>,
}

/// A step that is not complete.
struct Open {
    /// Where it is in the record.
    at: usize,
    /// Where its processes are, by host.
    index: HashMap<String, usize>,
    /// How many bytes of output are kept of each.
    bound: usize,
}

impl Reader {
    fn event(&mut self, line: &[u8]) -> Result<(), LineError> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let head: Head = serde_json::from_slice(line)?;
        if head.version != VERSION {
            return Err(LineError::Version(head.version));
        }
        if !(0.0..LATEST).contains(&head.time) {
            return Err(LineError::Time(head.time));
        }
        self.current = head.step;
        match head.event.as_str() {
            "skipped" => self.not_run(serde_json::from_slice(line)?, head.time),
            "run" | "step" => self.run(serde_json::from_slice(line)?, head.time),
            "started" => self.started(&serde_json::from_slice::<Started>(line)?, head.time),
            "output" => self.output(serde_json::from_slice(line)?, head.time)?,
            "ended" => self.ended(serde_json::from_slice(line)?, head.time),
            "summary" => self.summary(&serde_json::from_slice(line)?, head.time),
            // Of a later version of this program, which still calls itself compatible.
            _ => {}
        }
        Ok(())
    }

    fn run(&mut self, run: Run, time: f64) {
        self.begin(time);
        for node in &run.hosts {
            self.position(node);
        }
        let (least, most) = KEPT_OF_EACH;
        let (step, open) = self.parts();
        open.bound = (KEPT_IN_ALL / run.hosts.len().max(1)).clamp(least, most);
        (step.title, step.command, step.worker, step.phalanx) = (run.name, Some(run.command), run.worker, run.phalanx);
    }

    fn not_run(&mut self, not_run: NotRun, time: f64) {
        self.begin(time);
        self.parts().0.title = Some(format!("{}: {}", not_run.name, not_run.message));
        self.close();
    }

    fn started(&mut self, started: &Started, time: f64) {
        let process = self.process(&started.node, time);
        // Started again, it has not ended yet; it began when it first did.
        process.end = None;
        process.started.get_or_insert(time);
    }

    fn output(&mut self, output: Output, time: f64) -> Result<(), LineError> {
        let stream = match output.stream.as_str() {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => return Err(LineError::Stream(output.stream)),
        };
        let bytes = match (output.text, output.base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(coded)) => STANDARD.decode(coded)?,
            (None, None) => return Err(LineError::NoData),
        };
        self.step(time);
        let position = self.position(&output.node);
        let (step, open) = self.parts();
        step.processes[position].said.push(stream, &bytes, open.bound);
        Ok(())
    }

    fn ended(&mut self, ended: Ended, time: f64) {
        let sane = |seconds: &f64| (0.0..LATEST).contains(seconds);
        let Ended { node, ok, result, exit_code, signal, forced_kill, duration, message } = ended;
        let duration = duration.filter(sane);
        let end = End { time, ok, result, exit_code, signal, forced_kill, duration, message };
        self.process(&node, time).end = Some(end);
    }

    fn summary(&mut self, summary: &Summary, time: f64) {
        if self.current.is_none() && !self.open.contains_key(&None) && !self.record.steps.is_empty() {
            // Of a plan as a whole: its steps have summaries of their own.
            return;
        }
        let step = self.step(time);
        step.exit_status = Some(summary.exit_status);
        self.close();
    }

    /// Begins another step.
    fn begin(&mut self, time: f64) {
        self.close();
        let at = self.record.steps.len();
        self.record.steps.push(Step { begin: time, last: time, ..Step::default() });
        self.open.insert(self.current, Open { at, index: HashMap::new(), bound: KEPT_OF_EACH.0 });
    }

    /// The step is complete: what follows belongs to another.
    fn close(&mut self) {
        if let Some(open) = self.open.remove(&self.current) {
            trim(&mut self.record.steps[open.at], open.bound);
        }
    }

    /// The step that an event of this time belongs to.
    fn step(&mut self, time: f64) -> &mut Step {
        if !self.open.contains_key(&self.current) {
            self.begin(time);
        }
        let step = self.parts().0;
        // The clock may have been put back.
        step.last = step.last.max(time);
        step
    }

    /// The present step, and what is known of it while it is open.
    fn parts(&mut self) -> (&mut Step, &mut Open) {
        let open = self.open.get_mut(&self.current).expect("it was begun");
        (&mut self.record.steps[open.at], open)
    }

    fn process(&mut self, node: &str, time: f64) -> &mut Process {
        self.step(time);
        let position = self.position(node);
        &mut self.parts().0.processes[position]
    }

    fn position(&mut self, node: &str) -> usize {
        let (step, open) = self.parts();
        if let Some(position) = open.index.get(node) {
            return *position;
        }
        step.processes.push(Process { node: node.to_owned(), ..Process::default() });
        open.index.insert(node.to_owned(), step.processes.len() - 1);
        step.processes.len() - 1
    }

    fn skip(&mut self, line: usize, reason: String) {
        self.record.skipped.get_or_insert(Skipped { line, reason, count: 0 }).count += 1;
    }

    fn finish(mut self) -> Result<Record, ReadError> {
        for open in self.open.values() {
            trim(&mut self.record.steps[open.at], open.bound);
        }
        match self.record.skipped {
            Some(skipped) if self.record.steps.is_empty() => Err(NotARecord(skipped).into()),
            _ => Ok(self.record),
        }
    }
}

/// Makes what was kept of the outputs what is to be kept.
fn trim(step: &mut Step, bound: usize) {
    step.processes.iter_mut().for_each(|process| process.said.trim(bound));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use phalanx_process::result::{ResultClass, ResultKind};
    use std::time::{Duration, UNIX_EPOCH};

    fn lines(events: &[Event<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (event, second) in events.iter().zip(0..) {
            event.write(UNIX_EPOCH + Duration::from_secs(1_795_242_091 + second), &mut bytes);
        }
        bytes
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn run(hosts: &[String]) -> Event<'_> {
        Event::Run { command: "uptime", hosts, worker: "ssh", fanout: 64, phalanx: "0.1.0" }
    }

    fn ended(node: &str, code: i32) -> Event<'_> {
        Event::Ended {
            node,
            ok: code == 0,
            result: if code == 0 { ResultKind::Ok } else { ResultKind::Exit },
            exit_code: Some(code),
            signal: None,
            forced_kill: false,
            leaked: false,
            duration: Some(1.5),
            message: format!("exited with exit code {code}"),
        }
    }

    fn summary() -> Event<'static> {
        Event::Summary { total: 2, ok: 1, failed: 1, exit_status: 1, results: std::collections::BTreeMap::new() }
    }

    fn record_of(bytes: &[u8]) -> Record {
        read("test", bytes).expect("it is a record")
    }

    #[test]
    fn what_is_written_is_read() {
        let hosts = names(&["n1", "n2"]);
        let bytes = lines(&[
            run(&hosts),
            Event::Started { node: "n1", pid: 7 },
            Event::output("n1", Stream::Stdout, b"one\n"),
            Event::output("n1", Stream::Stdout, b"two\n"),
            Event::output("n1", Stream::Stderr, b"\xff\0"),
            ended("n1", 0),
            Event::Started { node: "n2", pid: 8 },
            ended("n2", 3),
            summary(),
        ]);
        let record = record_of(&bytes);
        let [step] = &record.steps[..] else { panic!("one step: {record:?}") };
        assert_eq!((step.name(), step.worker.as_deref(), step.exit_status), ("uptime", Some("ssh"), Some(1)));
        let [n1, n2] = &step.processes[..] else { panic!("two processes: {step:?}") };
        assert_eq!((n1.class(), n2.class()), (Some(ResultClass::Ok), Some(ResultClass::Failed)));
        assert_eq!(
            (n1.said.of(Stream::Stdout), n1.said.of(Stream::Stderr)),
            (b"one\ntwo\n".to_vec(), b"\xff\0".to_vec())
        );
        assert_eq!(n2.end.as_ref().map(|end| (end.exit_code, end.duration)), Some((Some(3), Some(1.5))));
        assert_eq!(record.failed_hosts(), ["n2"]);
        assert_eq!((record.skipped, record.torn), (None, false));
    }

    /// Wherever a run is killed, what was written is read, and nobody is taken for ended who is not.
    #[test]
    fn a_record_may_end_anywhere() {
        let hosts = names(&["n1", "n2"]);
        let events = [run(&hosts), Event::Started { node: "n1", pid: 7 }, ended("n1", 0), summary()];
        let bytes = lines(&events);
        for length in 0..=bytes.len() {
            let record = record_of(&bytes[..length]);
            let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
            let begun = bytes[..length].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            // All of a line but its newline is as good as the line.
            let known = whole + usize::from(serde_json::from_slice::<serde_json::Value>(begun).is_ok());
            assert_eq!(record.skipped, None);
            assert_eq!(record.steps.len(), usize::from(known > 0), "{length} bytes");
            let Some(step) = record.steps.first() else { continue };
            assert_eq!(step.processes.len(), 2, "hosts are known from the start");
            assert_eq!(step.processes[0].is_ok(), known >= 3, "{length} bytes");
            assert_eq!(step.exit_status.is_some(), known == 4);
            let failed: &[&str] = if known >= 3 { &["n2"] } else { &["n1", "n2"] };
            assert_eq!(record.failed_hosts(), failed);
        }
    }

    #[test]
    fn damaged_lines_cost_only_themselves() {
        let hosts = names(&["n1", "n2"]);
        let good = lines(&[run(&hosts), ended("n1", 0), ended("n2", 0)]);
        let mut good = good.split_inclusive(|byte| *byte == b'\n');
        let mut next = || good.next().expect("there are three lines").to_vec();
        let damaged: [&[u8]; 11] = [
            b"not json\n",
            b"\xff\xfe\n",
            b"[]\n",
            b"{\"version\":2,\"time\":1,\"event\":\"ended\"}\n",
            b"{\"version\":1,\"time\":1e300,\"event\":\"ended\"}\n",
            b"{\"version\":1,\"time\":-1,\"event\":\"ended\"}\n",
            b"{\"version\":1,\"time\":1,\"event\":\"ended\"}\n",
            b"{\"version\":1,\"time\":1,\"event\":\"output\",\"node\":\"n1\",\"stream\":\"stdin\",\"text\":\"\"}\n",
            b"{\"version\":1,\"time\":1,\"event\":\"output\",\"node\":\"n1\",\"stream\":\"stdout\"}\n",
            b"{\"version\":1,\"time\":1,\"event\":\"output\",\"node\":\"n1\",\"stream\":\"stdout\",\"base64\":\"?\"}\n",
            b"{\"version\":1,\"ti\n",
        ];
        let fine: &[u8] = b"{\"version\":1,\"time\":1,\"event\":\"of tomorrow\"}\n\n";
        let bytes = [next(), damaged.concat(), next(), fine.to_vec(), next()].concat();
        let record = record_of(&bytes);
        let skipped = record.skipped.clone().expect("lines were skipped");
        assert_eq!((skipped.line, skipped.count), (2, damaged.len()));
        assert!(skipped.to_string().ends_with("; so are 10 more"), "{skipped}");
        assert!(record.steps[0].processes.iter().all(Process::is_ok));
    }

    #[test]
    fn what_is_no_record_is_said_to_be_none_and_an_empty_one_is_empty() {
        assert!(matches!(read("test", &b"root:x:0:0\nbin\n"[..]), Err(ReadError::NotARecord(_))));
        assert_eq!(record_of(b"").steps, []);
    }

    #[test]
    fn a_line_without_end_does_not_take_all_memory() {
        let hosts = names(&["n1"]);
        let mut bytes = lines(&[run(&hosts)]);
        bytes.resize(bytes.len() + LONGEST_LINE + 1000, b'x');
        bytes.push(b'\n');
        bytes.extend(lines(&[ended("n1", 0)]));
        let record = record_of(&bytes);
        assert_eq!(record.skipped.map(|skipped| skipped.line), Some(2));
        assert!(record.steps[0].processes[0].is_ok());
    }

    #[test]
    fn every_run_is_a_step_with_or_without_its_first_line() {
        let hosts = names(&["n1", "n2"]);
        let bytes = [
            lines(&[run(&hosts), ended("n1", 1), ended("n2", 1), summary()]),
            lines(&[ended("n1", 0), ended("n3", 1), summary()]),
            lines(&[run(&hosts[1..]), ended("n2", 0)]),
        ];
        let record = record_of(&bytes.concat());
        let steps: Vec<_> = record.steps.iter().map(|step| (step.command.is_some(), step.processes.len())).collect();
        assert_eq!(steps, [(true, 2), (false, 2), (true, 1)]);
        assert_eq!(record.failed_hosts(), ["n3"], "what came of a host last is what counts");
    }

    #[test]
    fn of_a_talkative_host_the_end_is_kept() {
        let hosts: Vec<String> = (0..100_000).map(|number| format!("n{number}")).collect();
        let chunk = [b'x'; 1000];
        let mut events = vec![run(&hosts)];
        events.extend((0..50).map(|_| Event::output("n1", Stream::Stdout, &chunk)));
        events.push(Event::output("n1", Stream::Stderr, b"the end"));
        let record = record_of(&lines(&events));
        let said = &record.steps[0].processes[1].said;
        assert_eq!((said.total, said.left_out()), (50_007, 50_007 - KEPT_OF_EACH.0 as u64));
        assert_eq!(said.of(Stream::Stderr), b"the end");
        assert_eq!(said.of(Stream::Stdout).len(), KEPT_OF_EACH.0 - 7);
    }
}
