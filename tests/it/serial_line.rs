//! `phalanx serial`, in a script and on a terminal.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::termios::{FlushArg, LocalFlags, Termios, tcflush, tcgetattr};
use phalanx_process::Process;
use phalanx_process::expect::Script;
use phalanx_process::serial::Serial;
use phalanx_process::spec::Faults;
use phalanx_process::watch::Timeout;
use phalanx_tests::{SAFETY_NET, phalanx, shared_fleet, wait_until};

use crate::cable::Cable;
use crate::phalanx::{Phalanx, kill};
use crate::serial::machine;
use crate::terminal::terminal;

/// The far end of a line, listening.
fn far_end(device: &str, speed: u32) -> Process {
    let far = Serial::new(device, speed).process().start();
    wait_until("the far end is there", || far.running());
    far
}

#[test]
fn a_script_sends_stdin_and_ends_when_the_line_has_said_what_is_looked_for() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let machine = machine(far, 9_600);
    let line = format!(r"printf '\nroot\nsecret\n' | $PHALANX serial {near} 9600 --until '# $' --timeout 60");
    let ran = Phalanx::shell(&line).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert!(ran.stdout().contains("Password: ") && ran.stdout().ends_with("root@n1:~# "), "{}", ran.stdout());
    machine.kill();
    // The machine is deaf now.
    let line = format!("echo | $PHALANX serial {near} 9600 --until '# $' --timeout 0.2");
    let ran = Phalanx::shell(&line).output();
    assert_eq!((ran.status(), ran.stdout()), (Some(1), String::new()));
    assert!(ran.stderr().contains("(--timeout)"), "{}", ran.stderr());
}

/// Lines of a console end with CR LF, and what it says need not be text.
#[test]
fn what_is_looked_for_is_found_in_any_bytes_and_before_either_line_ending() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    for (said, regex) in [
        (&b"load average: 0.01\n"[..], r"load average.*\n"),
        (b"load average: 0.01\r\n", r"load average.*\n"),
        (b"load average: 0.01\r\n", "load average.*1$"),
        (b"ver\xff1 login: ", "ver.*login: "),
        (b"ver\xff1\r login: ", "ver[^x]1.* login: "),
    ] {
        let machine = Serial::new(far, 9_600).process().nolog(Faults::ALL).start();
        wait_until("the machine is there", || machine.running());
        let talking = machine.clone();
        let script = Script::new().respond("\n", said);
        std::thread::spawn(move || talking.run_script(Timeout::After(SAFETY_NET), &script));
        let line = format!("echo | $PHALANX serial {near} 9600 --until '{regex}' --timeout 60");
        let ran = Phalanx::shell(&line).output();
        assert_eq!(ran.status(), Some(0), "{regex} {}", ran.stderr());
        machine.kill();
        assert!(machine.wait().ended());
    }
}

/// The far end of a line as a getty and login are: echoes, ends its lines with CR LF, and discards what was sent before it
/// asks.
fn console(device: &str) -> std::thread::JoinHandle<Vec<String>> {
    let mut line = File::options().read(true).write(true).open(device).expect("the line is there");
    std::thread::spawn(move || {
        let prompts =
            ["n1 login: ", "Password: ", "Last login: today\r\n# ", " 12:00 up, load average: 0.01, 0.02\r\n# "];
        let mut heard = Vec::new();
        for prompt in prompts {
            let mut text = Vec::new();
            let mut byte = [0];
            while !text.ends_with(b"\n") && line.read(&mut byte).is_ok_and(|read| read == 1) {
                text.push(byte[0]);
            }
            heard.push(String::from_utf8(text).expect("text"));
            tcflush(&line, FlushArg::TCIFLUSH).expect("a terminal");
            line.write_all(format!("\r\n{prompt}").as_bytes()).expect("the line takes it");
        }
        heard
    })
}

