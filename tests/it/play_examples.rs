//! The plans of `examples/plans`: the experiments of execo's documentation, played on the fleet; and the plans in
//! `docs/plans.md`, of which every one is checked.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use phalanx_tests::{Fleet, require_program, shared_fleet, wait_until};
use xtask::step::root;

use crate::cable::Cable;
use crate::phalanx::{Phalanx, Ran};

fn example(name: &str) -> PathBuf {
    root().join("examples/plans").join(format!("{name}.toml"))
}

/// Plays an example in a directory of its own.
fn played(fleet: &Fleet, name: &str, arguments: &[&str]) -> (tempfile::TempDir, Ran) {
    let place = tempfile::tempdir().expect("a directory can be made");
    let play = Phalanx::verb("play", &["-F"]).args([fleet.ssh_config(), example(name)]).args(arguments);
    let ran = play.directory(place.path()).output();
    assert_eq!(ran.status(), Some(0), "{name}: {}\n{}", ran.stderr(), ran.stdout());
    ran.assert_nothing_left();
    wait_until("nothing lives on the hosts", || fleet.survivors().is_empty());
    (place, ran)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("it has one").port()
}

/// A path of this test alone, for a variable: those who try the examples right now use the one that is in them.
fn own(variable: &str) -> Vec<String> {
    let path = std::env::temp_dir().join(format!("phalanx-example-{}-{variable}", std::process::id()));
    vec!["--set".to_owned(), format!("{variable}={}", path.display())]
}

/// Each with a line that it must have said.
#[test]
fn the_examples_play_on_the_fleet() {
    let Some(fleet) = shared_fleet() else { return };
    for (name, said) in [
        ("first", "node4: /"),
        ("outputs", ""),
        ("dialogue", "local: stored 6 characters"),
        ("rollout", "node6: node6 is updated"),
    ] {
        let (_, ran) = played(fleet, name, &[]);
        assert!(ran.stdout().contains(said), "{name}: {}", ran.stdout());
    }
    let (place, ran) = played(fleet, "files", &[&own("there")[0], &own("there")[1]]);
    assert!(ran.stdout().contains("node1: "), "{}", ran.stdout());
    assert!(place.path().join("copies/node3/passwd").is_file());
}

#[test]
fn the_examples_with_sockets_play_on_the_fleet() {
    let Some(fleet) = shared_fleet() else { return };
    if require_program("nc", "netcat-traditional").is_none() || require_program("socat", "socat").is_none() {
        return;
    }
    // The ports of the examples are for those who try them, perhaps right now.
    let port = |name: &str| vec!["--set".to_owned(), format!("{name}={}", free_port())];
    let two = |name: &str| vec!["--set".to_owned(), format!("{name}={},{}", free_port(), free_port())];
    for (name, ports, said) in [
        ("netcat", [port("port"), own("file")].concat(), "node1: 1000000"),
        ("exchange", [two("source_ports"), two("target_ports")].concat(), ""),
        ("capture", [port("port"), port("behind"), own("file")].concat(), "node1: 6"),
        ("broadcast", own("there"), "node4: 5000000"),
        ("tunnel", port("service"), "local: hello from the far side"),
    ] {
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        let (_, ran) = played(fleet, name, &ports);
        assert!(ran.stdout().contains(said), "{name}: {}", ran.stdout());
    }
    let port = format!("port={}", free_port());
    let (place, _) = played(fleet, "clients", &["--set", &port]);
    for clients in [1, 2, 4, 8] {
        let results = place.path().join(format!("results/clients={clients}"));
        let results: Vec<_> = fs::read_dir(results).expect("it was made").flatten().collect();
        assert_eq!(results.len(), clients);
        for result in results {
            assert_eq!(fs::read_to_string(result.path()).expect("a result").trim(), "1000000");
        }
    }
}

#[test]
fn the_example_of_a_campaign_is_done_once() {
    let Some(fleet) = shared_fleet() else { return };
    let (place, ran) = played(fleet, "campaign", &[]);
    assert_eq!(ran.stdout().lines().count(), 16, "{}", ran.stdout());
    assert!(place.path().join("campaign").is_dir());
}

