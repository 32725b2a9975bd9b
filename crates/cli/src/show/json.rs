//! `--json`: one object per event per line. The schema is documented in docs/json.md, and its version counts up when a
//! field changes its meaning or goes; new fields may come at any time.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phalanx_action::files::transfers::Progress;
use phalanx_nodeset::fold_names;
use phalanx_process::event::Stream;
use serde::Serialize;

use super::ShowError;
use super::partial::Partial;
use super::screen::Screen;
use crate::run::{Plan, Tally, Verdict};

/// The version of the schema.
const VERSION: u32 = 1;

/// Writes events.
#[derive(Debug)]
pub(crate) struct Json {
    partial: HashMap<(usize, Stream), Partial>,
}

#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    time: f64,
    #[serde(flatten)]
    event: Event<'a>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Started {
        node: &'a str,
        pid: u32,
    },
    Output {
        node: &'a str,
        stream: &'static str,
        #[serde(flatten)]
        data: Data<'a>,
    },
    Progress {
        bytes: u64,
        files: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_files: Option<u64>,
    },
    Ended {
        node: &'a str,
        ok: bool,
        result: &'static str,
        exit_code: Option<i32>,
        signal: Option<String>,
        duration: Option<f64>,
        message: String,
    },
    Summary {
        total: usize,
        ok: usize,
        failed: usize,
        exit_status: u8,
        results: BTreeMap<&'static str, Results>,
    },
}

/// Text where it is UTF-8, else base64.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Data<'a> {
    Text(&'a str),
    Base64(String),
}

#[derive(Serialize)]
struct Results {
    count: usize,
    nodes: String,
}

impl Json {
    pub(crate) fn new() -> Self {
        Self { partial: HashMap::new() }
    }

    pub(crate) fn started(&mut self, node: &str, pid: u32, screen: &mut Screen) -> Result<(), ShowError> {
        write(Event::Started { node, pid }, screen)
    }

    pub(crate) fn output(
        &mut self,
        host: usize,
        node: &str,
        stream: Stream,
        bytes: &[u8],
        screen: &mut Screen,
    ) -> Result<(), ShowError> {
        let partial = self.partial.entry((host, stream)).or_default();
        partial.feed(bytes, |lines| {
            lines.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| write(said(node, stream, line), screen))
        })
    }

    pub(crate) fn progress(
        &mut self,
        progress: Progress,
        total: Option<Progress>,
        screen: &mut Screen,
    ) -> Result<(), ShowError> {
        let (total_bytes, total_files) = (total.map(|total| total.bytes), total.map(|total| total.files));
        write(Event::Progress { bytes: progress.bytes, files: progress.files, total_bytes, total_files }, screen)
    }

    pub(crate) fn ended(
        &mut self,
        host: usize,
        node: &str,
        verdict: &Verdict,
        duration: Option<Duration>,
        screen: &mut Screen,
    ) -> Result<(), ShowError> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = self.partial.remove(&(host, stream)).map(|mut partial| partial.take()).unwrap_or_default();
            if !rest.is_empty() {
                write(said(node, stream, &rest), screen)?;
            }
        }
        write(end(node, verdict, duration), screen)
    }

    pub(crate) fn summary(
        &mut self,
        plan: &Plan,
        tally: &Tally,
        exit_status: u8,
        screen: &mut Screen,
    ) -> Result<(), ShowError> {
        // Who was never started has no end of its own in the stream yet.
        let mut results: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (host, verdict) in tally.verdicts() {
            if *verdict == Verdict::NotStarted {
                write(end(&plan.hosts[host], verdict, None), screen)?;
            }
            results.entry(verdict.word()).or_default().push(host);
        }
        let results = results.into_iter().map(|(word, hosts)| {
            let nodes = fold_names(hosts.iter().map(|host| &plan.hosts[*host]));
            (word, Results { count: hosts.len(), nodes })
        });
        let (total, failed) = (tally.total(), tally.failed());
        write(Event::Summary { total, ok: total - failed, failed, exit_status, results: results.collect() }, screen)
    }
}

fn end<'a>(node: &'a str, verdict: &Verdict, duration: Option<Duration>) -> Event<'a> {
    let signal = match verdict {
        Verdict::Signal(Some(number)) => phalanx_process::Signal::from_number(*number).map(|signal| signal.to_string()),
        _ => None,
    };
    Event::Ended {
        node,
        ok: verdict.is_ok(),
        result: verdict.word(),
        exit_code: verdict.exit_code(),
        signal,
        duration: duration.map(|duration| duration.as_secs_f64()),
        message: verdict.sentence(),
    }
}

fn said<'a>(node: &'a str, stream: Stream, bytes: &'a [u8]) -> Event<'a> {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let data = match std::str::from_utf8(bytes) {
        Ok(text) => Data::Text(text),
        Err(_) => Data::Base64(STANDARD.encode(bytes)),
    };
    Event::Output { node, stream, data }
}

fn write(event: Event<'_>, screen: &mut Screen) -> Result<(), ShowError> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let object = Object { version: VERSION, time, event };
    screen.write_stdout(|out| {
        serde_json::to_writer(&mut *out, &object).expect("an object of strings and numbers can be written into memory");
        out.push(b'\n');
    })
}