/// The command of the manual, on a line of ours.
#[test]
fn the_example_of_the_manual_logs_in_where_early_input_is_discarded() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md")).expect("it is there");
    let example = manual.lines().find(|line| line.contains("| phalanx serial /dev/ttyUSB0")).expect("there is one");
    let example = example.replace("phalanx serial /dev/ttyUSB0", &format!("$PHALANX serial {near}"));
    for example in
        [example.replace("--timeout 10", "--timeout 60"), example.replace("--timeout 10", "--timeout 60 --delay 0.1")]
    {
        let console = console(far);
        let ran = Phalanx::shell(&example).output();
        assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
        assert!(
            ran.stdout().ends_with("load average: 0.01, 0.02\r\n# ") || ran.stdout().ends_with("0.02\r\n"),
            "{}",
            ran.stdout()
        );
        assert_eq!(console.join().expect("no panic"), ["\n", "root\n", "secret\n", "uptime\n"]);
    }
}

#[test]
fn input_that_was_not_asked_for_is_not_sent_and_that_is_said() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let far = far_end(far, 9_600);
    let line = format!(r"printf 'one\ntwo\n' | $PHALANX serial {near} 9600 --prompt 'login: ' --timeout 0.5");
    let ran = Phalanx::shell(&line).output();
    assert_eq!(ran.status(), Some(1));
    let said = "not all of stdin was sent: the line has not said /login: / (--prompt) again";
    assert!(ran.stderr().contains(said), "{}", ran.stderr());
    assert_eq!(far.stdout(), b"one\n");
    // Without --until, it ends when everything was sent.
    let line = format!(r"printf 'one\ntwo' | $PHALANX serial {near} 9600 --delay 0.05 --quiet-time 0.1 --timeout 60");
    let ran = Phalanx::shell(&line).output();
    assert_eq!((ran.status(), ran.stderr()), (Some(0), String::new()));
    wait_until("all has arrived", || far.stdout() == b"one\none\ntwo");
    far.kill();
    assert!(far.wait().ok());
}

#[test]
fn without_a_regular_expression_a_script_ends_after_stdin_and_a_silence() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let far = far_end(far, 115_200);
    let line = format!("head -c 300000 /dev/zero | $PHALANX serial {near} 115200 --quiet-time 0.1");
    let ran = Phalanx::shell(&line).output();
    assert_eq!((ran.status(), ran.stderr()), (Some(0), String::new()));
    wait_until("all has arrived", || far.stdout().len() == 300_000);
    far.kill();
    assert!(far.wait().ok());
    ran.assert_nothing_left();
}

#[test]
fn what_is_wrong_with_a_line_is_said_in_a_sentence() {
    for (arguments, status, said) in [
        (&["/dev/ttyNONE", "9600"][..], 1, "cannot open the serial device /dev/ttyNONE"),
        (&["/dev/ttyNONE", "0"], 2, "0"),
        (&["/dev/ttyNONE", "9600", "--until", "("], 2, "--until"),
        (&["/dev/ttyNONE", "9600", "--prompt", "("], 2, "cannot look for what --prompt says"),
        (&["/dev/ttyNONE", "9600", "--escape", "xx"], 2, "expected one character"),
        (&["/dev/ttyNONE", "9600", "--data-bits", "9"], 2, "9"),
        (&["/dev/ttyNONE", "9600", "-l", "root"], 2, "-l, --user is about other hosts"),
        (&["/dev/ttyNONE", "9600", "-i", "/nowhere"], 2, "-i, --key is about other hosts"),
        (&["/dev/ttyNONE", "9600", "-p", "22"], 2, "-p, --port is about other hosts"),
        (&["/dev/ttyNONE", "9600", "-o", "A=b"], 2, "name its hosts with -w"),
        (&["/dev/ttyNONE", "9600", "-x", "node1"], 2, "-x, --exclude is about other hosts"),
    ] {
        let ran = Phalanx::verb("serial", arguments).output();
        assert_eq!(ran.status(), Some(status), "{arguments:?} {}", ran.stderr());
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
    }
}

#[test]
fn an_output_that_takes_nothing_is_said_and_a_stderr_that_takes_nothing_is_no_panic() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let machine = machine(far, 9_600);
    let ran = Phalanx::shell(&format!("echo | $PHALANX serial {near} 9600 > /dev/full")).output();
    assert_eq!(ran.status(), Some(3));
    assert!(ran.stderr().contains("cannot write to stdout: No space left"), "{}", ran.stderr());
    machine.kill();
    let ran = Phalanx::shell("$PHALANX serial /dev/ttyNONE 9600 2> /dev/full").output();
    assert_eq!(ran.status(), Some(1));
}

