//! A record as JUnit XML, as continuous integration servers read it: a suite for each step, a case for each host.
//!
//! There is no standard; this is what Jenkins and GitLab accept (<https://github.com/testmoapp/junitxml>). A command
//! that failed is a `failure`; trouble around it is an `error`, and so is an end that the record does not tell; who was
//! not started since the run was stopped is `skipped`. Written by hand: of an XML library only the escaping would be
//! used, and that is one function.

use std::fmt::Write as _;

use phalanx_process::duration::Fraction;
use phalanx_process::event::Stream;
use phalanx_process::result::{ResultClass, ResultKind};

use super::model::{Process, Record, Step, date as date_of};
use crate::date::{self, Zone};

/// The records as a JUnit XML document.
#[must_use]
pub fn to_junit(records: &[Record]) -> String {
    let steps = || records.iter().flat_map(|record| &record.steps);
    let all = Figures::of(steps().flat_map(|step| &step.processes));
    let time: f64 = steps().map(|step| step.last - step.begin).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut write = || {
        writeln!(xml, "<testsuites name=\"phalanx\" {} time=\"{time:.3}\">", all.attributes(false))?;
        steps().try_for_each(|step| write_suite(step, &mut xml))?;
        writeln!(xml, "</testsuites>")
    };
    write().expect("writing into a String cannot fail");
    xml
}

/// The counts of JUnit.
#[derive(Default)]
struct Figures {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Figures {
    fn of<'a>(processes: impl IntoIterator<Item = &'a Process>) -> Self {
        processes.into_iter().fold(Self::default(), |mut sum, process| {
            sum.tests += 1;
            match tag(process) {
                Some("failure") => sum.failures += 1,
                Some("error") => sum.errors += 1,
                Some(_) => sum.skipped += 1,
                None => {}
            }
            sum
        })
    }

    fn attributes(&self, skipped: bool) -> String {
        let Self { tests, failures, errors, .. } = self;
        let skipped = if skipped { format!(" skipped=\"{}\"", self.skipped) } else { String::new() };
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"{skipped}")
    }
}

/// The element that says what is wrong with a case.
fn tag(process: &Process) -> Option<&'static str> {
    match process.class() {
        Some(ResultClass::Ok) => None,
        Some(ResultClass::Failed) => Some("failure"),
        Some(ResultClass::Stopped) if process.kind() == Some(ResultKind::NotStarted) => Some("skipped"),
        Some(ResultClass::Infrastructure | ResultClass::Stopped) | None => Some("error"),
    }
}

fn write_suite(step: &Step, xml: &mut String) -> std::fmt::Result {
    let figures = Figures::of(&step.processes).attributes(true);
    let name = escaped(step.name());
    let time = step.last - step.begin;
    let begin = date::format(date_of(step.begin), Fraction::None, &Zone::utc()).replacen(' ', "T", 1);
    writeln!(xml, "  <testsuite name=\"{name}\" {figures} time=\"{time:.3}\" timestamp=\"{begin}\">")?;
    step.processes.iter().try_for_each(|process| write_case(process, &name, xml))?;
    writeln!(xml, "  </testsuite>")
}

fn write_case(process: &Process, suite: &str, xml: &mut String) -> std::fmt::Result {
    let (node, time) = (escaped(&process.node), process.duration().unwrap_or_default());
    writeln!(xml, "    <testcase name=\"{node}\" classname=\"{suite}\" time=\"{time:.3}\">")?;
    let message = escaped(&process.message());
    match tag(process) {
        None => {}
        Some("skipped") => writeln!(xml, "      <skipped message=\"{message}\"/>")?,
        Some(tag) => {
            let result = escaped(process.result());
            writeln!(xml, "      <{tag} type=\"{result}\" message=\"{message}\"/>")?;
        }
    }
    for (stream, tag) in [(Stream::Stdout, "system-out"), (Stream::Stderr, "system-err")] {
        let said = process.said.of(stream);
        if !said.is_empty() {
            writeln!(xml, "      <{tag}>{}</{tag}>", escaped(&readable(&said)))?;
        }
    }
    writeln!(xml, "    </testcase>")
}

/// Output as text, without what colours a terminal.
pub(super) fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains('\x1b') {
        return text.into_owned();
    }
    anstream::adapter::strip_str(&text).to_string()
}

/// For texts and for attributes in double quotes. XML 1.0 has no way to write most control characters (section 2.2);
/// they are replaced, and so is a lone carriage return, which a parser would turn into a newline, written as a
/// reference (section 2.11).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            '\n' | '\t' => escaped.push(char),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_is_well_formed() {
        let hostile = "]]><!--&\"'\0\x1b[31m\u{ffff}\r\n\t\u{1f600}";
        assert_eq!(escaped(hostile), "]]&gt;&lt;!--&amp;&quot;'\u{fffd}\u{fffd}[31m\u{fffd}&#13;\n\t\u{1f600}");
    }

    #[test]
    fn colours_are_left_out_of_texts() {
        assert_eq!(readable(b"\x1b[1;31mred\x1b[0m \xff"), "red \u{fffd}");
    }
}
