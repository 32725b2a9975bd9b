//! Commands on other hosts, from Rust: what reaches the host, and what comes back.

use std::path::{Path, PathBuf};

use phalanx_process::host::Host;
use phalanx_process::spec::Stdin;
use phalanx_process::ssh::{HostRewrite, RemoteExit, SshFailure, SshOptions, SshProcess, classify_ssh_exit};
use phalanx_tests::{Fleet, shared_fleet};

/// The way into the fleet.
pub(crate) fn params(fleet: &Fleet) -> SshOptions {
    SshOptions { ssh_config: Some(fleet.ssh_config()), ..SshOptions::default() }
}

/// A program called `name` that does what `script` says.
pub(crate) fn program(directory: &Path, name: &str, script: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("it is ours");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    path
}

/// R4, items 80 and 191: what a program called as ssh really gets.
#[test]
fn the_connector_gets_exactly_the_words_of_the_argv() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let says = |name: &str, command: &str| {
        // Asked what it knows (`-v -G -E FILE …`), it answers as OpenSSH does.
        let script =
            r#"test "$2" = -G && { echo OpenSSH_9.9p2 > "$4"; exit; }; for word do printf '<%s>' "$word"; done"#;
        let stub = program(directory.path(), name, script);
        let params = SshOptions {
            ssh: Some(stub.into()),
            port: Some(2222),
            options: vec!["Compression=yes".into()],
            ..SshOptions::default()
        };
        let host = Host::new("node1").with_user("root").without_port();
        let process = SshProcess::new(command, host).params(params).process().run();
        assert!(process.ok(), "{process:?}");
        String::from_utf8(process.stdout()).expect("text")
    };
    assert_eq!(says("oarsh", "a  'b' $c"), "<-o><Compression=yes><-o><BatchMode=yes><-l><root><-T><node1><a  'b' $c>");
    let openssh = says("ssh", "-v");
    let (log, rest) = openssh.strip_prefix("<-E><").and_then(|rest| rest.split_once('>')).expect("a file for the log");
    assert!(log.starts_with("/proc/"), "{log}");
    let (log, rest) = rest.strip_prefix("<-o><").and_then(|rest| rest.split_once('>')).expect("what is logged");
    assert!(log.starts_with("LogVerbose=") && log.contains("clientloop.c:client_session2_setup():*"), "{log}");
    assert_eq!(
        rest,
        "<-o><RemoteCommand=none><-o><SessionType=default><-o><StdinNull=no><-o><ForkAfterAuthentication=no>\
         <-o><Compression=yes><-o><PermitLocalCommand=no><-o><ClearAllForwardings=yes><-o><BatchMode=yes>\
         <-l><root><-T><--><node1><-v>"
    );
}

/// R5 and R6, items 35 and 207: stdout and stderr come apart, as they are; the host keeps its name.
#[test]
fn a_command_runs_on_the_rewritten_host_and_its_streams_come_apart() {
    let Some(fleet) = shared_fleet() else { return };
    let rewrite = HostRewrite::new(|address| address.replace("alias", "node"));
    let params = SshOptions { host_rewrite: Some(rewrite), ..params(fleet) };
    let ssh = SshProcess::new("cat; echo err >&2; exit 3", "alias7").params(params);
    let process = ssh.process().stdin(Stdin::Data((&b"\r\n\0\xff"[..]).into())).run();
    let finished = process.finished().expect("it has run");
    assert_eq!((process.stdout(), process.stderr()), (b"\r\n\0\xff".to_vec(), b"err\n".to_vec()));
    assert_eq!((finished.outcome.exit_code(), classify_ssh_exit(&finished)), (Some(3), RemoteExit::AsReported));
    assert_eq!(process.host().as_deref(), Some("alias7"));
}

/// Item 206: what runs ssh through sudo wants a terminal here, and the real ssh behind it does not mind one.
#[test]
fn the_program_that_connects_gets_a_terminal_of_its_own_on_demand() {
    let Some(fleet) = shared_fleet() else { return };
    let directory = tempfile::tempdir().expect("a directory can be made");
    let sudo = r#"test -t 1 && : < /dev/tty || { echo "no tty present"; exit 99; }; exec ssh "$@""#;
    let oarsh = program(directory.path(), "oarsh", sudo);
    for (pty, code, said) in [(None, 99, "no tty present\n"), (Some(true), 7, "remote\r\n")] {
        let params = SshOptions { ssh: Some(oarsh.clone().into()), pty, ..params(fleet) };
        let process = SshProcess::new("cat; test -t 1 || echo remote; exit 7", "node1").params(params).process().run();
        assert_eq!((process.exit_code(), String::from_utf8_lossy(&process.stdout())), (Some(code), said.into()));
    }
}

