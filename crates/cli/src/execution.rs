//! Runs a plan on an engine of this thread, and shows what happens: that of `phalanx play`, or one with a single step, which
//! is what `phalanx run`, `put` and `get` are.
//!
//! ```text
//!  running ──first SIGINT or SIGTERM──▶ stopping ──second──▶ killing ──▶ over
//!     │  nothing new is started,           │  SIGKILL to all     ▲
//!     │  SIGTERM to all, then a grace      └── all have ended ───┤
//!     └────────────────── all have ended ────────────────────────┘
//! ```

mod events;
mod summary;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phalanx_plan::player::Manner;
use phalanx_plan::workflow::{StepOutcome, StepRun};
use phalanx_plan::{Happening, Plan, Player};
use phalanx_process::Signal;
use phalanx_process::stats::Stats;
use phalanx_record::report::Report;

use crate::exit;
use crate::output::{Conclusion, OutputError, Reporter, StepId};
use crate::shutdown::{SIGNALS, ShutdownState};

/// How often what changes with time is shown anew.
const TICK: Duration = Duration::from_millis(200);

/// What is run, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Work on hosts, which are counted and summed up; there is no word of a step.
    Run,
    /// Steps with names.
    Plan,
}

/// A plan under way.
struct Execution<'a> {
    shape: Shape,
    player: Player,
    reporter: Reporter<'a>,
    shutdown: ShutdownState,
    max_status: bool,
    began: Instant,
}

/// Runs a plan to its end. With `max_status`, the exit status is the largest of a host, if that is not 0.
pub(crate) fn execute(
    shape: Shape,
    (plan, manner): (Plan, Manner),
    reporter: Reporter<'_>,
    max_status: bool,
) -> ExitCode {
    match Execution::new(shape, (plan, manner), reporter, max_status).and_then(Execution::run_to_the_end) {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::internal(&format!("cannot go on: {error}")),
    }
}

impl<'a> Execution<'a> {
    fn new(shape: Shape, (plan, manner): (Plan, Manner), reporter: Reporter<'a>, max_status: bool) -> io::Result<Self> {
        let mut player = Player::new(Arc::new(plan), manner)?;
        player.watch_signals(&SIGNALS)?;
        reporter.on_progress(player.waker());
        Ok(Self { shape, player, reporter, shutdown: ShutdownState::No, max_status, began: Instant::now() })
    }

    fn run_to_the_end(mut self) -> io::Result<u8> {
        while !self.player.is_over() {
            let happening = match self.player.take_happening() {
                Some(happening) => Some(happening),
                None if self.player.is_over() => break,
                None => {
                    // Nothing more at hand: let it be seen what has come so far, before waiting for more.
                    self.watch_output(Reporter::flush);
                    let is_congested = self.reporter.is_congested();
                    self.player.set_reading(!is_congested);
                    let deadline = (is_congested || self.reporter.needs_ticks()).then(|| Instant::now() + TICK);
                    self.player.next_happening(deadline)?
                }
            };
            self.handle(happening);
        }
        self.conclude()
    }

    fn handle(&mut self, happening: Option<Happening>) {
        match happening {
            None | Some(Happening::Woken | Happening::Signal(Signal::XFSZ)) => {}
            Some(Happening::Signal(signal)) => self.on_signal(signal),
            Some(happening) => {
                if let Some(event) = events::job_event(self.shape, &self.player, &happening) {
                    self.watch_output(|reporter| reporter.handle(event));
                }
            }
        }
        self.reporter.tick();
    }

    /// Stops everything: once politely, then at once.
    fn on_signal(&mut self, signal: Signal) {
        let running = self.members(self.player.running());
        match self.shutdown {
            ShutdownState::No => {
                let waiting = match self.shape {
                    Shape::Run => self.members(self.player.waiting()),
                    Shape::Plan => Vec::new(),
                };
                self.reporter.stopping(signal, &running, &waiting);
                self.player.stop();
                self.shutdown = ShutdownState::Asked(signal);
            }
            ShutdownState::Asked(first) | ShutdownState::Killed(first) => {
                self.reporter.killing(&running);
                self.player.kill();
                self.shutdown = ShutdownState::Killed(first);
            }
            ShutdownState::OutputClosed | ShutdownState::OutputFailed => {}
        }
    }

    fn members(&self, members: Vec<(StepRun, usize)>) -> Vec<(StepId, usize)> {
        members.into_iter().map(|(turn, member)| (events::step_id(self.shape, turn), member)).collect()
    }

    fn watch_output(&mut self, show: impl FnOnce(&mut Reporter<'a>) -> Result<(), OutputError>) {
        let shown = show(&mut self.reporter);
        let what = match self.shape {
            Shape::Run => "run",
            Shape::Plan => "plan",
        };
        if self.shutdown.is_forced_by(shown, what) {
            self.player.kill();
        }
    }

    fn conclude(mut self) -> io::Result<u8> {
        // The status tells whether what was said so far could be recorded.
        self.watch_output(Reporter::flush);
        let conclusion = match self.shape {
            Shape::Run => self.conclusion_of_run(),
            Shape::Plan => summary::conclusion(&self.player, &self.reporter, self.status(), self.began.elapsed()),
        };
        self.watch_output(|reporter| reporter.conclude(conclusion));
        self.drain()?;
        self.player.join();
        Ok(self.status())
    }

    fn conclusion_of_run(&self) -> Conclusion {
        let state = self.reporter.step(StepId::RUN).expect("its step begins at once");
        let report = self.reporter.wants_report().then(|| {
            let mut report = Report::default();
            report.add(Stats { name: self.player.plan().name.clone(), ..state.stats() });
            report
        });
        Conclusion { exit_status: self.status(), steps: None, lines: state.stopped(), report }
    }

    /// Waits until everything has been written. While it is not read, a signal ends that too.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = self.shutdown.drain_deadline();
        while !self.reporter.is_drained() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            if let Some(Happening::Signal(signal)) = self.player.next_happening(deadline)?
                && self.shutdown.ends_waiting(signal)
            {
                return Ok(());
            }
        }
        self.watch_output(Reporter::flush);
        Ok(())
    }

    /// The first that applies: how it was stopped, the largest remote status if that is wanted, whether all went well.
    fn status(&self) -> u8 {
        if let Some(status) = self.shutdown.status() {
            return status;
        }
        let went_well = match self.shape {
            Shape::Run => !self.reporter.has_failures(),
            Shape::Plan => self.player.workflow().result(StepRun::ROOT) == Some(StepOutcome::Ok),
        };
        match self.reporter.max_status() {
            status if self.max_status && status > 0 => status,
            // A record that cannot be relied on is a failure of its own.
            _ if !went_well || self.reporter.record_is_incomplete() => exit::FAILED,
            _ => exit::OK,
        }
    }
}
