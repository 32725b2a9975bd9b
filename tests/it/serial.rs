//! Serial lines as processes, here and over ssh (S1 of the reference, items 84 and 85).

use std::path::Path;
use std::time::Duration;

use phalanx_process::Process;
use phalanx_process::expect::{Pattern, Script};
use phalanx_process::serial::{Serial, SerialSsh};
use phalanx_process::spec::{Faults, Output};
use phalanx_process::watch::Timeout;
use phalanx_tests::{Fleet, SAFETY_NET, shared_fleet, wait_until};

use crate::cable::Cable;
use crate::ssh::params;

/// The machine at the far end of a line: asks who is there.
pub(crate) fn machine(device: &str, speed: u32) -> Process {
    let script = Script::new()
        .respond("\n", "\r\nDebian 12 n1 ttyS0\r\n\r\nn1 login: ")
        .respond("root\n", "Password: ")
        .respond("secret\n", "\r\nLast login: today\r\nroot@n1:~# ");
    let machine = Serial::new(device, speed).process().nolog(Faults::ALL).start();
    // Whoever writes to the other end before this one is raw hears an echo.
    wait_until("the machine is there", || machine.running() || machine.ended());
    let talking = machine.clone();
    // Whether it came to its end is seen from the other side.
    std::thread::spawn(move || talking.run_script(Timeout::After(SAFETY_NET), &script));
    machine
}

/// Logs in on a line, step by step as a user of the handle would.
fn log_in(line: Process) -> Process {
    let line = line.default_expect_timeout(Some(SAFETY_NET)).start();
    line.write("\n");
    for (prompt, answer) in [("login: ", "root\n"), ("Password: ", "secret\n")] {
        let found = line.expect([prompt, "incorrect"]).expect("the machine answers");
        assert_eq!(found.pattern(), 0, "{}", String::from_utf8_lossy(found.before()));
        line.write(answer);
    }
    let found = line.expect(Pattern::regex(r"(\w+)@(?<host>\w+):.*[$#] ")).expect("a shell");
    assert_eq!(found.named_text("host").as_deref(), Some("n1"));
    assert!(String::from_utf8_lossy(found.before()).contains("Last login: today"));
    line
}

#[test]
fn a_dialogue_logs_in_over_a_line_at_several_speeds() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    for speed in [9_600, 115_200, 74_880] {
        let machine = machine(far, speed);
        let line = log_in(Serial::new(near, speed).process());
        assert_eq!((line.pid(), line.name()), (None, format!("serial {near} {speed}")));
        for line in [&line, &machine] {
            line.kill();
        }
        // What ended because it was killed is ok; and the device is free for the next.
        assert!(line.wait().ok() && machine.wait().ok());
    }
}

#[test]
fn a_mebibyte_of_any_bytes_passes_unchanged() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = cable.ends.each_ref().map(|end| Serial::new(end, 115_200).process().start());
    wait_until("both are there", || near.running() && far.running());
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|n| (n ^ n >> 8) as u8).collect();
    near.write(&bytes);
    wait_until("all has arrived", || far.stdout().len() >= bytes.len());
    assert!(far.stdout() == bytes);
    near.kill();
    far.kill();
    assert!(near.wait().ok() && far.wait().ok());
}

#[test]
fn a_line_that_vanishes_is_an_end_with_a_reason() {
    let Some(cable) = Cable::new() else { return };
    let near = cable.ends[0].clone();
    let line = Serial::new(&near, 9_600).process().start();
    wait_until("it is there", || line.running());
    drop(cable);
    let line = line.wait();
    let finished = line.finished().expect("it was waited for");
    assert_eq!((finished.ok, finished.outcome.exit_code(), finished.outcome.pid), (false, Some(1), None));
    assert!(finished.stderr.text().starts_with(&format!("the serial device {near} has vanished: ")), "{finished:?}");
    // Late is normal.
    line.write("x");
    line.kill();
}

#[test]
fn a_line_runs_until_its_time_is_over_and_can_be_opened_again() {
    let Some(cable) = Cable::new() else { return };
    let line = Serial::new(&cable.ends[0], 9_600).process().timeout(Duration::from_millis(50)).run();
    let finished = line.finished().expect("it has run");
    assert!(finished.outcome.timed_out && !finished.ok && !finished.outcome.forced_kill, "{finished:?}");
    let line = line.reset().ignore(Faults { timeout: true, ..Faults::default() }).run();
    assert!(line.ok(), "{line:?} {}", String::from_utf8_lossy(&line.stderr()));
}

#[test]
fn a_line_that_cannot_be_opened_is_a_start_error() {
    let Some(cable) = Cable::new() else { return };
    let reason = |process: Process| process.run().finished().expect("it has run").outcome.to_string();
    let missing = reason(Serial::new("/dev/ttyNONE", 9_600).process());
    assert!(missing.contains("cannot open the serial device /dev/ttyNONE"), "{missing}");
    let taken = Serial::new(&cable.ends[0], 9_600).process().start();
    wait_until("it is there", || taken.running());
    let busy = reason(Serial::new(&cable.ends[0], 9_600).process());
    assert!(busy.contains("another program is using it"), "{busy}");
    taken.kill();
    let to_file = reason(Serial::new(&cable.ends[1], 9_600).process().stdout_to(Output::Null));
    assert!(to_file.contains("a handler can write it elsewhere"), "{to_file}");
    assert!(taken.wait().ok());
}

/// Programs of the fleet, that is over there, that have the device open.
fn holders(fleet: &Fleet, device: &str) -> usize {
    let holds = |pid: &u32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path == Path::new(device))
    };
    fleet.survivors().iter().filter(|pid| holds(pid)).count()
}

/// Item 85.
#[test]
fn a_dialogue_logs_in_over_a_line_of_another_host_and_leaves_nobody_there() {
    let Some(fleet) = shared_fleet() else { return };
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let line = |speed| SerialSsh::new("node1", near, speed).params(params(fleet)).process();
    let holders = || holders(fleet, near);
    for close in [false, true] {
        let machine = machine(far, 19_200);
        let line = log_in(line(19_200));
        assert!(holders() > 0);
        if close {
            line.close_stdin();
        } else {
            line.kill();
        }
        let line = line.wait();
        assert!(line.ok(), "{line:?} {}", String::from_utf8_lossy(&line.stderr()));
        wait_until("nobody over there has the device", || holders() == 0);
        machine.kill();
        assert!(machine.wait().ok());
    }
    let missing = SerialSsh::new("node1", "/dev/ttyNONE", 9_600).params(params(fleet)).process().run();
    assert!(!missing.ok() && String::from_utf8_lossy(&missing.stderr()).contains("/dev/ttyNONE"));
}

#[test]
fn a_line_of_another_host_that_vanishes_is_an_end_with_a_reason() {
    let Some(fleet) = shared_fleet() else { return };
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let machine = machine(far, 9_600);
    let line = log_in(SerialSsh::new("node1", near, 9_600).params(params(fleet)).process());
    let near = near.clone();
    drop(cable);
    let line = line.wait();
    assert_eq!(line.finished().expect("it was waited for").outcome.exit_code(), Some(1));
    let said = String::from_utf8_lossy(&line.stderr()).into_owned();
    assert!(said.contains(&format!("the serial device {near} has vanished")), "{said}");
    assert!(!machine.wait().ok());
}
