//! Performs the effects of the table on local children, and says what it saw.
//!
//! It owns every descriptor of every child and knows nothing of policies: when to kill, what to keep and what counts
//! as an end is the table's business. This file has a child's life once it runs: signals, its exit, its release.
//! `start` makes one, `streams` moves its bytes.

mod failure;
mod start;
mod streams;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use phalanx_core::rlimit::{open_descriptors, raise_descriptor_limit};
use phalanx_core::signal::SignalWatch;
use phalanx_core::spawn::{PathCache, Spawner};
use phalanx_core::watchdog::{Registration, Watchdog};
use phalanx_core::{Child, Reactor, Ready, Signal};

pub(super) use self::failure::Failure;
use super::driver::{Driver, DriverCtx};
use super::kill_descendants::DescendantKiller;
use super::stdin::StdinPipe;
use super::stdio::ParentEnd;
use super::tokens::{Source, from_key};
use crate::event::{Effect, Input, SignalScope};
use crate::id::ProcessId;
use crate::spec::Launch;

/// One buffer for all reads: as large as a pipe.
const BUFFER: usize = 64 * 1024;
/// How many buffers are read of a stream whose writer has ended: more than any pipe holds by default.
const READS_AFTER_EXIT: usize = 17;
/// Descriptors left free for the rest of the program.
const HEADROOM: usize = 32;

/// Every running child of one engine.
pub(super) struct LocalDriver {
    spawner: Spawner,
    programs: PathCache,
    watchdog: Option<Watchdog>,
    watchdog_tried: bool,
    live: HashMap<ProcessId, LocalChild>,
    /// Streams that may have more to give, or to take, than they were allowed so far.
    ready: VecDeque<(ProcessId, Source)>,
    buffer: Box<[u8]>,
    descriptors: Descriptors,
    descendants: DescendantKiller,
    /// Whether it was said that nothing can be started although nothing of ours runs.
    shortage_told: bool,
    /// Present when exits are noticed by SIGCHLD instead of a pidfd each.
    sigchld: Option<SignalWatch>,
}

/// How many descriptors there are, and how many are taken.
#[derive(Debug, Clone, Copy)]
struct Descriptors {
    limit: usize,
    ours: usize,
}

/// The descriptors of one running child.
struct LocalChild {
    child: Child,
    line: Option<Registration>,
    stdout: Option<ParentEnd>,
    stderr: Option<ParentEnd>,
    diagnostics: Option<OwnedFd>,
    /// The terminal, until it is released: closing it earlier would hang up on the program.
    master: Option<OwnedFd>,
    /// Kept open until the child has ended, or its reader would see an end before the child has opened it.
    diagnostics_writer: Option<OwnedFd>,
    stdin: Option<StdinPipe>,
    exited: bool,
    descriptors: usize,
}

impl LocalDriver {
    /// No children yet. With `sigchld`, exits are noticed by that signal, reported under that key; a `watchdog` is started
    /// with the first child.
    pub(super) fn new(reactor: &Reactor, sigchld: Option<u64>, watchdog: bool) -> io::Result<Self> {
        let limit = raise_descriptor_limit()?;
        let sigchld = sigchld.map(|key| SignalWatch::new(reactor, key, &[Signal::CHLD])).transpose()?;
        let used = open_descriptors().unwrap_or(HEADROOM);
        let limit_for_us = usize::try_from(limit.current).unwrap_or(usize::MAX);
        Ok(Self {
            spawner: Spawner::new(Some(limit), sigchld.is_none())?,
            programs: PathCache::default(),
            watchdog: None,
            watchdog_tried: !watchdog,
            live: HashMap::new(),
            ready: VecDeque::new(),
            buffer: vec![0; BUFFER].into(),
            descriptors: Descriptors { limit: limit_for_us.saturating_sub(used + HEADROOM), ours: 0 },
            descendants: DescendantKiller::default(),
            shortage_told: false,
            sigchld,
        })
    }

    /// Sends SIGKILL to every child and its group, and waits for none.
    pub(super) fn kill_all(&mut self) {
        for (id, live) in &self.live {
            let _ = live.child.signal_group(Signal::KILL);
            self.descendants.request(*id, Signal::KILL, live.child.pid());
        }
    }

    /// Forgets every child without touching it: this is the child of a fork, and they are the parent's.
    pub(super) fn disclaim(&mut self) {
        self.live.clear();
        // Dropping it would end that of the parent.
        std::mem::forget(self.watchdog.take());
    }

