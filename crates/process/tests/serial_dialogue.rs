//! A login over a serial line: two ptys linked by socat stand for the two ends of a cable (S1 of the reference, items
//! 63 and 84).

use std::io::{BufRead, BufReader, ErrorKind, Lines};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use phalanx_core::serial::{LineSettings as Settings, Serial};
use phalanx_process::expect::{Expect, Matcher, Pattern, Script, Session, SessionResult};

/// Longer than any of this takes.
const SAFETY_NET: Duration = Duration::from_secs(30);

/// Two ptys and what is written to one coming out of the other, until dropped.
struct Cable {
    socat: Child,
    /// Kept open: socat must be able to write its log.
    _log: Lines<BufReader<ChildStderr>>,
    ends: [String; 2],
}

impl Cable {
    /// `None`, with a word about it, where there is no socat and that is allowed.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn new() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the spawn wrapper is not what is tested here")]
        let spawned =
            Command::new("socat").args(["-d", "-d", "pty,raw,echo=0", "pty,raw,echo=0"]).stderr(Stdio::piped()).spawn();
        let mut socat = match spawned {
            Ok(socat) => socat,
            Err(error) if error.kind() == ErrorKind::NotFound && std::env::var("CI").as_deref() != Ok("true") => {
                println!("skipped: a login over a serial line (socat is not installed)");
                return None;
            }
            Err(error) => panic!("cannot start socat: {error}"),
        };
        let mut log = BufReader::new(socat.stderr.take().expect("piped")).lines();
        let mut end = || {
            let said = log
                .by_ref()
                .map_while(Result::ok)
                .find_map(|line| line.split_once("PTY is ").map(|(_, path)| path.to_owned()));
            said.expect("socat says which pty it has opened")
        };
        let ends = [end(), end()];
        Some(Self { socat, _log: log, ends })
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.socat.kill();
        let _ = self.socat.wait();
    }
}

/// What has arrived within the patience; nothing if the line is silent.
fn receive(line: &Serial, patience: u16) -> Option<Vec<u8>> {
    let mut ready = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ready, PollTimeout::from(patience)).expect("poll") == 0 {
        return None;
    }
    let mut buffer = vec![0; 4096];
    let read = line.read(&mut buffer).expect("the line is there");
    buffer.truncate(read);
    Some(buffer)
}

fn send(line: &Serial, bytes: &[u8]) {
    assert_eq!(line.write(bytes).expect("room"), bytes.len());
}

/// The machine at the far end: asks, reads a line, asks the next.
fn machine(line: &Serial) -> Vec<Vec<u8>> {
    let mut stream = Matcher::default();
    let end_of_line = Expect::one("\n").expect("a text");
    let ask = |prompt: &[u8]| {
        send(line, prompt);
        let mut verdict = stream.expect(&end_of_line);
        while verdict.is_none() {
            let chunk = receive(line, 30_000).expect("an answer");
            verdict = stream.feed(&chunk);
        }
        verdict.expect("decided").expect("a line").before().to_vec()
    };
    let answers = [&b"\r\nDebian 12 n1 ttyS0\r\n\r\nn1 login: "[..], b"Password: "].into_iter().map(ask).collect();
    send(line, b"\r\nLast login: today\r\nroot@n1:~# ");
    answers
}

#[test]
fn a_dialogue_logs_in_over_a_serial_line_at_several_speeds() {
    let Some(cable) = Cable::new() else { return };
    let script = Script::new()
        .respond(Pattern::regex(r"^\w+ login: *"), "root\n")
        .respond("Password: ", "secret\n")
        .succeed_on(Pattern::regex(r"^\w+@(?<host>\w+):.*[$#] "))
        .fail_on("incorrect");
    for speed in [9_600, 115_200, 74_880] {
        let [near, far] = cable.ends.each_ref().map(|end| Serial::open(end, &Settings::at(speed)).expect("a line"));
        assert_eq!(near.speed().expect("a line"), speed);
        let answers = std::thread::scope(|scope| {
            let machine = scope.spawn(|| machine(&far));
            let mut session = Session::default();
            session.run_script(Instant::now(), &script, Some(SAFETY_NET)).expect("valid");
            let result = loop {
                let until = session.poll_timeout().expect("there is a limit");
                let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
                match receive(&near, u16::try_from(left).expect("short")) {
                    Some(chunk) => session.feed(Instant::now(), &chunk),
                    None => session.handle_timeout(Instant::now()),
                }
                while let Some(response) = session.poll_write() {
                    send(&near, &response);
                }
                if let Some(result) = session.poll_result() {
                    break result;
                }
            };
            assert!(matches!(result, SessionResult::Script(outcome) if outcome.ok()));
            machine.join().expect("no panic")
        });
        assert_eq!(answers, [b"root".to_vec(), b"secret".to_vec()]);
    }
}