#[test]
fn words_arrive_as_they_are() {
    let Some(fleet) = shared_fleet() else { return };
    let words = ["printf", "<%s>", "a  b", "$HOME", "it's", "*", "", "-n"];
    let process = SshProcess::words(words, "node1").params(params(fleet)).process().run();
    assert_eq!(String::from_utf8_lossy(&process.stdout()), "<a  b><$HOME><it's><*><><-n>");
}

#[test]
fn a_remote_terminal_is_there_on_demand_only() {
    let Some(fleet) = shared_fleet() else { return };
    for (remote_tty, expected) in [(false, "none\n"), (true, "tty\r\n")] {
        let params = SshOptions { remote_tty: Some(remote_tty), ..params(fleet) };
        let command = "if test -t 1; then echo tty; else echo none; fi";
        let process = SshProcess::new(command, "node1").params(params).process().run();
        assert_eq!(String::from_utf8_lossy(&process.stdout()), expected);
    }
}

#[test]
fn a_jump_host_is_passed_through() {
    let Some(fleet) = shared_fleet() else { return };
    let before = fleet.logins();
    let params = SshOptions { proxy_jump: Some("node8".into()), ..params(fleet) };
    let process = SshProcess::new("echo there", "node9").params(params).process().run();
    assert_eq!(process.stdout(), b"there\n", "{process:?} {}", String::from_utf8_lossy(&process.stderr()));
    assert!(fleet.logins() >= before + 2);
}

#[test]
fn a_changed_host_key_is_refused_unless_it_is_ignored() {
    let Some(fleet) = shared_fleet() else { return };
    // The configuration of the fleet names known hosts of its own, and is read after the options.
    let run = |params: SshOptions| SshProcess::new("echo in", "changed1").params(params).process().run();
    let refused = run(params(fleet));
    let end = classify_ssh_exit(&refused.finished().expect("it has run"));
    assert!(matches!(end, RemoteExit::NotReached(_)), "{end:?}");
    let ephemeral = SshOptions { ssh_config: Some(fleet.ssh_config()), ..SshOptions::ephemeral() };
    assert_eq!(run(ephemeral).stdout(), b"in\n");
}

/// What became of a command, by the words and the exit status of a connector. When it is asked what it knows (`-G`), it
/// answers as OpenSSH does.
fn end_of(name: &str, log: &str, stderr: &str, status: i32) -> RemoteExit {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let script = format!(
        r#"while [ $# -gt 0 ]; do case $1 in -E) log=$2; shift;; -G) asked=yes;; esac; shift; done
        test -n "$asked" && {{ echo OpenSSH_9.9p2 > "$log"; exit 0; }}
        test -n "$log" && printf '%s' '{log}' > "$log"
        printf '%s' '{stderr}' >&2; exit {status}"#
    );
    let ssh = Some(program(directory.path(), name, &script).into());
    let params = SshOptions { ssh, ..SshOptions::default() };
    let process = SshProcess::new("true", "node1").params(params).process().run();
    classify_ssh_exit(&process.finished().expect("it has run"))
}

#[test]
fn each_line_of_the_list_of_ends_is_followed() {
    let refused = "ssh: connect to host node1 port 22: Connection refused\n";
    let sent = "debug1: Sending command: true\n";
    let status = "debug1: client_input_channel_req: channel 0 rtype exit-status reply 0\n";
    let signal = "debug1: client_input_channel_req: channel 0 rtype exit-signal reply 0\n";
    let debug = "debug1: Connecting to node1\n";
    let logged = |lines: &[&str], stderr: &str, status: i32| end_of("ssh", &lines.concat(), stderr, status);
    assert_eq!(logged(&[sent, refused], "", 7), RemoteExit::AsReported);
    assert_eq!(logged(&[sent, status, refused], "", 255), RemoteExit::AsReported);
    assert_eq!(logged(&[sent, signal], "", 255), RemoteExit::Signaled);
    let not_reached = |end: RemoteExit| match end {
        RemoteExit::NotReached(SshFailure { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    for status in [0, 7, 255] {
        assert_eq!(not_reached(logged(&[debug, refused, debug], "mine", status)), refused.trim_end());
    }
    let lost = |end: RemoteExit| match end {
        RemoteExit::Lost(SshFailure { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let broken = "client_loop: send disconnect: Broken pipe\n";
    assert_eq!(lost(logged(&[sent, broken], "", 255)), broken.trim_end());
    assert_eq!(lost(logged(&[sent], "", 255)), "the connection ended without a word");
    assert_eq!(not_reached(end_of("oarsh", "", refused, 255)), refused.trim_end());
    assert_eq!(end_of("oarsh", "", "mine", 255), RemoteExit::AsReported);
}
