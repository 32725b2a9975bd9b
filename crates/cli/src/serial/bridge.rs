//! Joins stdin and stdout to the lines, on this thread, until one of the reasons to leave.
//!
//! ```text
//!  stdin ──read only while every line has taken all──▶ lines ──▶ stdout
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use phalanx_process::Signal;
use phalanx_process::engine::{Engine, EngineOptions};
use phalanx_process::event::{Event, Request, Stream};
use phalanx_process::id::ProcessId;
use phalanx_process::tty::{RawMode, wait_readable};

use super::Plan;
use super::member::Member;
use super::pace::InputLines;
use crate::exit;

/// Everything between a terminal and its lines.
pub(super) struct Bridge {
    drive: Engine,
    members: Vec<Member>,
    labelled: bool,
    input: Option<File>,
    /// The lines of stdin, if it is paced.
    input_lines: Option<InputLines>,
    output: File,
    escape: Option<u8>,
    searching: bool,
    quiet_time: Duration,
    deadline: Option<Instant>,
    /// When something was last sent or arrived.
    last: Instant,
    left: Option<Left>,
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The user pressed the escape key, or everything that was asked for has happened.
    Done,
    /// The time was over.
    TimedOut,
    /// No line is left.
    NoLine,
    /// Nobody reads our stdout any more.
    OutputClosed,
    /// This program was sent a signal.
    By(Signal),
}

impl Bridge {
    pub(super) fn new(mut plan: Plan) -> io::Result<Self> {
        let mut drive = Engine::current_thread(EngineOptions::default())?;
        drive.watch_signals(&[Signal::INT, Signal::TERM, Signal::HUP])?;
        let labelled = plan.lines.len() > 1;
        let now = Instant::now();
        let mut members = Vec::new();
        for (host, spec) in std::mem::take(&mut plan.lines) {
            let id = drive.start(spec);
            drive.request(id, Request::EmitOutput);
            members.push(Member::new(id, host, &plan, now));
        }
        Ok(Self {
            drive,
            members,
            labelled,
            // Not Rust's own stdin, which reads ahead where poll(2) cannot see it.
            input: Some(io::stdin().as_fd().try_clone_to_owned()?.into()),
            input_lines: plan.pacing.is_some().then(InputLines::default),
            output: io::stdout().as_fd().try_clone_to_owned()?.into(),
            escape: plan.escape,
            searching: plan.until.is_some(),
            quiet_time: plan.quiet_time,
            deadline: plan.timeout.and_then(|timeout| now.checked_add(timeout)),
            last: now,
            left: None,
        })
    }

    /// To the end; the exit status.
    pub(super) fn run(mut self) -> io::Result<u8> {
        let left = {
            let terminal = self.escape.map(|_| RawMode::enter(io::stdin())).transpose()?;
            let left = self.join();
            drop(terminal);
            left?
        };
        Ok(self.conclude(left))
    }

    fn join(&mut self) -> io::Result<Left> {
        loop {
            self.drive.turn()?;
            while let Some(event) = self.drive.take_event() {
                self.handle(event)?;
            }
            self.handle_timeout(Instant::now());
            if let Some(left) = self.reason_to_leave() {
                return Ok(left);
            }
            let waits = |member: &Member| member.busy || member.unsent() > 0;
            let input = self.input.as_ref().filter(|_| !self.members.iter().any(waits));
            let [_, typed] =
                wait_readable([Some(self.drive.as_fd()), input.map(|input| input.as_fd())], self.next_deadline())?;
            if typed {
                self.read_input()?;
            }
        }
    }

    fn handle(&mut self, event: Event) -> io::Result<()> {
        let now = Instant::now();
        let mut out = Vec::new();
        match event {
            Event::Output { id, stream: Stream::Stdout, bytes } => {
                self.last = now;
                let labelled = self.labelled;
                self.member(id).said(&bytes, labelled, &mut out, now);
            }
            Event::StdinDrained { id } => {
                self.last = now;
                self.member(id).busy = false;
            }
            Event::Ended { id, finished } => self.member(id).end(finished, &mut out),
            Event::Signal(signal) => self.left = Some(Left::By(signal)),
            // Its stderr is kept, and shown with its end.
            Event::Attached | Event::Started { .. } | Event::Output { .. } | Event::Timer { .. } | Event::Woken => {}
        }
        self.show(&out)
    }

