//! Commands under the settings that users make for themselves: what is meant for people, what is quiet, what goes wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use phalanx_tests::{Fleet, find_program, shared_fleet};

use crate::phalanx::Phalanx;

/// A directory with an ssh configuration that says something before the fleet's own.
struct Settings {
    directory: tempfile::TempDir,
}

impl Settings {
    fn new(fleet: &Fleet, first: &str) -> Self {
        let settings = Self { directory: tempfile::tempdir().expect("a directory can be made") };
        let first = first.replace("DIR", &settings.directory.path().display().to_string());
        let all = format!("{first}\nMatch all\nInclude \"{}\"\n", fleet.ssh_config().display());
        fs::write(settings.config(), all).expect("it is ours");
        settings
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("ssh_config")
    }

    fn run(&self, words: &[&str]) -> Phalanx {
        Phalanx::run(&["-F"]).args([self.config()]).args(words)
    }

    /// The same through the user's ssh, as it is called by hand.
    fn by_hand(&self, words: &[&str]) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.config()).args(["-o", "BatchMode=yes"]).args(words).stdin(Stdio::null());
        ssh.output().expect("ssh is there")
    }

    /// Writes a program.
    fn script(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the directory")).expect("it is ours");
        fs::write(&path, script).expect("it is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }
}

/// What is told about the end of a host.
fn message(json: &str, node: &str) -> String {
    let events = json.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let mut ended = events.filter(|event| event["event"] == "ended" && event["node"] == node);
    ended.next().expect("it ended")["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn settings_that_are_meant_for_people_do_not_reach_a_command() {
    let Some(fleet) = shared_fleet() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a port").port();
    let forward = format!("LocalForward {port} localhost:1\nExitOnForwardFailure yes");
    for setting in [
        "RemoteCommand bash -l",
        "SessionType none",
        "StdinNull yes",
        "ForkAfterAuthentication yes",
        "PermitLocalCommand yes\nLocalCommand echo local; echo local >&2",
        "RequestTTY force",
        &forward,
    ] {
        let settings = Settings::new(fleet, &format!("Host node*\n{setting}\n"));
        let ran = settings.run(&["-f", "1", "-u", "20", "-w", "node[1-3]", "echo fine; exit 3"]).output();
        // A terminal ends its lines in its own way.
        let stdout = ran.stdout().replace('\r', "");
        assert_eq!(stdout, "node1: fine\nnode2: fine\nnode3: fine\n", "{setting}: {}", ran.stderr());
        assert_eq!(ran.stderr().matches("exited with exit code 3").count(), 3, "{setting}: {}", ran.stderr());
        let put = Phalanx::verb("put", &["--verify", "-u", "20", "-w", "node1", "-F"]);
        let put = put.args([settings.config(), settings.config(), settings.path("copy")]).output();
        assert_eq!(put.status(), Some(0), "{setting}: {}", put.stderr());
        assert_eq!(fs::read(settings.path("copy")).ok(), fs::read(settings.config()).ok(), "{setting}");
    }
}

/// A banner and the words at the end of a terminal: there under the same settings under which ssh itself has them.
#[test]
fn ssh_is_as_quiet_as_the_user_has_it() {
    let Some(fleet) = shared_fleet() else { return };
    let Some(sshd) = find_program("sshd") else { return };
    let server = fs::read_to_string(fleet.directory().join("sshd_config")).expect("it is ours");
    for level in ["QUIET", "ERROR", "INFO"] {
        let settings = Settings::new(
            fleet,
            &format!(
                "Host node*\nLogLevel {level}\nProxyCommand {} -i -f DIR/sshd_config -E DIR/log\n",
                sshd.display()
            ),
        );
        let server = format!("{server}\nBanner {}\n", settings.path("banner").display());
        fs::write(settings.path("sshd_config"), server).expect("it is ours");
        fs::write(settings.path("banner"), "*** keep out ***\n").expect("it is ours");
        for tty in ["no", "force"] {
            let tty = format!("RequestTTY={tty}");
            let expected = settings.by_hand(&["-o", &tty, "node1", "echo out"]);
            let ran = settings.run(&["-N", "-o", &tty, "-w", "node1", "echo out"]).output();
            let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
            assert_eq!(ran.stderr().replace('\r', ""), said(&expected.stderr), "{level} {tty}");
            assert_eq!(ran.stdout().replace('\r', ""), said(&expected.stdout), "{level} {tty}");
            assert_eq!(ran.stderr().contains("keep out"), level == "INFO", "{level}");
        }
    }
}

#[test]
fn a_log_level_of_the_user_hides_nothing_from_us() {
    let Some(fleet) = shared_fleet() else { return };
    let settings = Settings::new(fleet, "");
    for words in [
        &["-o", "LogLevel=QUIET"][..],
        &["-o", "LogLevel=FATAL"],
        &["-o", "LogVerbose=none"],
        &["-o", "LogLevel=DEBUG3"],
    ] {
        let script = "case {{{host}}} in node1) exit 255;; node2) kill -9 $$;; node3) kill -9 $PPID; sleep 1;; esac";
        let words = [words, &["--json", "-w", "node[1-4],refused1,denied1", script]].concat();
        let ran = settings.run(&words).output();
        let results: Vec<_> = ran.results().into_iter().map(|(node, result)| format!("{node} {result}")).collect();
        let expected =
            ["denied1 unreachable", "node1 exit", "node2 signal", "node3 lost", "node4 ok", "refused1 unreachable"];
        assert_eq!(results, expected, "{words:?}: {}", ran.stdout());
        assert!(message(&ran.stdout(), "refused1").contains("Connection refused"), "{}", ran.stdout());
    }
}

#[test]
fn a_connection_lost_with_its_master_is_lost() {
    let Some(fleet) = shared_fleet() else { return };
    let settings = Settings::new(fleet, "Host node*\nControlMaster auto\nControlPersist 30\nControlPath DIR/%C\n");
    for (script, result) in
        [("exit 255", "exit"), ("exit 3", "exit"), ("true", "ok"), ("echo half; kill -9 $PPID; sleep 5", "lost")]
    {
        // Twice: the first may be the one that makes the master.
        for _ in 0..2 {
            let master = settings.by_hand(&["-fN", "node1"]);
            assert!(master.status.success(), "{}", String::from_utf8_lossy(&master.stderr));
            let ran = settings.run(&["--json", "-w", "node1", script]).output();
            assert_eq!(ran.results()["node1"], result, "{script}: {}", ran.stdout());
        }
    }
    settings.by_hand(&["-O", "exit", "node1"]);
}

#[test]
fn a_host_in_trouble_is_told_the_line_that_says_why() {
    let Some(fleet) = shared_fleet() else { return };
    let settings = Settings::new(
        fleet,
        "Host node1\nProxyJump nosuch.invalid\nHost node2\nProxyCommand false\nHost node3\nProxyJump node9\nPort 1\n\
         Host node4\nUserKnownHostsFile /dev/null\nHost node5\nHostKeyAlias phalanx-changed\nHost node6\n\
         UserKnownHostsFile DIR/revoked\n",
    );
    let known = fs::read_to_string(fleet.directory().join("known_hosts")).expect("it is ours");
    let revoked: String = known
        .lines()
        .filter(|line| line.starts_with("phalanx-fleet"))
        .map(|line| format!("@revoked {line}\n"))
        .collect();
    fs::write(settings.path("revoked"), revoked).expect("it is ours");
    let ran = settings.run(&["--json", "-w", "node[1-6]", "true"]).output();
    for (node, said, advice) in [
        ("node1", "the jump host or proxy failed: ssh: Could not resolve hostname nosuch.invalid", "ProxyJump"),
        ("node2", "the jump host or proxy failed", "ProxyCommand"),
        ("node3", "the jump host was reached, but not the host behind it", "nothing listens there"),
        ("node4", "No ED25519 host key is known for phalanx-fleet", "not among your known hosts"),
        ("node5", "known_hosts:", "its host key has changed"),
        ("node6", "revoked", "marked as revoked"),
    ] {
        let message = message(&ran.stdout(), node);
        assert!(message.starts_with("not reached: ") && message.contains(said), "{node}: {message}");
        assert!(message.contains(advice), "{node}: {message}");
    }
    let mistaken = Settings::new(fleet, "Host node*\nNoSuchOption yes\n");
    let ran = mistaken.run(&["-w", "node1", "true"]).output();
    assert!(ran.stderr().contains("line 2: Bad configuration option: nosuchoption"), "{}", ran.stderr());
}

#[test]
fn a_changed_host_key_that_is_accepted_is_warned_of() {
    let Some(fleet) = shared_fleet() else { return };
    let settings = Settings::new(fleet, "Host changed*\nStrictHostKeyChecking no\n");
    let ran = settings.run(&["-f", "1", "-w", "changed1,node1", "echo fine"]).output();
    assert_eq!((ran.status(), ran.stdout()), (Some(0), "changed1: fine\nnode1: fine\n".to_owned()));
    assert_eq!(ran.stderr().matches("the host key has changed, and was accepted").count(), 1, "{}", ran.stderr());
    assert!(ran.stderr().contains("known_hosts:"), "{}", ran.stderr());
}

/// An older ssh: it refuses the options that came after it, and is the real one otherwise.
fn older(settings: &Settings, version: &str, unknown: &[&str]) -> PathBuf {
    let ssh = find_program("ssh").expect("the fleet has it");
    let refuse = unknown.iter().map(|name| {
        let lower = name.to_lowercase();
        format!("{name}=*) echo 'command-line: line 0: Bad configuration option: {lower}' >&2; exit 255;;\n")
    });
    let refuse: String = refuse.collect();
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in\n{refuse}-G) echo asked >> '{}';;\nesac; done\nexec '{}' \"$@\"\n",
        settings.path(&format!("{version}.asked")).display(),
        ssh.display()
    );
    settings.script(&format!("{version}/ssh"), &script)
}

