//! A record as one page: a timeline of steps and hosts that a browser shows from the file alone.
//!
//! # Trust
//!
//! Host names, commands and output may come from anybody, and the page must not obey them:
//!
//! 1. They are data: JSON in elements that are not executed, in which `<` is written `\u003c`, so that nothing can end
//!    the element (HTML Living Standard, 4.12.1.3 "Restrictions for contents of script elements").
//! 2. The script puts them into the page as text only, never as HTML.
//! 3. A content security policy allows the page's own script and style by their hashes, and nothing else: no other
//!    script, no request to anywhere.
//!
//! # Size
//!
//! The rows that can be seen are made when they can be seen, and what a host said is parsed when it is looked at. So
//! ten thousand hosts cost the browser little more than ten.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phalanx_process::event::Stream;
use phalanx_process::result::ResultClass;
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};
use sha2::{Digest as _, Sha256};

use super::junit::readable;
use super::model::{Process, Record, Said, Step};
use super::text::to_text;
use crate::date::Zone;
use crate::report::Layout;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
const BODY: &str = include_str!("html/body.html");

/// The records as one HTML page, which refers to nothing outside itself. Without JavaScript it shows the text for
/// people, with dates in `zone`.
#[must_use]
pub fn to_html(records: &[Record], zone: &Zone) -> String {
    let data = Data::of(records);
    let title = escaped(&title(records));
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    let mut page = String::new();
    let written = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{BODY}\
         <noscript><pre>{}</pre></noscript>\n\
         <script type=\"application/json\" id=\"data\">{}</script>\n\
         <script type=\"application/json\" id=\"outputs\">",
        escaped(&to_text(records, Layout::Narrow, zone)),
        embedded(&data),
    );
    written.expect("writing into a String cannot fail");
    for process in processes(records) {
        if process.said.total > 0 {
            page.push_str(&embedded(&Output(&process.said)));
        }
        page.push('\n');
    }
    page.push_str("</script>\n<script>");
    page.push_str(SCRIPT);
    page.push_str("</script>\n</body>\n</html>\n");
    page
}

fn title(records: &[Record]) -> String {
    let mut names = records.iter().flat_map(|record| &record.steps).map(Step::name);
    let first: String = names.next().unwrap_or("an empty record").chars().take(80).collect();
    match names.count() {
        0 => format!("{first} · phalanx"),
        more => format!("{first} and {more} more · phalanx"),
    }
}

/// What the page's script gets.
#[derive(Serialize)]
struct Data<'a> {
    steps: Vec<StepData<'a>>,
    /// Every result with its class.
    results: Vec<(&'a str, &'static str)>,
    messages: Vec<std::borrow::Cow<'a, str>>,
    hosts: Vec<HostData<'a>>,
}

/// Times are in seconds since 1970.
#[derive(Serialize)]
struct StepData<'a> {
    command: &'a str,
    file: &'a str,
    worker: Option<&'a str>,
    begin: f64,
    end: f64,
    exit: Option<u8>,
}

/// An array and not an object, which would repeat its keys ten thousand times: the step, the name, the index of the
/// result and of the message, begin, end and duration in milliseconds from the begin of the step, how many bytes it
/// said and how many of them are left out.
#[derive(Serialize)]
struct HostData<'a>(usize, &'a str, usize, usize, Option<i64>, Option<i64>, Option<i64>, u64, u64);