    fn member(&mut self, id: ProcessId) -> &mut Member {
        self.members.iter_mut().find(|member| member.id == id).expect("nobody else was started")
    }

    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.output.write_all(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.left = Some(Left::OutputClosed),
            Err(error) => return Err(io::Error::new(error.kind(), format!("cannot write to stdout: {error}"))),
            Ok(()) => {}
        }
        Ok(())
    }

    fn read_input(&mut self) -> io::Result<()> {
        let Some(input) = &mut self.input else { return Ok(()) };
        let mut buffer = [0; 4096];
        let read = match input.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            // A raw terminal has no end of its own: it is gone, and the signal that says so is on its way.
            Ok(0) | Err(_) if self.escape.is_some() => {
                self.left = Some(Left::By(Signal::HUP));
                return Ok(());
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("cannot read stdin: {error}"))),
            Ok(read) => read,
        };
        self.last = Instant::now();
        let mut typed = &buffer[..read];
        if let Some(place) = self.escape.and_then(|escape| typed.iter().position(|byte| *byte == escape)) {
            typed = &typed[..place];
            self.left = Some(Left::Done);
        }
        let typed = typed.to_vec();
        if read == 0 {
            self.input = None;
        }
        match &mut self.input_lines {
            Some(lines) => {
                let lines = lines.feed(&typed);
                self.members.iter_mut().filter_map(|member| member.pace.as_mut()).for_each(|pace| {
                    lines.iter().for_each(|line| pace.push(line.clone()));
                });
            }
            None if typed.is_empty() => {}
            None => (0..self.members.len()).for_each(|index| self.send(index, &typed)),
        }
        Ok(())
    }

    fn send(&mut self, index: usize, bytes: &[u8]) {
        let member = &mut self.members[index];
        if !member.has_ended() {
            member.busy = true;
            self.last = Instant::now();
            self.drive.request(member.id, Request::Write(bytes.into()));
        }
    }

    /// Takes note of the time, and sends what is due.
    fn handle_timeout(&mut self, now: Instant) {
        for index in 0..self.members.len() {
            self.members[index].handle_timeout(now);
            while let Some(line) = self.members[index].pace.as_mut().and_then(|pace| pace.poll_write(now)) {
                self.send(index, &line);
            }
        }
    }

    /// The first that applies:
    ///
    /// 1. the escape key, a signal, or a closed stdout
    /// 2. every line has said what is looked for
    /// 3. no line is left
    /// 4. nothing is looked for, all of stdin was sent, and it has been quiet for the quiet time
    /// 5. the time is over
    fn reason_to_leave(&mut self) -> Option<Left> {
        let now = Instant::now();
        if self.left.is_some() {
            return self.left;
        }
        if self.searching && self.members.iter().all(Member::has_found) {
            return Some(Left::Done);
        }
        if self.members.iter().all(|member| member.has_ended() || member.has_found()) {
            return Some(Left::NoLine);
        }
        if self.quiet_at().is_some_and(|at| at <= now) {
            return Some(Left::Done);
        }
        self.deadline.filter(|deadline| *deadline <= now).map(|_| Left::TimedOut)
    }

    /// When it has been quiet for long enough.
    fn quiet_at(&self) -> Option<Instant> {
        let waits = |member: &Member| member.busy || member.unsent() > 0;
        let sent = self.input.is_none() && !self.members.iter().any(waits);
        if sent && !self.searching { self.last.checked_add(self.quiet_time) } else { None }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let own = [self.deadline, self.quiet_at(), self.drive.next_deadline()];
        own.into_iter().chain(self.members.iter().map(Member::poll_timeout)).flatten().min()
    }

    /// Says what went wrong. The lines are closed when this is dropped, and programs on other hosts end with their
    /// stdin.
    fn conclude(&self, left: Left) -> u8 {
        let faults: Vec<String> = self.members.iter().filter_map(Member::fault).collect();
        for fault in faults.iter().cloned().chain(self.members.iter().filter_map(Member::unsent_fault)) {
            exit::eprint(&fault);
        }
        match left {
            Left::By(signal) => exit::of_signal(signal.number()),
            Left::TimedOut => {
                exit::eprint(&"the time (--timeout) was over before all was done");
                exit::FAILED
            }
            Left::NoLine | Left::OutputClosed => exit::FAILED,
            Left::Done => u8::from(!faults.is_empty()),
        }
    }
}
