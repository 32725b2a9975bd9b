//! The fleet itself: other tests stand on it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use phalanx_tests::{Fleet, child, shared_fleet, wait_until};

/// The end of an ssh command against the shared fleet: its status and standard error.
fn ssh(fleet: &Fleet, host: &str, command: &str) -> (Option<i32>, String, String) {
    let mut ssh = fleet.ssh_command();
    ssh.args(["-o", "BatchMode=yes", host, command]).stdin(Stdio::null());
    let output = ssh.output().expect("ssh is there, the fleet was started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_node_is_a_host_and_stderr_stays_apart() {
    let Some(fleet) = shared_fleet() else { return };
    let (status, out, err) = ssh(fleet, "node4711", "echo out; echo err >&2; exit 3");
    assert_eq!((status, out.as_str(), err.as_str()), (Some(3), "out\n", "err\n"));
}

#[test]
fn hosts_in_trouble_are_in_the_trouble_their_name_says() {
    let Some(fleet) = shared_fleet() else { return };
    for (host, says) in [
        ("refused1", "Connection refused"),
        ("unresolved1", "resolve"),
        ("denied1", "Permission denied"),
        ("changed1", "Host key verification failed"),
    ] {
        let (status, _, err) = ssh(fleet, host, "true");
        assert_eq!(status, Some(255), "{host}: {err}");
        assert!(err.contains(says), "{host} should say «{says}»: {err}");
    }
}

#[test]
fn a_silent_host_ends_with_the_connect_timeout() {
    let Some(fleet) = shared_fleet() else { return };
    let mut ssh = fleet.ssh_command();
    ssh.args(["-o", "ConnectTimeout=1", "silent1", "true"]).stdin(Stdio::null());
    let output = ssh.output().expect("ssh is there, the fleet was started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(255) && said.contains("timed out"), "{said}");
}

#[test]
fn remote_commands_start_with_default_signals_and_without_start_up_files() {
    let Some(fleet) = shared_fleet() else { return };
    let (status, out, err) = ssh(fleet, "node1", "grep -E '^Sig(Ign|Blk)' /proc/self/status; echo $SHLVL");
    assert_eq!(status, Some(0), "{err}");
    let fields: Vec<&str> = out.split_whitespace().collect();
    let [_, blocked, _, ignored, level] = fields[..] else { panic!("unexpected: {out}") };
    // Signals 1 to 31; what a container's first process does with the real-time ones is not ours.
    let standard = |mask| u64::from_str_radix(mask, 16).expect("a mask is hexadecimal") & 0x7fff_ffff;
    assert_eq!((standard(blocked), standard(ignored)), (0, 0), "blocked and ignored: {out}");
    assert!(level.parse::<u32>().is_ok_and(|level| level >= 9), "SHLVL keeps bash from its start-up file: {out}");
}

#[test]
fn survivors_are_what_sessions_left_running() {
    let Some(fleet) = shared_fleet() else { return };
    let (status, out, err) = ssh(fleet, "node1", "sleep 1000 >/dev/null 2>&1 </dev/null & echo $!");
    assert_eq!(status, Some(0), "{err}");
    let pid = out.trim();
    assert!(fleet.survivors().iter().any(|survivor| survivor.to_string() == pid), "{pid} in {:?}", fleet.survivors());
    assert!(Command::new("kill").arg(pid).status().expect("kill is there").success());
    wait_until("the sleep is gone", || !Path::new("/proc").join(pid).exists());
}

#[test]
fn a_dropped_fleet_leaves_no_process_and_no_file() {
    if shared_fleet().is_none() {
        return;
    }
    let fleet = Fleet::start().expect("another fleet just started");
    let (_, out, _) = ssh(&fleet, "node1", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!");
    let sleeper = Path::new("/proc").join(out.trim());
    assert!(sleeper.exists());
    let directory = fleet.directory().to_path_buf();
    drop(fleet);
    assert!(!directory.exists(), "{} is still there", directory.display());
    wait_until("the orphan of a session is gone", || !sleeper.exists());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the helper must be killed while it runs")]
fn a_fleet_ends_also_when_its_owner_is_killed() {
    if shared_fleet().is_none() {
        return;
    }
    let mut owner = Command::new(child("fleet"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the helper was just built");
    let mut line = String::new();
    BufReader::new(owner.stdout.as_mut().expect("piped")).read_line(&mut line).expect("the helper speaks UTF-8");
    let config = line.trim().strip_prefix("ssh -F ").expect("the helper says where its configuration is");
    assert!(Path::new(config).is_file());
    owner.kill().expect("it runs");
    owner.wait().expect("it was started here");
    wait_until("the directory of the killed owner's fleet is gone", || {
        !Path::new(config).parent().is_some_and(Path::exists)
    });
}