impl<'a> Data<'a> {
    fn of(records: &'a [Record]) -> Self {
        let (mut results, mut messages) = (Index::default(), Index::default());
        let (mut steps, mut hosts) = (Vec::new(), Vec::new());
        for (record, step) in records.iter().flat_map(|record| record.steps.iter().map(move |step| (record, step))) {
            let relative = |time: f64| milliseconds(time - step.begin);
            for process in &step.processes {
                hosts.push(HostData(
                    steps.len(),
                    &process.node,
                    results.position((process.result(), class(process))),
                    messages.position(process.message()),
                    process.begin().map(relative),
                    process.end.as_ref().map(|end| relative(end.time)),
                    process.duration().map(milliseconds),
                    process.said.total,
                    process.said.left_out(),
                ));
            }
            steps.push(StepData {
                command: step.name(),
                file: &record.source,
                worker: step.worker.as_deref(),
                begin: step.begin,
                end: step.last,
                exit: step.exit_status,
            });
        }
        Self { steps, results: results.values, messages: messages.values, hosts }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and the reader bounds times")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3).round() as i64
}

fn class(process: &Process) -> &'static str {
    match process.class() {
        Some(ResultClass::Ok) => "ok",
        Some(ResultClass::Failed) => "failed",
        Some(ResultClass::Infrastructure) => "broken",
        Some(ResultClass::Stopped) => "stopped",
        None => "unfinished",
    }
}

/// Values, each once, by their positions.
struct Index<T> {
    values: Vec<T>,
    positions: HashMap<T, usize>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { values: Vec::new(), positions: HashMap::new() }
    }
}

impl<T: Eq + std::hash::Hash + Clone> Index<T> {
    fn position(&mut self, value: T) -> usize {
        let next = self.values.len();
        let position = *self.positions.entry(value.clone()).or_insert(next);
        if position == next {
            self.values.push(value);
        }
        position
    }
}

/// `["o", text of stdout, "e", text of stderr, …]`.
struct Output<'a>(&'a Said);

impl Serialize for Output<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(2 * self.0.pieces.len()))?;
        for piece in &self.0.pieces {
            array.serialize_element(if piece.stream == Stream::Stdout { "o" } else { "e" })?;
            array.serialize_element(&readable(&piece.bytes))?;
        }
        array.end()
    }
}

fn processes(records: &[Record]) -> impl Iterator<Item = &Process> {
    records.iter().flat_map(|record| &record.steps).flat_map(|step| &step.processes)
}

/// JSON that can stand in a script element: outside of strings JSON has no `<`, and inside it may be written so.
fn embedded(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("strings and numbers can be written into memory");
    json.replace('<', "\\u003c")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As a content security policy names what it allows.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that came from a record, in all places where it can stand.
    fn hostile(text: &str) -> String {
        let mut said = Said::default();
        said.push(Stream::Stdout, text.as_bytes(), 1 << 20);
        let process = Process { node: text.to_owned(), said, ..Process::default() };
        let step = Step { command: Some(text.to_owned()), processes: vec![process], ..Step::default() };
        to_html(&[Record { source: text.to_owned(), steps: vec![step], ..Record::default() }], &Zone::utc())
    }

    #[test]
    fn nothing_from_a_record_is_taken_for_a_part_of_the_page() {
        let (plain, attempt) = (hostile("x"), hostile("</script></noscript><!--<script>alert('\"x&lt;')</script>"));
        let tags = |page: &str| page.matches('<').count();
        assert_eq!(tags(&plain), tags(&attempt), "no tag was added");
    }

    #[test]
    fn a_line_of_output_is_one_line_of_the_page() {
        let page = hostile("one\ntwo\r\n\u{2028}\0");
        assert!(page.contains("[\"o\",\"one\\ntwo\\r\\n\u{2028}\\u0000\"]\n</script>"), "{page}");
    }

    #[test]
    fn pieces_keep_their_streams() {
        let mut said = Said::default();
        said.push(Stream::Stdout, b"a\n", 1 << 20);
        said.push(Stream::Stderr, b"\xff", 1 << 20);
        assert_eq!(embedded(&Output(&said)), "[\"o\",\"a\\n\",\"e\",\"\u{fffd}\"]");
    }

    #[test]
    fn the_page_refers_to_nothing_outside() {
        for forbidden in ["http:", "https:", "src=", "href=", "url(", "@import", "innerHTML", "eval("] {
            assert!(![STYLE, SCRIPT, BODY].concat().contains(forbidden), "{forbidden}");
        }
    }
}
