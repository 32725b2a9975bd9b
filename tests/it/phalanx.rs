//! Runs the program as a user does, and looks at what it printed, what it left behind, and its exit status.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use phalanx_tests::{Fleet, Namespaces, phalanx, wait_until};
use serde_json::Value;

/// The variable by which everything that a run started can be found again, whatever group or session it moved to.
const MARK: &str = "PHALANX_TEST_MARK";

/// A run to be.
pub(crate) struct Phalanx {
    command: Command,
    mark: String,
}

impl Phalanx {
    /// `phalanx run` with these arguments.
    pub(crate) fn run(arguments: &[&str]) -> Self {
        Self::from_command(Command::new(phalanx())).args(["run"]).args(arguments)
    }

    /// `phalanx run -R exec` with these.
    pub(crate) fn exec(arguments: &[&str]) -> Self {
        Self::run(&["-R", "exec"]).args(arguments)
    }

    /// `phalanx run` on the hosts of the fleet.
    pub(crate) fn ssh(fleet: &Fleet, arguments: &[&str]) -> Self {
        Self::run(&["-F"]).args([fleet.ssh_config()]).args(arguments)
    }

    /// `phalanx report` with these.
    pub(crate) fn report(arguments: &[&str]) -> Self {
        Self::verb("report", arguments)
    }

    /// `phalanx forward`, `phalanx serial` and their like, with these arguments.
    pub(crate) fn verb(verb: &str, arguments: &[&str]) -> Self {
        Self::from_command(Command::new(phalanx())).args([verb]).args(arguments)
    }

    /// A shell line in which `$PHALANX` is the program.
    pub(crate) fn shell(line: &str) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", line]).env("PHALANX", phalanx());
        Self::from_command(command)
    }

    /// `phalanx put` on hosts that have addresses of their own, from beside them.
    pub(crate) fn chain(namespaces: &Namespaces, arguments: &[&str]) -> Self {
        let phalanx = Self::from_command(namespaces.here(phalanx())).args(["put", "--chain", "--ssh"]);
        phalanx.args([namespaces.connector()]).args(arguments)
    }

    fn from_command(mut command: Command) -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // The configuration of whoever runs the tests is no business of theirs.
        command
            .env(MARK, &mark)
            .env_remove("RUST_LOG")
            .env_remove("WCOLL")
            .env("PHALANX_CONFIG", "/dev/null")
            .stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, mark }
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in this directory.
    pub(crate) fn directory(mut self, path: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(path);
        self
    }

    /// To the end.
    pub(crate) fn output(mut self) -> Ran {
        let output = self.command.output().expect("the program can be started");
        Ran { output, mark: self.mark }
    }

    /// Under way.
    #[expect(clippy::disallowed_methods, reason = "the program under test is an ordinary child of the test")]
    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("the program can be started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Running { child, stdout, mark: self.mark }
    }
}

/// A run that has ended.
pub(crate) struct Ran {
    output: Output,
    mark: String,
}

impl Ran {
    pub(crate) fn status(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).expect("these tests print text")
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).expect("these tests print text")
    }

    /// The events of `--json`.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout().lines().map(|line| serde_json::from_str(line).expect("every line is an object")).collect()
    }

    /// The `result` of every node.
    pub(crate) fn results(&self) -> BTreeMap<String, String> {
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let events = self.events();
        let ended = events.iter().filter(|event| event["event"] == "ended");
        ended.map(|event| (text(event, "node"), text(event, "result"))).collect()
    }

    /// The last event of `--json`.
    pub(crate) fn summary(&self) -> Value {
        self.events().pop().filter(|event| event["event"] == "summary").expect("the last event is the summary")
    }

    pub(crate) fn assert_nothing_left(&self) {
        assert_nothing_left(&self.mark);
    }
}

/// A run under way.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    mark: String,
}

impl Running {
    /// Waits for the next line on its stdout; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).expect("these tests print text");
        (read > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// Waits for the next event of `--json` of this kind.
    pub(crate) fn event(&mut self, kind: &str) -> Value {
        loop {
            let line = self.line().expect("the event comes before the end");
            let event: Value = serde_json::from_str(&line).expect("every line is an object");
            if event["event"] == kind {
                return event;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, self.child.id());
    }

    /// Whether a thread of it waits for room in a pipe.
    pub(crate) fn is_blocked_in_a_write(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it lives");
        threads.flatten().any(|thread| {
            let waits = fs::read_to_string(thread.path().join("wchan")).unwrap_or_default();
            waits.contains("pipe_write")
        })
    }

    /// Whether nothing that it started lives, itself left aside.
    pub(crate) fn has_no_children(&self) -> bool {
        let own = format!("/proc/{} ", self.child.id());
        marked(&self.mark).iter().all(|process| process.starts_with(&own) || process.contains("(sh) S"))
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let mut stdout = Vec::new();
        std::io::Read::read_to_end(&mut self.stdout, &mut stdout).expect("a pipe can be read");
        let mut output = self.child.wait_with_output().expect("it can be waited for");
        output.stdout = stdout;
        Ran { output, mark: self.mark }
    }
}

/// Sends a signal with kill(1).
pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    assert!(status.expect("kill(1) is there").success(), "cannot send {signal} to {pid}");
}

/// Every living process that carries the mark, as `pid group session command`.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}\0");
    let processes = fs::read_dir("/proc").expect("Linux").flatten().map(|entry| entry.path());
    let carries = |path: &PathBuf| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    };
    let describe = |path: PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        let (state, group, session) = (fields.first()?, fields.get(2)?, fields.get(3)?);
        (*state != "Z").then(|| format!("{} group {group} session {session}: {stat}", path.display()))
    };
    processes.filter(carries).filter_map(describe).collect()
}

fn assert_nothing_left(mark: &str) {
    let mut left = Vec::new();
    // The kernel may take a moment between a SIGKILL and the end.
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until("nothing that the run started lives", || {
            left = marked(mark);
            left.is_empty()
        });
    }));
    assert!(gone.is_ok(), "these outlived the run:\n{}", left.join("\n"));
}
