//! The schema of events, as they are written: one JSON object per line, for `--json` and for records.
//!
//! Documented in `docs/json.md`; the version counts up when a field changes its meaning or goes, new fields may come at
//! any time. How events are read again is in the reader next door, which forgives more than is written here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phalanx_process::event::Stream;
use phalanx_process::outcome::Outcome;
use phalanx_process::result::{HostResult, ResultKind};
use serde::{Serialize, Serializer};

/// The version of the schema.
pub const VERSION: u32 = 1;

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event<'a> {
    /// The first object of a record: a command is about to be run on these hosts.
    Run {
        /// The command, as it was given, before anything is substituted.
        command: &'a str,
        /// The hosts, in order.
        hosts: &'a [String],
        /// How it gets there: `ssh` or `exec`; or `files`, which are no command.
        worker: &'a str,
        /// How many work at once.
        fanout: usize,
        /// The version of the program.
        phalanx: &'a str,
    },
    /// A step of a plan begins; what is in it follows with the same number. Instead of [`Event::Run`], in a plan.
    Step {
        /// What it is called, with the blocks it is in: `measurement / traffic`.
        name: &'a str,
        /// The command, as the plan has it.
        command: &'a str,
        /// The hosts, or what its processes here are called, in order.
        hosts: &'a [String],
        /// How it gets there: `ssh` or `exec`.
        worker: &'a str,
        /// The version of the program.
        phalanx: &'a str,
    },
    /// A step of a plan was not run.
    Skipped {
        /// What it is called, with the blocks it is in.
        name: &'a str,
        /// Why not.
        message: &'a str,
    },
    /// A process was started.
    Started {
        /// The host.
        node: &'a str,
        /// The local process: that of ssh, for remote commands.
        pid: u32,
    },
    /// It said something.
    Output {
        /// The host.
        node: &'a str,
        /// `stdout` or `stderr`.
        stream: &'static str,
        /// What.
        #[serde(flatten)]
        data: Data<'a>,
    },
    /// Files have got so far, of all hosts together.
    Progress {
        /// Bytes of them.
        bytes: u64,
        /// Files of which all bytes were transferred.
        files: u64,
        /// How many bytes there are, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        /// How many files there are, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_files: Option<u64>,
    },
    /// It has failed, and will be tried again.
    Retry {
        /// The host.
        node: &'a str,
        /// What became of this attempt.
        #[serde(serialize_with = "write_word")]
        result: ResultKind,
        /// A sentence for people.
        message: String,
        /// How often it has been tried so far.
        attempt: u32,
        /// How often it is tried at most.
        attempts: u32,
        /// In how many seconds.
        pause: f64,
    },
    /// It is over.
    Ended {
        /// The host.
        node: &'a str,
        /// Whether all is well.
        ok: bool,
        /// What became of it.
        #[serde(serialize_with = "write_word")]
        result: ResultKind,
        /// The exit code, if it exited.
        exit_code: Option<i32>,
        /// The signal that ended it, by name.
        signal: Option<String>,
        /// It did not go when asked, and was killed.
        forced_kill: bool,
        /// It left something running that kept its streams open.
        leaked: bool,
        /// How long it ran, in seconds.
        duration: Option<f64>,
        /// A sentence for people.
        message: String,
    },
    /// The run is over.
    Summary {
        /// How many hosts.
        total: usize,
        /// How many are ok.
        ok: usize,
        /// How many are not.
        failed: usize,
        /// The exit status of the run.
        exit_status: u8,
        /// The hosts by what became of them, in a word.
        results: BTreeMap<&'a str, Hosts>,
    },
}

/// Output: text where it is UTF-8, else base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Data<'a> {
    /// As it is.
    Text(Cow<'a, str>),
    /// By RFC 4648, section 4.
    Base64(String),
}

/// Some hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hosts {
    /// How many.
    pub count: usize,
    /// Their folded names.
    pub nodes: String,
}

#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

fn write_word<S: Serializer>(kind: &ResultKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.word())
}

impl<'a> Event<'a> {
    /// What `node` said on `stream`.
    #[must_use]
    pub fn output(node: &'a str, stream: Stream, bytes: &'a [u8]) -> Self {
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let data = match std::str::from_utf8(bytes) {
            Ok(text) => Data::Text(Cow::Borrowed(text)),
            Err(_) => Data::Base64(STANDARD.encode(bytes)),
        };
        Self::Output { node, stream, data }
    }

    /// Returns the event that the process of `node` has ended, or will not be started if `outcome` is none.
    #[must_use]
    pub fn ended(node: &'a str, result: &HostResult, outcome: Option<&Outcome>) -> Self {
        Self::Ended {
            node,
            ok: result.is_ok(),
            result: result.kind(),
            exit_code: result.exit_code(),
            signal: result.signal().map(|signal| signal.to_string()),
            forced_kill: outcome.is_some_and(|outcome| outcome.forced_kill),
            leaked: outcome.is_some_and(|outcome| outcome.leaked),
            duration: outcome.and_then(Outcome::duration).map(|duration| duration.as_secs_f64()),
            message: result.sentence(),
        }
    }

    /// Appends the event to `to` as one line.
    pub fn write(&self, time: SystemTime, to: &mut Vec<u8>) {
        self.write_of(None, time, to);
    }

    /// As [`Event::write`], of the step of a plan with this number.
    pub fn write_of(&self, step: Option<usize>, time: SystemTime, to: &mut Vec<u8>) {
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let object = Object { version: VERSION, time, step, event: self };
        serde_json::to_writer(&mut *to, &object).expect("an object of strings and numbers can be written into memory");
        to.push(b'\n');
    }
}
