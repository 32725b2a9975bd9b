//! What ClusterShell 1.10.1 answered, against what we answer. A failure names the id of its case.
//!
//! The cases were recorded with one fresh directory each, which is the working directory, `$HOME` and `$CLUSTERSHELL_CFGDIR`. Tags say how
//! a case is compared:
//! * `python-message`: the message is Python's own, so stdout and the exit status count;
//! * `nd-decomposition`: the boxes of a set of several axes are no contract, so it must be the same set, in no more boxes, and fold to itself;
//! * `upstream-bug`: what was recorded is a defect; [`RIGHT_ANSWERS`] says what is right.

use phalanx_nodeset::NodeSet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    prog: String,
    args: Vec<String>,
    stdin: Option<String>,
    stdout: String,
    stderr: String,
    rc: i32,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    unordered: Option<String>,
}

/// The last character of stdin is not lost when no newline follows it.
const RIGHT_ANSWERS: &[(&str, &str)] = &[("ns0370", "node12\n"), ("ns0372", "foo[1-3]\n")];

#[test]
fn every_recorded_case_of_node_sets_passes() {
    check_all(include_str!("cases/nodeset.json"));
}

#[test]
fn every_recorded_case_of_range_sets_passes() {
    check_all(include_str!("cases/rangeset.json"));
}

fn check_all(cases: &str) {
    let cases: Vec<Case> = serde_json::from_str(cases).expect("the cases are JSON");
    assert!(cases.len() > 200, "the cases are there");
    let failures: Vec<String> = cases.iter().filter_map(|case| case.failure()).collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

impl Case {
    fn failure(&self) -> Option<String> {
        let home = tempfile::tempdir().expect("a directory can be made");
        let output = self.run(home.path());
        let filled = |text: &str| text.replace("{D}", &home.path().to_string_lossy());
        let (stdout, stderr) = (text(&output.stdout), last_line_of_usage(&text(&output.stderr), self.rc));
        let status = output.status.code();
        let stdout_is_right = if self.has("upstream-bug") {
            RIGHT_ANSWERS.contains(&(self.id.as_str(), stdout.as_str())) && status == Some(0)
        } else if self.has("nd-decomposition") && self.args.iter().all(|word| word != "-e") {
            self.same_set_in_no_more_boxes(&stdout, &filled(&self.stdout))
        } else {
            stdout == filled(&self.stdout)
        };
        let free = self.has("upstream-bug");
        let stderr_is_right = free || self.has("python-message") || self.same_lines(&stderr, &filled(&self.stderr));
        if stdout_is_right && stderr_is_right && (free || status == Some(self.rc)) {
            return None;
        }
        Some(format!(
            "{}: {:?}\n   got {status:?} {stdout:?} {stderr:?}\n  want {} {:?} {:?}",
            self.id, self.args, self.rc, self.stdout, self.stderr
        ))
    }

    fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|known| known == tag)
    }

    fn run(&self, home: &Path) -> Output {
        for (name, content) in &self.files {
            let path = home.join(name);
            fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory can be made");
            fs::write(&path, content).expect("a file can be written");
            if content.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
            }
        }
        let here = home.to_string_lossy();
        let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx"));
        command
            .arg0(&self.prog)
            .args(self.args.iter().map(|word| word.replace("{D}", &here)))
            .current_dir(home)
            .env_clear();
        command.env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
        command.env("HOME", home).env("CLUSTERSHELL_CFGDIR", home).env("PHALANX_CLUSTERSHELL_ETC", home.join("none"));
        command.envs(self.env.iter().map(|(name, value)| (name, value.replace("{D}", &here))));
        let stdin = match &self.stdin {
            Some(text) => {
                let path = home.with_extension("stdin");
                fs::write(&path, text).expect("a file can be written");
                let file = fs::File::open(&path).expect("it can be read again");
                fs::remove_file(&path).expect("it can be removed");
                Stdio::from(file)
            }
            None => Stdio::null(),
        };
        command.stdin(stdin).output().expect("phalanx can be run")
    }

    fn same_lines(&self, got: &str, want: &str) -> bool {
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        if self.unordered.is_some() { sorted(got) == sorted(want) } else { got == want }
    }

    fn same_set_in_no_more_boxes(&self, got: &str, want: &str) -> bool {
        let set = |text: &str| -> NodeSet {
            text.lines()
                .map(|line| line.parse().expect(line))
                .fold(NodeSet::new(), |all: NodeSet, set: NodeSet| all.union(&set))
        };
        let boxes = |text: &str| text.lines().map(pieces).sum::<usize>();
        let folded_again = got.lines().all(|line| {
            let stepped = self.args.iter().any(|word| word.starts_with("--axis") || word.starts_with("--autostep"));
            stepped || !self.files.is_empty() || line.parse::<NodeSet>().expect(line).to_string() == line
        });
        set(got) == set(want)
            && boxes(got) <= boxes(want)
            && got.lines().count() == want.lines().count()
            && folded_again
    }
}

/// How many comma-separated parts are outside of brackets.
fn pieces(folded: &str) -> usize {
    let mut in_bracket = false;
    let mut count = usize::from(!folded.is_empty());
    for byte in folded.bytes() {
        match byte {
            b'[' => in_bracket = true,
            b']' => in_bracket = false,
            b',' if !in_bracket => count += 1,
            _ => {}
        }
    }
    count
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is UTF-8")
}

/// Of a usage error only the last line was recorded.
fn last_line_of_usage(stderr: &str, status: i32) -> String {
    match stderr.lines().last() {
        Some(last) if status == 2 => format!("{last}\n"),
        _ => stderr.to_owned(),
    }
}
