//! ChildStdio those who have left the process group of a killed child: finds them by their mark, and sends what the group was
//! sent.
//!
//! One look goes through every process of the machine, some milliseconds for a thousand of them, so looks are shared:
//! what is wanted is collected, and one look serves all of it. And they are rationed, to a tenth of the time, so that a
//! thousand processes that end one by one after a kill do not cost a thousand looks.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::time::{Duration, Instant};

use phalanx_core::Signal;
use phalanx_core::descendants::{self, EnvTags};

use crate::id::ProcessId;

/// A look pauses this many times as long as it took.
const REST: u32 = 10;
/// Whoever starts new processes faster than this many looks in a row can kill them is let go: a fork bomb.
const MAX_SCANS: usize = 20;

/// The marks of one engine, and whom it looks for.
#[derive(Debug, Default)]
pub(super) struct DescendantKiller {
    marks: EnvTags,
    wanted: HashMap<u64, Wanted>,
    not_before: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    signal: Signal,
    /// The group that has been sent the signal already.
    group: u32,
}

impl DescendantKiller {
    /// The mark for one process.
    pub(super) fn mark(&self, id: ProcessId) -> CString {
        self.marks.of(id.number())
    }

    /// Asks that everybody who descends from `id` and is not in `group` be sent `signal`. SIGKILL is never taken back.
    pub(super) fn request(&mut self, id: ProcessId, signal: Signal, group: u32) {
        let wanted = self.wanted.entry(id.number()).or_insert(Wanted { signal, group });
        if wanted.signal != Signal::KILL {
            wanted.signal = signal;
        }
    }

    /// When the next look is due: at once, or after a rest; `None` if nobody is wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.wanted.is_empty()).then(|| self.not_before.unwrap_or_else(Instant::now))
    }

    /// Looks, if somebody is wanted and the rest is over.
    pub(super) fn run(&mut self, now: Instant) {
        if !self.wanted.is_empty() && self.not_before.is_none_or(|rest| rest <= now) {
            self.finish();
            let end = Instant::now();
            let rest = end.saturating_duration_since(now).max(Duration::from_millis(1)) * REST;
            self.not_before = Some(end + rest);
        }
    }

    /// Looks for all who are wanted, at once. Whoever is to be killed is looked for until nobody new appears, since it
    /// may have been starting another.
    pub(super) fn finish(&mut self) {
        let mut wanted = std::mem::take(&mut self.wanted);
        let mut met = HashSet::new();
        for _ in 0..MAX_SCANS {
            if wanted.is_empty() {
                return;
            }
            let found = descendants::find(&self.marks, |number| wanted.contains_key(&number));
            let mut new = false;
            for descendant in &found {
                let Wanted { signal, group } = wanted[&descendant.number];
                // The group has had its signal. It is sent SIGKILL again: a member may have been forked meanwhile.
                if (descendant.group != group || signal == Signal::KILL) && met.insert(descendant.pid) {
                    descendant.signal(signal);
                    if signal.asks_to_end() {
                        descendant.signal(Signal::CONT);
                    }
                    new = true;
                }
            }
            if !new {
                return;
            }
            wanted.retain(|_, wanted| wanted.signal == Signal::KILL);
        }
        log::warn!("some processes start others faster than they can be killed");
    }
}
