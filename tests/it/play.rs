//! `phalanx play`: what steps do and what their failures lead to, shown with processes of this machine (`-R exec`).
//! Item 128 and 129 of the inventory of execo (parallel and sequential actions), checks G1 to G4 and C5.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::phalanx::{Phalanx, Ran};

/// A directory with a plan in it, in which it is played.
pub(crate) struct Stage(TempDir);

impl Stage {
    pub(crate) fn new(plan: &str) -> Self {
        let stage = Self(tempfile::tempdir().expect("a directory can be made"));
        stage.write("plan.toml", plan);
        stage
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("it is ours");
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `phalanx play -R exec plan.toml` with these arguments.
    pub(crate) fn play(&self, arguments: &[&str]) -> Phalanx {
        Phalanx::verb("play", &["-R", "exec", "plan.toml"]).args(arguments).directory(self.0.path())
    }
}

/// Plays a plan to its end.
fn played(plan: &str, arguments: &[&str]) -> Ran {
    let ran = Stage::new(plan).play(arguments).output();
    ran.assert_nothing_left();
    ran
}

fn lines(ran: &Ran) -> Vec<String> {
    let mut lines: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn steps_run_in_order_on_their_hosts_with_their_variables() {
    let plan = "[hosts]\npair = 'n[1-2]'\n[vars]\nlist = ['a', 'b', 'c']\none = 7\n\
                [[step]]\nrun = 'echo {{{host}}} {{list}} {{one}} {{rank}} {{pair}}'\non = ['pair', 'n9']\n\
                [[step]]\nlocal = 'echo here {{{{x}}'\n";
    let ran = played(plan, &[]);
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_eq!(lines(&ran), ["local: here {{x}}", "n1: n1 a 7 0 n1", "n2: n2 b 7 1 n2", "n9: n9 c 7 2 n1"]);
    let said = ran.stderr();
    assert!(said.contains("2 of 2 steps ok"), "{said}");
    let ran = played(plan, &["-q", "-N", "--set", "one=8", "--set", "list=x", "--set", "pair=m1"]);
    assert_eq!((lines(&ran).join(" "), ran.stderr()), ("here {{x}} m1 x 8 0 m1 n9 x 8 1 m1".into(), String::new()));
}

#[test]
fn an_exit_code_of_zero_that_is_not_a_fine_one_is_a_failure() {
    let ran = played("[[step]]\nname = 'grep'\nlocal = 'true'\nexit_codes = [1]\n", &["--json"]);
    assert_eq!(ran.status(), Some(1), "{}", ran.stderr());
    let events = ran.events();
    let ended = events.iter().find(|event| event["event"] == "ended").expect("it has ended");
    assert_eq!((&ended["ok"], &ended["result"], &ended["exit_code"]), (&false.into(), &"exit".into(), &0.into()));
}

/// G3: what a failure leads to is what the plan says, and what did not run is said.
#[test]
fn a_failure_stops_goes_on_or_is_ignored() {
    let plan = |policy: &str| {
        format!(
            "[[step]]\nname = 'first'\nlocal = 'exit 3'\n{policy}\n[[step]]\nname = 'second'\nlocal = 'echo second'\n"
        )
    };
    let ran = played(&plan(""), &[]);
    assert_eq!((ran.status(), ran.stdout()), (Some(1), String::new()));
    let said = ran.stderr();
    assert!(said.contains("first (line 1): local: exited with exit code 3"), "{said}");
    assert!(said.contains("second (line 5): not run, since `first` failed"), "{said}");
    assert!(said.contains("0 of 2 steps ok, 1 not ok, 1 not run"), "{said}");
    for (policy, status) in [("continue", 1), ("ignore", 0)] {
        let ran = played(&plan(&format!("on_failure = '{policy}'")), &[]);
        assert_eq!((ran.status(), ran.stdout()), (Some(status), "local: second\n".into()), "{policy}");
    }
    let ran = played(&plan("exit_codes = [0, 3]"), &["--json"]);
    assert_eq!(ran.status(), Some(0));
    let ended = ran.events().into_iter().find(|event| event["event"] == "ended").expect("the first ends");
    assert_eq!((&ended["ok"], &ended["exit_code"], &ended["step"]), (&true.into(), &3.into(), &1.into()));
    assert_eq!(played(&plan(""), &["-S"]).status(), Some(3));
}

#[test]
fn steps_of_a_parallel_block_need_each_other_and_end_each_other_if_they_shall() {
    // Each waits for the other: one after the other, they would wait for ever.
    let plan = "[[step]]\nparallel = [\n{ name = 'a', local = 'mkfifo p; echo hello > p', timeout = 60 },\n\
                { name = 'b', local = 'until test -p p; do sleep 0.02; done; cat p', timeout = 60 } ]\n";
    let ran = played(plan, &[]);
    assert_eq!((ran.status(), ran.stdout()), (Some(0), "local: hello\n".into()), "{}", ran.stderr());
    let plan = "[[step]]\nfail_fast = true\nparallel = [\n{ name = 'a', local = 'sleep 1000' },\n\
                { name = 'b', local = 'exit 1' } ]\n";
    let ran = played(plan, &[]);
    assert_eq!(ran.status(), Some(1));
    assert!(ran.stderr().contains("ended, since `parallel / b` failed"), "{}", ran.stderr());
}

#[test]
fn retries_and_limits_are_those_of_every_process() {
    let plan = "[[step]]\nname = 'flaky'\nrun = 'echo x >> {{{host}}}; test $(wc -l < {{{host}}}) -ge 3'\non = 'n[1-3]'\n\
                retries = 2\nretry_pause = 0.01\n";
    let ran = played(plan, &["--report"]);
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_eq!(ran.stderr().matches("that was attempt 2 of 3").count(), 3, "{}", ran.stderr());
    let ran = played(&plan.replace("retries = 2", "retries = 1"), &[]);
    assert_eq!(ran.status(), Some(1));
    assert!(ran.stderr().contains("flaky (line 1): n[1-3] (3): exited with exit code 1"), "{}", ran.stderr());
    let plan = "[[step]]\nname = 'slow'\nlocal = 'sleep 1000'\ntimeout = 0.2\n";
    let ran = played(plan, &["--json"]);
    assert_eq!((ran.status(), ran.results()["local"].as_str()), (Some(1), "timeout"));
    let plan = "[[step]]\nname = 'block'\ntimeout = 0.3\nsequence = [{ name = 'a', local = 'sleep 1000' }, { name = 'b', local = 'true' }]\n";
    let ran = played(plan, &[]);
    assert_eq!(ran.status(), Some(1));
    let said = ran.stderr();
    assert!(said.contains("block (line 1): took longer than 0.3 s (timeout)"), "{said}");
    assert!(said.contains("since the time of `block` was over"), "{said}");
}

#[test]
fn batches_and_the_most_failures_spare_the_rest() {
    let plan = "[[step]]\nname = 'roll'\nrun = 'echo {{{host}}} >> order; exit 1'\non = 'n[1-6]'\nbatches = [1, 2]\nmax_failures = 2\n";
    let stage = Stage::new(plan);
    let ran = stage.play(&[]).output();
    assert_eq!(ran.status(), Some(1));
    let order = stage.read("order");
    assert!(order.starts_with("n1\n") && order.lines().count() == 3, "{order}");
    let said = ran.stderr();
    assert!(said.contains("3 of 6 have failed, so 3 were not tried (max_failures)"), "{said}");
    assert!(said.contains("n[4-6] (3): not started"), "{said}");
}

#[test]
fn a_server_in_the_background_is_ready_first_and_ended_last() {
    let plan = "[[step]]\nname = 'server'\nlocal = 'trap \"echo tidied; exit 5\" TERM; echo up; while :; do sleep 0.05; done'\n\
                background = true\nready = '^up$'\n[[step]]\nname = 'client'\nlocal = 'echo client'\n";
    let ran = played(plan, &[]);
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_eq!(ran.stdout(), "local: up\nlocal: client\nlocal: tidied\n");
    // It says something else, in time or for ever; it ends.
    for (server, said) in [
        ("echo down; sleep 1000", "was not ready within 0.3 s: it did not say /^up$/"),
        ("echo down", "ended before it was ready: it did not say /^up$/"),
    ] {
        let plan = format!(
            "[[step]]\nname = 'server'\nlocal = '{server}'\nbackground = true\nready = '^up$'\nready_timeout = 0.3\n\
             [[step]]\nname = 'client'\nlocal = 'echo client'\n"
        );
        let ran = played(&plan, &["-v"]);
        assert_eq!((ran.status(), ran.stdout()), (Some(1), "local: down\n".into()));
        let text = ran.stderr();
        assert!(text.contains(said) && text.contains("client (line 7): not run, since `server` failed"), "{text}");
    }
}

/// G4: blocks in blocks. What is in a block in the background is ended with it, and that is no failure.
#[test]
fn a_block_in_the_background_is_ended_with_its_block() {
    let plan = "[[step]]\nname = 'outer'\n[[step.parallel]]\nname = 'monitor'\nbackground = true\n\
                [[step.parallel.sequence]]\nname = 'look'\nlocal = 'touch looked; sleep 1000'\n\
                [[step.parallel.sequence]]\nname = 'never'\nlocal = 'echo never'\n\
                [[step.parallel]]\nname = 'work'\nlocal = 'until test -e looked; do sleep 0.02; done; echo done'\n";
    let ran = played(plan, &["--json"]);
    assert_eq!(ran.status(), Some(0), "{}\n{}", ran.stderr(), ran.stdout());
    assert!(!ran.stdout().contains("\"ok\":false") && !ran.stdout().contains("echo never\n"), "{}", ran.stdout());
    assert!(ran.stdout().contains("not run, since its block in the background was ended"), "{}", ran.stdout());
}

#[test]
fn a_server_that_dies_ends_the_step_that_needs_it() {
    let plan = "[[step]]\nname = 'server'\nlocal = 'until test -e client; do sleep 0.02; done; exit 7'\nbackground = true\n\
                [[step]]\nname = 'client'\nlocal = 'touch client; sleep 1000'\n";
    let ran = played(plan, &[]);
    assert_eq!(ran.status(), Some(1));
    let said = ran.stderr();
    assert!(said.contains("server (line 1): local: exited with exit code 7"), "{said}");
    assert!(said.contains("client (line 5): ended, since `server` failed"), "{said}");
}

#[test]
fn a_dialogue_answers_is_refused_or_misses() {
    let plan = |script: &str, terminal: bool| {
        format!(
            "[vars]\npassword = 'secret'\n[[step]]\nname = 'talk'\nlocal = '{script}'\nterminal = {terminal}\nreply_timeout = 0.5\n\
             dialogue = [\n{{ expect = 'Password: ', send = '{{{{password}}}}' }},\n\
             {{ expect = 'sure', send = 'yes', whenever = true }},\n{{ expect = '^welcome' }},\n{{ refuse = 'denied' }} ]\n"
        )
    };
    let ask = "printf Password:\\ ; read p; echo sure?; read s; test $p$s = secretyes && echo welcome";
    for terminal in [true, false] {
        let ran = played(&plan(ask, terminal), &[]);
        assert_eq!(ran.status(), Some(0), "{terminal}: {}", ran.stderr());
        assert!(ran.stdout().contains("local: welcome"), "{}", ran.stdout());
    }
    let ran = played(&plan("printf Password:\\ ; read p; echo access denied; sleep 1000", false), &["--json"]);
    assert_eq!((ran.status(), ran.results()["local"].as_str()), (Some(1), "expect-failed"));
    assert!(ran.stdout().contains(r#"was refused: it said \"denied\""#), "{}", ran.stdout());
    for (script, said) in [("echo hello; sleep 1000", "the time was over"), ("echo hello", "the stream ended")] {
        let ran = played(&plan(script, false), &[]);
        assert_eq!(ran.status(), Some(1));
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
    }
}

/// A program that discards what was sent before its prompt, or right after it, is sent nothing before its time.
#[test]
fn a_line_of_a_dialogue_waits_for_its_delay() {
    let began = std::time::Instant::now();
    let ran = played(
        "[[step]]\nlocal = 'printf first:; read a; printf second:; read b; echo got $a $b'\n\
         dialogue = [ { send = 'one', delay = 0.2 }, { expect = 'second:', send = 'two', delay = 0.3 } ]\n",
        &[],
    );
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert!(ran.stdout().contains("got one two"), "{}", ran.stdout());
    assert!(began.elapsed() >= std::time::Duration::from_millis(500));
}

#[test]
fn output_goes_into_a_file_of_each_process() {
    let stage = Stage::new(
        "[[step]]\nlocal = 'echo out {{{host}}}; echo err >&2'\ncount = 3\noutput = 'said/{{rank}}/{{{host}}}.out'\nerrors = 'said/{{{host}}}.err'\n\
         [[step]]\nlocal = 'echo again'\noutput = 'again'\nshow = true\n",
    );
    let ran = stage.play(&["-q"]).output();
    assert_eq!((ran.status(), ran.stdout()), (Some(0), "local: again\n".into()), "{}", ran.stderr());
    assert_eq!(
        (stage.read("said/1/local-2.out"), stage.read("said/local-3.err")),
        ("out local-2\n".into(), "err\n".into())
    );
    // A full disk, and a place where nothing can be.
    for (file, said) in
        [("/dev/full", "its output is lost: cannot write `/dev/full`"), ("/proc/x/y", "cannot write its output")]
    {
        let ran = played(&format!("[[step]]\nlocal = 'echo hello'\noutput = '{file}'\n"), &[]);
        assert_eq!(ran.status(), Some(1));
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert!(!ran.stderr().contains("`false`"), "it names a program of nobody: {}", ran.stderr());
    }
}

#[test]
fn input_directories_and_copies_are_as_they_are_said() {
    let plan = "[vars]\nname = 'x'\n[[step]]\nlocal = 'mkdir -p sub; cat'\ninput = 'hello {{name}}'\n\
                [[step]]\nlocal = 'basename $PWD'\ndirectory = 'sub'\n[[step]]\nlocal = '-x'\non_failure = 'ignore'\n";
    let ran = played(plan, &["-q"]);
    assert_eq!(ran.stdout(), "local: hello x\nlocal: sub\n", "{}", ran.stderr());
}

/// A record has every step, with what became of it, also of those that did not run.
#[test]
fn a_plan_is_recorded_step_by_step() {
    let plan = "[[step]]\nparallel = [{ name = 'a', local = 'echo from a' }, { name = 'b', local = 'echo from b; exit 2' }]\n\
                [[step]]\nname = 'c'\nlocal = 'true'\n";
    let stage = Stage::new(plan);
    let ran = stage.play(&["--record", "r.jsonl", "-q"]).output();
    assert_eq!(ran.status(), Some(1));
    let report = Phalanx::report(&["r.jsonl", "--format", "json"]).directory(stage.path("")).output().stdout();
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let steps = report["steps"].as_array().expect("steps").clone();
    assert_eq!(steps.len(), 3, "{report}");
    assert_eq!(steps[1]["hosts"][0]["exit_code"], 2);
    let text = Phalanx::report(&["r.jsonl"]).directory(stage.path("")).output().stdout();
    assert!(text.contains("parallel / b") && text.contains("c: not run, since `parallel` failed"), "{text}");
    let html = Phalanx::report(&["r.jsonl", "--format", "html"]).directory(stage.path("")).output().stdout();
    assert!(html.contains("from b"));
    let ran = stage.play(&["--record", "r.jsonl"]).output();
    assert_eq!(ran.status(), Some(2));
    assert!(ran.stderr().contains("a record is never overwritten"), "{}", ran.stderr());
    let ran = stage.play(&["--record", "/dev/full", "-q"]).output();
    assert_ne!(ran.status(), Some(0));
}

#[test]
fn what_is_wrong_is_said_before_anything_starts() {
    let stage = Stage::new("[[step]]\nlocal = 'touch started'\n[[step]]\nrnu = 'uptime'\n");
    for arguments in [&[][..], &["--check"], &["--dry-run"]] {
        let ran = stage.play(arguments).output();
        assert_eq!(ran.status(), Some(2));
        assert!(
            ran.stderr().starts_with("phalanx: plan.toml:3:1: key `step[2]`: it does not say what to do"),
            "{}",
            ran.stderr()
        );
    }
    assert!(!stage.path("started").exists());
    let stage = Stage::new("[vars]\nport = 1\n[[step]]\nlocal = 'touch started {{port}}'\n");
    let ran = stage.play(&["--set", "prot=2"]).output();
    assert_eq!(ran.status(), Some(2));
    assert!(
        ran.stderr().contains("no variable and no list of hosts called `prot`; did you mean `port`?"),
        "{}",
        ran.stderr()
    );
    let ran = stage.play(&["--check"]).output();
    assert_eq!((ran.status(), ran.stdout()), (Some(0), "plan.toml: 1 step, nothing wrong\n".into()));
    let ran = stage.play(&["--dry-run"]).output();
    assert!(ran.stdout().contains("local: /bin/sh -c 'touch started 1'"), "{}", ran.stdout());
    assert!(!stage.path("started").exists());
    for (file, said) in [("missing.toml", "cannot read it"), (".", "it is a directory"), ("/dev/zero", "larger than")] {
        let ran = Phalanx::verb("play", &[file]).directory(stage.path("")).output();
        assert_eq!(ran.status(), Some(2), "{file}");
        assert!(ran.stderr().contains(said), "{file}: {}", ran.stderr());
    }
}

/// A step of which nobody is told that it has no hosts would be left out, and the plan be done.
#[test]
fn a_list_without_hosts_is_a_mistake() {
    let stage = Stage::new("[hosts]\nweb = 'n1'\n[[step]]\nrun = 'uptime'\non = 'web'\n");
    let ran = stage.play(&["--set", "web="]).output();
    assert_eq!(ran.status(), Some(2));
    assert!(ran.stderr().contains("cannot use `` for `web`: it has no hosts"), "{}", ran.stderr());
}

/// What every combination of a sweep writes into the same file is lost, but for the last.
#[test]
fn a_file_that_combinations_overwrite_is_a_warning() {
    for (file, warned) in [("out", true), ("{{combination}}/out", false), ("out{{a}}", false), ("/dev/null", false)] {
        let step = format!("steps = [{{ local = 'true', output = '{file}' }}]");
        let stage = Stage::new(&format!("[[step]]\nsweep = {{ a = [1, 2] }}\n{step}\n"));
        let ran = stage.play(&["--check"]).output();
        assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
        assert_eq!(
            ran.stderr().contains("overwrites what the one before it wrote"),
            warned,
            "{file}: {}",
            ran.stderr()
        );
    }
}

/// The program that gets a value of the environment sees it, and nobody else does.
#[test]
fn what_comes_from_the_environment_is_not_shown() {
    let stage = Stage::new(
        "[vars]\npassword = { env = 'A_PASSWORD' }\n\
         [[step]]\nlocal = 'read p; echo ${#p} characters'\ninput = \"{{password}}\\n\"\n\
         [[step]]\nlocal = 'printf Password:; read p; echo ${#p} characters; test ${#p} = 7 || exit 1'\n\
         dialogue = [ { expect = 'Password:', send = '{{password}}' }, { expect = '7 characters' } ]\n",
    );
    let ran = stage.play(&["-vv", "--report", "--record", "record"]).env("A_PASSWORD", "sesame7").output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert_eq!(ran.stdout().matches("7 characters").count(), 2, "{}", ran.stdout());
    let shown = stage.play(&["--dry-run"]).env("A_PASSWORD", "sesame7").output();
    let json = stage.play(&["--json"]).env("A_PASSWORD", "sesame7").output();
    let set = stage.play(&["--set", "password=sesame7"]).output();
    assert_eq!((shown.status(), json.status(), set.status()), (Some(0), Some(0), Some(2)));
    assert!(set.stderr().contains("put it into the variable A_PASSWORD"), "{}", set.stderr());
    for text in
        [ran, shown, json, set].map(|ran| ran.stdout() + &ran.stderr()).into_iter().chain([stage.read("record")])
    {
        assert!(!text.contains("sesame7"), "{text}");
    }
    // Without it nothing starts; to look at the plan it is not needed.
    let ran = stage.play(&[]).output();
    assert_eq!((ran.status(), ran.stdout()), (Some(2), String::new()));
    assert!(
        ran.stderr().contains("plan.toml:2:20: key `vars.password.env`: the environment has no `A_PASSWORD`"),
        "{}",
        ran.stderr()
    );
    for look in ["--check", "--dry-run"] {
        assert_eq!(stage.play(&[look]).output().status(), Some(0));
    }
}

/// Files and ports need ssh; a plan that has them is refused as a whole without it.
#[test]
fn without_ssh_there_are_no_files_and_no_ports() {
    let stage = Stage::new("[[step]]\nput = '/etc/passwd'\nto = 'x/'\non = 'n1'\n");
    let ran = stage.play(&[]).output();
    assert_eq!(ran.status(), Some(2));
    assert!(ran.stderr().contains("plan.toml:2:7: key `step[1].put`: it needs ssh"), "{}", ran.stderr());
}

/// Nobody reads: the plan ends, and nothing is left behind.
#[test]
fn a_reader_that_goes_ends_the_plan() {
    let stage = Stage::new("[[step]]\nname = 'talk'\nlocal = 'yes'\n[[step]]\nlocal = 'touch later'\n");
    let line =
        format!("cd {} && $PHALANX play plan.toml -q | head -1; echo ${{PIPESTATUS[0]}}", stage.path("").display());
    let ran = Phalanx::shell(&line).output();
    assert_eq!(ran.stdout(), "local: y\n141\n");
    ran.assert_nothing_left();
    assert!(!stage.path("later").exists());
}
