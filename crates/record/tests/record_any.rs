//! A record may hold anything: it comes from a disk that was full, from a run that was killed, from somebody else.

use std::time::{Duration, UNIX_EPOCH};

use phalanx_process::event::Stream;
use phalanx_process::result::ResultKind;
use phalanx_record::date::Zone;
use phalanx_record::event::Event;
use phalanx_record::report::Layout;
use phalanx_record::{Record, Totals, read, to_html, to_json, to_junit, to_text};
use proptest::prelude::*;

/// A small whole record of one run.
fn whole() -> Vec<u8> {
    let hosts = ["n1".to_owned(), "n2".to_owned()];
    let ended = |node| Event::Ended {
        node,
        ok: false,
        result: ResultKind::Signal,
        exit_code: None,
        signal: Some("SIGKILL".to_owned()),
        forced_kill: true,
        leaked: false,
        duration: Some(0.25),
        message: "killed by SIGKILL".to_owned(),
    };
    let results = std::collections::BTreeMap::new();
    let events = [
        Event::Run { command: "sleep 1", hosts: &hosts, worker: "exec", fanout: 2, phalanx: "0.1.0" },
        Event::Started { node: "n1", pid: 1 },
        Event::output("n1", Stream::Stdout, b"<text>\n"),
        Event::output("n1", Stream::Stderr, b"\xff\x1b[31m"),
        ended("n1"),
        ended("n2"),
        Event::Summary { total: 2, ok: 0, failed: 2, exit_status: 1, results },
    ];
    let mut bytes = Vec::new();
    events.iter().for_each(|event| event.write(UNIX_EPOCH + Duration::from_secs(1_795_242_091), &mut bytes));
    bytes
}

fn render(records: &[Record]) {
    let zone = Zone::utc();
    assert!(to_text(records, Layout::Wide, &zone).contains("\nReport "));
    assert!(to_junit(records).ends_with("</testsuites>\n"));
    assert_eq!(to_html(records, &zone).matches("<script").count(), 3, "the data, the outputs and the script");
    let json: serde_json::Value = serde_json::from_str(&to_json(records)).expect("a report is JSON");
    let processes = records.iter().flat_map(|record| &record.steps).flat_map(|step| &step.processes);
    assert_eq!(json["total"], Totals::of(processes).total);
}

proptest! {
    /// Bytes are overwritten anywhere: whatever becomes of the numbers and texts, it is read and rendered.
    #[test]
    fn a_damaged_record_is_read_and_rendered(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let mut bytes = whole();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(record) = read("any", &bytes[..]) {
            render(&[record]);
        }
    }

    /// Numbers at the edge of what JSON can say.
    #[test]
    fn extreme_times_are_read_and_rendered(time in any::<f64>(), duration in any::<f64>(), code in any::<i64>()) {
        let line = format!(
            "{{\"version\":1,\"time\":{time:?},\"event\":\"ended\",\"node\":\"n\",\"ok\":true,\"result\":\"ok\",\"exit_code\":{code},\"duration\":{duration:?}}}\n"
        );
        let bytes = [whole(), line.into_bytes()].concat();
        render(&[read("any", &bytes[..]).expect("it begins as a record")]);
    }

    /// Whole lines of something else, anywhere, cost no line of the record.
    #[test]
    fn nothing_readable_is_lost(noise in prop::collection::vec((any::<prop::sample::Index>(), "[^\n]{0,40}"), 0..6)) {
        let bytes = whole();
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        for (at, text) in noise {
            let at = at.index(lines.len() + 1);
            lines.insert(at, format!("{text}\n").into_bytes());
        }
        let expected = read("any", &bytes[..]).expect("it is a record");
        let record = read("any", &lines.concat()[..]).expect("there are events in it");
        prop_assert_eq!(record.steps, expected.steps);
    }
}