    fn signal(&mut self, id: ProcessId, signal: Signal, scope: SignalScope) {
        let Some(live) = self.live.get(&id) else { return };
        let send = |signal| match scope {
            SignalScope::Process => live.child.signal(signal),
            SignalScope::Group | SignalScope::Everything => live.child.signal_group(signal),
        };
        let mut sent = send(signal);
        if signal.asks_to_end() {
            sent = sent.and_then(|()| send(Signal::CONT));
        }
        if scope == SignalScope::Everything && live.diagnostics_writer.is_none() {
            self.descendants.request(id, signal, live.child.pid());
        }
        if let Err(error) = sent {
            log::warn!("cannot send {signal} to pid {}: {error}", live.child.pid());
        }
    }

    fn release(&mut self, id: ProcessId) {
        let Some(live) = self.live.remove(&id) else { return };
        self.descriptors.ours -= live.descriptors;
        // Before the reaping: afterwards the number of the group may be somebody else's.
        self.release_line(live.line);
        if let Err(error) = live.child.reap() {
            log::error!("cannot reap {id}: {error}");
        }
    }

    /// Looks at every child without a pidfd: one SIGCHLD may stand for any number of exits.
    pub(super) fn handle_sigchld(&mut self, ctx: &mut DriverCtx<'_>) {
        if let Some(watch) = &mut self.sigchld {
            let _ = watch.take();
        }
        let waiting: Vec<_> = self.live.iter().filter(|(_, live)| !live.exited).map(|(id, _)| *id).collect();
        for id in waiting {
            self.exited(id, ctx);
        }
    }

    /// The child may have ended. What it wrote itself is read before its end is told: only what others write into its
    /// pipes later can be lost to the leak timeout.
    fn exited(&mut self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let Some(live) = self.live.get_mut(&id).filter(|live| !live.exited) else { return };
        let status = match live.child.peek() {
            Ok(None) => return,
            Ok(Some(status)) => status,
            Err(error) => {
                log::error!("cannot learn how {id} ended: {error}");
                phalanx_core::ExitStatus::Lost
            }
        };
        live.exited = true;
        for role in [Source::Diagnostics, Source::Stdout, Source::Stderr] {
            self.read(id, role, READS_AFTER_EXIT, ctx);
        }
        // What its pipe did not take by now it will never read.
        if let Some(stdin) = self.live.get_mut(&id).and_then(|live| live.stdin.take())
            && !stdin.queue.is_empty()
        {
            ctx.input(id, Input::WriteFailed);
        }
        ctx.input(id, Input::Exited(status));
    }
}

impl Driver for LocalDriver {
    fn perform(&mut self, effect: Effect, launch: Option<&Launch>, ctx: &mut DriverCtx<'_>) {
        match effect {
            Effect::Spawn(id) => self.spawn(id, launch.expect("a spawn comes with its launch"), ctx),
            Effect::Signal { id, signal, scope } => self.signal(id, signal, scope),
            Effect::Write(id, bytes) => {
                let Some(live) = self.live.get_mut(&id) else { return };
                match &mut live.stdin {
                    Some(stdin) => stdin.queue.push_back(bytes),
                    None => return ctx.input(id, Input::WriteFailed),
                }
                self.flush(id, ctx);
            }
            Effect::CloseStdin(id) => {
                let Some(live) = self.live.get_mut(&id) else { return };
                if let Some(stdin) = &mut live.stdin {
                    stdin.close(live.master.as_ref());
                    self.flush(id, ctx);
                }
            }
            // A local start is answered at once.
            Effect::Cancel(_) => {}
            Effect::Release(id) => self.release(id),
        }
    }

    fn holds(&self, id: ProcessId) -> bool {
        self.live.contains_key(&id)
    }

    fn handle_readiness(&mut self, ready: Ready, ctx: &mut DriverCtx<'_>) {
        let (id, source) = from_key(ready.token);
        match source {
            Source::Exit => self.exited(id, ctx),
            Source::Stdout | Source::Stderr | Source::Stdin | Source::Diagnostics => {
                self.ready.push_back((id, source));
            }
            Source::Terminal => {
                self.ready.extend(ready.readable.then_some((id, Source::Stdout)));
                self.ready.extend(ready.writable.then_some((id, Source::Stdin)));
            }
        }
    }

    fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn advance(&mut self, ctx: &mut DriverCtx<'_>) {
        self.move_bytes(ctx);
    }

    /// Returns when a scan for processes that have left their groups is due.
    fn next_deadline(&self) -> Option<Instant> {
        self.descendants.due()
    }

    fn handle_timeout(&mut self, ctx: &mut DriverCtx<'_>) {
        self.descendants.run(ctx.now);
    }
}

impl Drop for LocalDriver {
    /// No child outlives its engine.
    fn drop(&mut self) {
        self.kill_all();
        self.descendants.finish();
        for (_, live) in std::mem::take(&mut self.live) {
            self.release_line(live.line);
            let _ = live.child.reap();
        }
    }
}
