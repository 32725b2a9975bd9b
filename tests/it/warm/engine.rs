//! Sessions over real masters as processes of the engine: what they are told apart by, and that nothing hangs.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use phalanx_process::engine::EngineHandle;
use phalanx_process::mux::Session;
use phalanx_process::result::{Evidence, HostResult, ResultKind, Route};
use phalanx_process::spec::{Command, MuxSession, Stdin};
use phalanx_process::{Process, Spec};
use phalanx_tests::{SAFETY_NET, shared_fleet, wait_until};

use super::Master;

fn process(socket: &Path, command: &str) -> Process {
    opening_within(socket, command, SAFETY_NET)
}

fn opening_within(socket: &Path, command: &str, open_timeout: Duration) -> Process {
    let request = Session { command: command.into(), ..Session::default() };
    let session = MuxSession { socket: socket.to_owned(), request, open_timeout };
    Process::from_spec(Spec::from(Command::MuxSession(session)), EngineHandle::global())
}

fn result(process: &Process) -> HostResult {
    Evidence::new(&process.finished().expect("it has ended"), Route::Direct).judge()
}

#[test]
fn a_command_has_its_status_and_its_streams_and_255_is_its_own() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    for status in [0, 1, 7, 255] {
        let process = process(&master.socket(), &format!("echo out; echo err >&2; exit {status}")).run();
        assert_eq!((process.stdout(), process.stderr()), (b"out\n".to_vec(), b"err\n".to_vec()));
        assert_eq!(process.exit_code(), Some(status), "{process:?}");
        assert_eq!(process.outcome().expect("it has ended").pid, None, "no process runs here");
    }
}

#[test]
fn every_byte_passes_in_both_directions_and_in_any_amount() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let every_byte: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let process = process(&master.socket(), "tee /dev/stderr").stdin(Stdin::Data(every_byte.clone().into())).run();
    assert_eq!(process.exit_code(), Some(0), "{process:?}");
    assert!(process.stdout() == every_byte && process.stderr() == every_byte);
}

/// More than the queue of a control socket has places for.
#[test]
fn three_hundred_sessions_start_at_once_on_one_master() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let logins = fleet.logins();
    let start = |index: i32| process(&master.socket(), &format!("echo {index}; exit {}", index % 200)).start();
    let processes: Vec<_> = (0..300).map(start).collect();
    for (index, process) in (0..).zip(processes) {
        let process = process.wait();
        assert_eq!(process.exit_code(), Some(index % 200), "{process:?}");
        assert_eq!(process.stdout(), format!("{index}\n").as_bytes());
    }
    assert_eq!(fleet.logins(), logins, "no other connection was made");
}

#[test]
fn a_signal_there_is_told_from_a_status_and_from_a_lost_connection() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let process = process(&master.socket(), "echo before; kill -9 $$").run();
    assert_eq!((result(&process), process.stdout()), (HostResult::Signaled(None), b"before\n".to_vec()));
}

#[test]
fn a_master_that_dies_loses_its_sessions_with_a_reason() {
    let Some(fleet) = shared_fleet() else { return };
    let mut master = Master::of(fleet);
    let process = process(&master.socket(), "echo before; cat").stdin(Stdin::Pipe).start();
    wait_until("the command has said something", || process.stdout() == b"before\n");
    master.kill();
    let process = process.wait();
    let HostResult::Lost { reason, .. } = result(&process) else { panic!("{process:?}") };
    assert!(reason.contains("its connection broke"), "{reason}");
    // And nothing starts over it any more.
    let later = super::engine::process(&master.socket(), "true").run();
    assert!(result(&later).sentence().contains("cannot be reached"), "{later:?}");
}

#[test]
fn a_server_that_dies_loses_its_sessions_with_a_reason() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let process = process(&master.socket(), "kill -9 $PPID; cat").stdin(Stdin::Pipe).run();
    assert_eq!(result(&process).kind(), ResultKind::Lost, "{process:?}");
}

#[test]
fn a_session_beyond_the_limit_is_a_start_error_that_names_it_and_the_others_go_on() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of_server_with(fleet, &["MaxSessions=2"]);
    let open = || process(&master.socket(), "cat").stdin(Stdin::Pipe).start().wait_started();
    let others = [open(), open()];
    let refused = process(&master.socket(), "true").run();
    assert!(result(&refused).sentence().contains("MaxSessions"), "{refused:?}");
    for process in others {
        process.write("still here");
        process.close_stdin();
        let process = process.wait();
        assert_eq!((process.exit_code(), process.stdout()), (Some(0), b"still here".to_vec()));
    }
}

#[test]
fn a_kill_closes_the_session_and_its_master_goes_on() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let process = process(&master.socket(), "echo before; cat").stdin(Stdin::Pipe).start();
    wait_until("the command has said something", || process.stdout() == b"before\n");
    process.kill();
    let process = process.wait();
    assert_eq!(
        (result(&process), process.outcome().expect("it has ended").leaked),
        (HostResult::Interrupted, false),
        "{process:?}"
    );
    assert_eq!(super::engine::process(&master.socket(), "exit 3").run().exit_code(), Some(3));
}

#[test]
fn a_command_has_its_time_and_no_more() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let process = process(&master.socket(), "cat").stdin(Stdin::Pipe).timeout(0.1).run();
    assert_eq!(result(&process).kind(), ResultKind::Timeout, "{process:?}");
}

#[test]
fn a_master_that_is_stopped_makes_no_start_and_no_kill_wait_for_ever() {
    let Some(fleet) = shared_fleet() else { return };
    let master = Master::of(fleet);
    let running = process(&master.socket(), "echo before; cat").stdin(Stdin::Pipe).start();
    wait_until("the command has said something", || running.stdout() == b"before\n");
    let pid = Pid::from_raw(master.pid().cast_signed());
    kill(pid, Signal::SIGSTOP).expect("it is ours");
    let silent = opening_within(&master.socket(), "true", Duration::from_millis(100)).run();
    assert!(result(&silent).sentence().contains("does not answer"), "{silent:?}");
    running.kill();
    assert_eq!(result(&running.wait()), HostResult::Interrupted);
    kill(pid, Signal::SIGCONT).expect("it is ours");
    assert_eq!(process(&master.socket(), "exit 3").run().exit_code(), Some(3));
}