/// Item 153 and check G7: the report of many processes of every kind.
#[test]
fn the_example_of_fifty_processes_of_each_kind_is_reported() {
    let Some(fleet) = shared_fleet() else { return };
    let (_, ran) = played(fleet, "fifty", &["--report"]);
    let table = ran.stdout();
    let counts = |name: &str| -> Vec<usize> {
        let line = table.lines().skip_while(|line| !line.trim_start().starts_with(name)).nth(1).expect("it is there");
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    // Started, ended, errors, timeouts, forced kills, missed, unread, not zero, ok.
    assert_eq!(counts("ok "), [50, 50, 0, 0, 0, 0, 0, 0, 50], "{table}");
    assert_eq!(counts("bad "), [50, 50, 0, 0, 0, 0, 0, 50, 0], "{table}");
    assert_eq!(counts("slow "), [50, 50, 0, 50, 0, 0, 0, 50, 0], "{table}");
}

/// Item 121, and check S1: a serial console with a login dialogue.
#[test]
fn the_example_of_a_console_logs_in() {
    let Some(cable) = Cable::new() else { return };
    let Some(fleet) = shared_fleet() else { return };
    let [device, far] = cable.ends.clone();
    // The far end of the line: a login prompt, made of what it reads.
    let console = std::thread::spawn(move || {
        let mut line = fs::OpenOptions::new().read(true).write(true).open(far).expect("the line is there");
        let read = |line: &mut fs::File| {
            let mut text = String::new();
            let mut byte = [0];
            while !text.ends_with('\r') && line.read(&mut byte).expect("the line can be read") == 1 {
                text.push(char::from(byte[0]));
            }
            // As a terminal does.
            line.write_all(format!("{}\r\n", text.trim()).as_bytes()).expect("the line can be written");
            text.trim().to_owned()
        };
        let mut heard = vec![read(&mut line)];
        for prompt in ["n1 login: ", "Password: ", "welcome\r\n# ", "Linux\r\n# "] {
            line.write_all(prompt.as_bytes()).expect("the line can be written");
            heard.push(read(&mut line));
        }
        heard
    });
    let place = tempfile::tempdir().expect("a directory can be made");
    let ran = Phalanx::verb("play", &["--set", &format!("device={device}"), "-F"])
        .args([fleet.ssh_config(), example("console")])
        .env("CONSOLE_PASSWORD", "secret")
        .directory(place.path())
        .output();
    wait_until("the far end has heard all", || console.is_finished());
    assert_eq!(console.join().expect("it ends"), ["", "root", "secret", "uname -s", "exit"]);
    assert!(ran.stdout().contains("local: Linux"), "{}", ran.stdout());
}

/// Every fenced block of TOML in the reference is a plan with nothing wrong, and every key is in one of them.
#[test]
fn the_plans_of_the_reference_are_right() {
    let text = fs::read_to_string(root().join("docs/plans.md")).expect("there is a reference");
    let place = tempfile::tempdir().expect("a directory can be made");
    let mut all = String::new();
    for (number, block) in text.split("```toml\n").skip(1).enumerate() {
        let plan = block.split("```").next().unwrap_or_default();
        let path = place.path().join(format!("plan{number}.toml"));
        fs::write(&path, plan).expect("it is ours");
        let ran = Phalanx::verb("play", &["--check"]).args([&path]).output();
        assert_eq!(ran.status(), Some(0), "{}\n{plan}", ran.stderr());
        all += plan;
    }
    for key in phalanx_plan::keys() {
        assert!(all.contains(&format!("{key} =")) || all.contains(&format!(".{key}]")), "no example has `{key}`");
        assert!(text.contains(&format!("| `{key}` |")), "no table has `{key}`");
    }
    for (name, text) in examples() {
        let ran = Phalanx::verb("play", &["--check"]).args([example(&name)]).output();
        assert_eq!((ran.status(), ran.stderr().contains("warning")), (Some(0), false), "{}\n{text}", ran.stderr());
    }
}

fn examples() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join("examples/plans")).expect("there are examples").flatten();
    let name = |path: &PathBuf| path.file_stem().expect("a file").to_string_lossy().into_owned();
    files.map(|file| (name(&file.path()), fs::read_to_string(file.path()).expect("text"))).collect()
}
