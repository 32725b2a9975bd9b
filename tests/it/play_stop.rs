//! Stopping `phalanx play`: politely, twice, and with SIGKILL. Nothing may outlive it, neither here nor on hosts.
//! Check G2 of the inventory of execo: killing a sequence ends it.

use phalanx_tests::{shared_fleet, wait_until};

use crate::phalanx::Phalanx;
use crate::play::Stage;

const BUSY: &str = "[hosts]\npair = 'node[1-2]'\n\
    [[step]]\nname = 'server'\nrun = 'echo server; sleep 1000'\non = 'pair'\nbackground = true\nready = 'server'\n\
    [[step]]\nname = 'work'\nrun = 'trap \"echo tidied; exit 0\" TERM; echo work; while :; do sleep 0.05; done'\non = 'pair'\n\
    [[step]]\nname = 'never'\nlocal = 'echo never'\n";

#[test]
fn the_first_signal_ends_the_plan_politely() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let stage = Stage::new(BUSY);
        let mut running = stage.play(&[]).start();
        for _ in 0..4 {
            running.line();
        }
        running.signal(signal);
        let ran = running.end();
        assert_eq!(ran.status(), Some(status));
        assert_eq!(ran.stdout().matches("tidied").count(), 2, "{}", ran.stdout());
        let said = ran.stderr();
        assert!(said.contains(&format!("SIG{signal}: ending server (node[1-2]), work (node[1-2])")), "{said}");
        assert!(said.contains("never (line 13): not run, since the plan was stopped"), "{said}");
        ran.assert_nothing_left();
    }
}

#[test]
fn the_second_signal_kills_at_once() {
    let stage = Stage::new("[[step]]\nlocal = 'trap \"\" TERM INT; echo up; sleep 1000 & sleep 1000 & wait; wait'\n");
    let mut running = stage.play(&[]).start();
    running.line();
    running.signal("INT");
    let mut reader = std::io::BufReader::new(running.child.stderr.take().expect("it is piped"));
    let mut said = String::new();
    while !said.contains("once more to kill at once") {
        assert!(std::io::BufRead::read_line(&mut reader, &mut said).expect("text") > 0, "{said}");
    }
    running.signal("INT");
    let ran = running.end();
    assert_eq!(ran.status(), Some(130));
    ran.assert_nothing_left();
}

/// Wherever the signal falls: the exit status is that of a stopped plan or of one that was done, nothing is left.
#[test]
fn a_signal_may_come_at_any_moment() {
    let plan = "[[step]]\nparallel = [{ name = 'a', local = 'sleep 0.1', count = 5 }, { name = 'b', local = 'sleep 0.05', retries = 3 }]\n\
                [[step]]\nname = 's'\nlocal = 'echo up; sleep 1000'\nbackground = true\nready = 'up'\n\
                [[step]]\nname = 'w'\nsweep = { x = [1, 2, 3] }\nsteps = [{ name = 'v', local = 'sleep 0.05; true {{x}}' }]\n";
    for moment in 0..20 {
        let stage = Stage::new(plan);
        let mut running = stage.play(&["--json"]).start();
        for _ in 0..moment * 2 {
            running.line();
        }
        // It may have ended by itself.
        let _ = std::process::Command::new("kill").args(["-INT", &running.child.id().to_string()]).status();
        let ran = running.end();
        assert!([Some(0), Some(130), None].contains(&ran.status()), "{moment}: {:?}\n{}", ran.status(), ran.stderr());
        ran.assert_nothing_left();
    }
}

#[test]
fn nothing_outlives_a_controller_killed_with_sigkill() {
    let stage = Stage::new(BUSY);
    let mut running = stage.play(&[]).start();
    for _ in 0..4 {
        running.line();
    }
    running.signal("KILL");
    running.end().assert_nothing_left();
}

/// Remote commands have no terminal: a watchdog there ends them, when the plan is stopped or killed, when their time
/// is over, and when their block is.
#[test]
fn nothing_outlives_the_plan_on_its_hosts() {
    let Some(fleet) = shared_fleet() else { return };
    let plan = |timeout: &str| BUSY.replace("name = 'work'", &format!("name = 'work'\n{timeout}"));
    for (signal, status) in [("INT", Some(130)), ("KILL", None), ("none", Some(1))] {
        let stage = Stage::new(&plan(if signal == "none" { "timeout = 1" } else { "" }));
        let mut running = Phalanx::verb("play", &["-F"]).args([fleet.ssh_config(), stage.path("plan.toml")]).start();
        for _ in 0..4 {
            running.line();
        }
        assert!(!fleet.survivors().is_empty());
        if signal != "none" {
            running.signal(signal);
        }
        let ran = running.end();
        assert_eq!(ran.status(), status);
        wait_until("nothing lives on the hosts", || fleet.survivors().is_empty());
    }
}

/// A chain has processes of its own on every host.
#[test]
fn a_chain_is_ended_with_its_plan() {
    let Some(fleet) = shared_fleet() else { return };
    if phalanx_tests::require_program("nc", "netcat-traditional").is_none() {
        return;
    }
    let stage = Stage::new(
        "[[step]]\nname = 'chain'\nchain = 'large'\nto = '{{plan_dir}}/there-{{{host}}}'\non = 'node[1-3]'\naddress = '127.0.0.1'\n\
         [[step]]\nname = 'never'\nlocal = 'echo never'\n",
    );
    // It takes long to copy and no room.
    let large = std::fs::File::create(stage.path("large"));
    large.and_then(|file| file.set_len(16 << 30)).expect("files may have holes");
    let play = Phalanx::verb("play", &["-F"]).args([fleet.ssh_config(), stage.path("plan.toml")]).args(["--json"]);
    let mut running = play.directory(stage.path("")).start();
    for _ in 0..3 {
        running.event("started");
    }
    running.signal("INT");
    let ran = running.end();
    assert_eq!(ran.status(), Some(130));
    assert!(
        !ran.stdout().contains("echo never") && ran.stdout().contains("since the plan was stopped"),
        "{}",
        ran.stdout()
    );
    assert!(!stage.path("there-node1").exists());
    ran.assert_nothing_left();
    wait_until("nothing lives on the hosts", || fleet.survivors().is_empty());
}

/// A login shell must take nothing of what surrounds the command for its own: a newline or an exclamation mark in quotes
/// is too much for csh.
#[test]
fn a_background_step_is_ready_and_ended_whatever_the_login_shell() {
    for shell in ["dash", "bash", "zsh", "fish", "tcsh", "mksh", "ksh"] {
        let Some(path) = phalanx_tests::require_program(shell, shell) else { continue };
        let stage = Stage::new(
            "[[step]]\nname = 'server'\nrun = \"\"\"echo 'it is' ready!\nexec sleep 1000\"\"\"\non = 'a'\nbackground = true\n\
             ready = 'it is ready'\n[[step]]\nname = 'client'\nlocal = 'echo served'\n",
        );
        let stub = stage.path("connector");
        let script =
            format!("#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nSHELL={0} exec {0} -c \"$1\"\n", path.display());
        std::fs::write(&stub, script).expect("it is ours");
        std::fs::set_permissions(&stub, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
        let ran = Phalanx::verb("play", &["--ssh"]).args([stub, stage.path("plan.toml")]).output();
        assert_eq!(ran.status(), Some(0), "{shell}: {}{}", ran.stdout(), ran.stderr());
        assert!(ran.stdout().contains("served"), "{shell}: {}", ran.stdout());
        ran.assert_nothing_left();
    }
}
