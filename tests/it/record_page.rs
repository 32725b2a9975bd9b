//! The page of `phalanx report --format html`, in a real browser.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use phalanx_tests::Browser;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::phalanx::Phalanx;

/// A page made of a record.
struct Page {
    directory: TempDir,
    browser: Browser,
}

impl Page {
    fn of(events: &[Value]) -> Option<Page> {
        let page =
            Page { browser: Browser::require()?, directory: tempfile::tempdir().expect("a directory can be made") };
        let mut text = String::new();
        for (event, number) in events.iter().zip(0..) {
            let mut event = event.clone();
            event["version"] = 1.into();
            event["time"] = (1_795_242_091.0 + f64::from(number) / 100.0).into();
            writeln!(text, "{event}").expect("writing into a String cannot fail");
        }
        let record = page.directory.path().join("record");
        fs::write(&record, text).expect("it is ours");
        let ran = Phalanx::report(&["-o"]).args([page.path(), record]).output();
        assert_eq!((ran.status(), ran.stderr().as_str()), (Some(0), ""));
        Some(page)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("page.html")
    }

    /// What is in the body when the script has run, without the data and the script.
    fn at(&self, fragment: &str) -> String {
        let dom = self.browser.dom(&self.path(), fragment);
        assert!(dom.contains(" data-opened="), "the script came to its end: {dom}");
        let data = dom.find("<noscript>").expect("the page ends with it");
        dom[..data].to_owned()
    }
}

fn run(hosts: &[String]) -> Value {
    json!({"event": "run", "command": "check the disk", "hosts": hosts, "worker": "ssh"})
}

/// Three events of every host: the 13th of every hundred fails.
fn life(node: &str, number: usize) -> [Value; 3] {
    let (ok, code) = if number % 100 == 13 { (false, 3) } else { (true, 0) };
    let result = if ok { "ok" } else { "exit" };
    [
        json!({"event": "started", "node": node, "pid": 1}),
        json!({"event": "output", "node": node, "stream": "stderr", "text": format!("disk of {node} looked at\n")}),
        json!({"event": "ended", "node": node, "ok": ok, "result": result, "exit_code": code, "duration": 0.5,
            "message": format!("exited with exit code {code}")}),
    ]
}

fn events(count: usize) -> Vec<Value> {
    let hosts: Vec<String> = (1..=count).map(|number| format!("node{number}")).collect();
    let lives = hosts.iter().zip(1..).flat_map(|(node, number)| life(node, number));
    [run(&hosts)].into_iter().chain(lives).collect()
}

/// The names in the rows that were made.
fn nodes(dom: &str) -> Vec<&str> {
    let cells = dom.split("<span class=\"node\">").skip(1);
    cells.map(|cell| cell.split('<').next().unwrap_or_default()).collect()
}

#[test]
fn the_page_shows_hosts_finds_them_and_tells_what_they_said() {
    let Some(page) = Page::of(&events(30)) else { return };
    let all = page.at("");
    assert!(all.contains(" data-shown=\"30\"") && nodes(&all)[..3] == ["node1", "node2", "node3"], "{all}");
    assert!(all.contains("<h1 title=\"check the disk\">check the disk</h1>"), "{all}");
    let found = page.at("q=node13");
    assert_eq!(nodes(&found), ["node13"]);
    assert!(found.contains("class=\"row failed\""), "{found}");
    assert_eq!(nodes(&page.at("q=disk+of+NODE13")), ["node13"], "what they said is searched too");
    assert_eq!(nodes(&page.at("result=exit")), ["node13"]);
    assert_eq!(nodes(&page.at("sort=result"))[..2], ["node13", "node1"]);
    let opened = page.at("host=node13");
    assert!(opened.contains("<h2>node13</h2>"), "{opened}");
    assert!(opened.contains("<span class=\"e\">disk of node13 looked at\n</span>"), "{opened}");
    assert!(page.at("q=nobody").contains("<p id=\"nobody\">No host is like that.</p>"));
}

#[test]
fn steps_have_headings_and_can_be_seen_alone() {
    let mut events = events(3);
    events.push(json!({"event": "summary", "exit_status": 0}));
    events.push(json!({"event": "run", "command": "mend the disk", "hosts": ["node9"]}));
    let Some(page) = Page::of(&events) else { return };
    let both = nodes(&page.at("")).join(",");
    assert_eq!(both, "1. check the disk  ·  3 hosts,node1,node2,node3,2. mend the disk  ·  1 host,node9");
    let second = page.at("step=2");
    assert_eq!(nodes(&second).last(), Some(&"node9"));
    assert!(second.contains(" data-shown=\"1\"") && second.contains("class=\"row unfinished\""), "{second}");
}

#[test]
fn nothing_from_a_record_is_executed() {
    let attempt = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    let hosts = [attempt.to_owned()];
    let mut events = vec![run(&hosts)];
    events.extend(life(attempt, 13));
    events[0]["command"] = attempt.into();
    events[3]["message"] = attempt.into();
    events[3]["result"] = attempt.into();
    let Some(page) = Page::of(&events) else { return };
    let fragment = "host=%3C/script%3E%3Cscript%3Edocument.title='owned'%3C/script%3E\
                    %3Cimg%20src=x%20onerror=%22document.title='owned'%22%3E&q=img";
    let dom = page.at(fragment);
    assert!(dom.contains("<h2>&lt;/script&gt;&lt;script&gt;document.title='owned'"), "it is shown as it is: {dom}");
    assert!(!dom.contains("<img") && !dom.contains("<title>owned"), "{dom}");
    assert_eq!(dom.matches("<script").count(), 0, "{dom}");
}

#[test]
fn of_ten_thousand_hosts_only_the_rows_that_can_be_seen_are_made() {
    let Some(page) = Page::of(&events(10_000)) else { return };
    let dom = page.at("result=exit");
    assert!(dom.contains(" data-shown=\"100\""), "{}", dom.len());
    let dom = page.at("");
    assert!(dom.contains(" data-shown=\"10000\""), "{}", dom.len());
    assert!((10..200).contains(&nodes(&dom).len()), "{} rows", nodes(&dom).len());
}