#[test]
fn lines_of_several_hosts_come_with_their_host() {
    let Some(fleet) = shared_fleet() else { return };
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let machine = machine(far, 9_600);
    // Both names are this machine, so both share one line, and one of them hears each byte.
    let config = fleet.ssh_config();
    let line = format!(
        "echo | $PHALANX serial {near} 9600 -w node1,node2 -F {} --quiet-time 2",
        config.to_str().expect("text")
    );
    let ran = Phalanx::shell(&line).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    assert!(!ran.stdout().is_empty());
    for line in ran.stdout().lines() {
        assert!(line.starts_with("node1: ") || line.starts_with("node2: "), "{line}");
    }
    let missing = Phalanx::verb("serial", &["/dev/ttyNONE", "9600", "-w", "node1", "-F"]).args([&config]).output();
    assert_eq!(missing.status(), Some(1));
    assert!(missing.stderr().contains("node1: stty: "), "{}", missing.stderr());
    machine.kill();
}

/// `phalanx serial` on a terminal of its own.
struct AtTerminal {
    child: Child,
    keyboard: File,
    terminal: File,
    before: Termios,
}

impl AtTerminal {
    #[expect(clippy::disallowed_methods, reason = "the program under test is an ordinary child of the test")]
    fn start(arguments: &[&str]) -> Self {
        let (keyboard, terminal) = terminal();
        let before = tcgetattr(&terminal).expect("a terminal");
        let mut command = Command::new(phalanx());
        command.arg("serial").args(arguments).stderr(Stdio::piped());
        command.stdin(terminal.try_clone().expect("a descriptor")).stdout(terminal.try_clone().expect("a descriptor"));
        let mut child = command.spawn().expect("the program can be started");
        let mut greeting = String::new();
        BufReader::new(child.stderr.as_mut().expect("it is piped")).read_line(&mut greeting).expect("text");
        assert!(greeting.ends_with("leaves\n"), "{greeting}");
        let raw = || !tcgetattr(&terminal).expect("a terminal").local_flags.contains(LocalFlags::ICANON);
        wait_until("the terminal is raw", raw);
        Self { child, keyboard, terminal, before }
    }

    fn types(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("the terminal takes it");
    }

    fn shows(&mut self, expected: &[u8]) {
        let mut shown = vec![0; expected.len()];
        self.keyboard.read_exact(&mut shown).expect("it is shown");
        assert_eq!(shown, expected);
    }

    /// Its exit status; the terminal must be as it was.
    fn end(mut self) -> ExitStatus {
        let status = self.child.wait().expect("it is ours");
        assert_eq!(tcgetattr(&self.terminal).expect("a terminal"), self.before);
        status
    }
}

#[test]
fn on_a_terminal_every_key_is_sent_until_the_escape_key() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = &cable.ends;
    let far = far_end(far, 9_600);
    let mut user = AtTerminal::start(&[near, "9600"]);
    user.types(b"ls\x03\r");
    wait_until("the keys have arrived", || far.stdout() == b"ls\x03\r");
    far.write("file\r\n");
    user.shows(b"file\r\n");
    user.types(b"\x1d");
    assert_eq!(user.end().code(), Some(0));
    let mut user = AtTerminal::start(&[near, "9600", "--escape", "^A"]);
    user.types(b"\x1d\x01");
    assert_eq!(user.end().code(), Some(0));
    wait_until("the other key was sent", || far.stdout().ends_with(b"\x1d"));
    far.kill();
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    let Some(cable) = Cable::new() else { return };
    let [near, far] = cable.ends.clone();
    let far = far_end(&far, 9_600);
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let user = AtTerminal::start(&[&near, "9600"]);
        kill(signal, user.child.id());
        assert_eq!(user.end().code(), Some(status));
    }
    let mut user = AtTerminal::start(&[&near, "9600"]);
    let gone = std::mem::replace(&mut user.keyboard, File::open("/dev/null").expect("it is there"));
    drop((gone, user.terminal));
    assert_eq!(user.child.wait().expect("it is ours").code(), Some(129));
    let user = AtTerminal::start(&[&near, "9600"]);
    drop(cable);
    assert_eq!(user.end().code(), Some(1));
    assert!(!far.wait().ok());
}