fn results_with(settings: &Settings, ssh: &Path) -> Vec<String> {
    let script = "case {{{host}}} in node1) exit 255;; node2) kill -9 $$;; node3) kill -9 $PPID; sleep 1;; esac";
    let ran = settings.run(&["--json", "--ssh"]).args([ssh]).args(["-w", "node[1-4],refused1", script]).output();
    ran.results().into_iter().map(|(node, result)| format!("{node} {result}")).collect()
}

#[test]
fn older_versions_are_told_only_what_they_know_and_are_asked_once() {
    let Some(fleet) = shared_fleet() else { return };
    let settings = Settings::new(fleet, "");
    let since_8_7 = ["SessionType", "StdinNull", "ForkAfterAuthentication"];
    for (version, unknown) in [
        ("9.2", vec![]),
        ("8.6", since_8_7.to_vec()),
        ("8.4", [&since_8_7[..], &["LogVerbose"]].concat()),
        ("7.4", [&since_8_7[..], &["LogVerbose", "RemoteCommand"]].concat()),
    ] {
        let ssh = older(&settings, version, &unknown);
        let expected = ["node1 exit", "node2 signal", "node3 lost", "node4 ok", "refused1 unreachable"];
        assert_eq!(results_with(&settings, &ssh), expected, "{version}");
        // Each option that is refused is a question, and the one without these: five hosts are no questions.
        let asked = fs::read_to_string(settings.path(&format!("{version}.asked"))).expect("it was asked");
        assert_eq!(asked.lines().count(), 1 + unknown.len(), "{version}");
    }
}

/// What is called ssh and runs it as another user, without /proc, or through sudo, cannot open our pipe.
#[test]
fn an_ssh_that_cannot_write_its_log_is_used_without() {
    let Some(fleet) = shared_fleet() else { return };
    let settings = Settings::new(fleet, "");
    let ssh = settings.script(
        "blind/ssh",
        "#!/bin/sh\nfor word; do case $word in -E) echo \"Couldn't open logfile $2: Permission denied\" >&2; exit 1;; esac; done\nexec ssh \"$@\"\n",
    );
    let expected = ["node1 exit", "node2 exit", "node3 exit", "node4 ok", "refused1 unreachable"];
    let results = results_with(&settings, &ssh);
    // Without a log, the words of ssh among the stderr tell at least what did not begin.
    assert_eq!([&results[..2], &results[3..]].concat(), [&expected[..2], &expected[3..]].concat());
}
