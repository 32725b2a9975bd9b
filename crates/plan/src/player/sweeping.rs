//! A sweep under way: which combination is next, and what became of those that were tried.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use phalanx_sweep::{Combination, Queue, QueueError, State};

use super::{Happening, Player, UnderWay};
use crate::model::{Failed, Sweep, Work};
use crate::workflow::{StepOutcome, StepRun};

/// A sweep under way.
#[derive(Debug)]
pub(super) struct Sweeping {
    source: Source,
    failed: Failed,
    /// Failed, and to be done again by somebody later, but not by us now.
    held: Vec<Combination>,
}

#[derive(Debug)]
enum Source {
    /// Nothing is remembered.
    List(VecDeque<Combination>),
    /// On disk, shared with others.
    Queue(Box<Queue>),
}

impl Sweeping {
    /// Makes the queue on disk be this sweep, and says how far it is.
    pub(super) fn begin(sweep: &Sweep) -> Result<(Self, Option<String>), QueueError> {
        let mut said = None;
        let source = match &sweep.queue {
            None => Source::List(sweep.combinations.iter().cloned().collect()),
            Some(directory) => {
                let queue = Queue::open(directory)?;
                queue.set(sweep.combinations.iter().cloned())?;
                let stats = queue.stats()?;
                // When nothing is left to do, that is said at the end.
                said = (stats.remaining > 0 && stats.remaining < stats.total).then(|| stats.to_string());
                Source::Queue(Box::new(queue))
            }
        };
        Ok((Self { source, failed: sweep.failed, held: Vec::new() }, said))
    }

    pub(super) fn next(&mut self) -> Result<Option<Combination>, QueueError> {
        match &mut self.source {
            Source::List(list) => Ok(list.pop_front()),
            Source::Queue(queue) => queue.next(),
        }
    }

    /// Takes note of what became of a combination; `None` if it was not done to its end.
    pub(super) fn tried(&mut self, combination: Combination, ok: Option<bool>) -> Result<(), QueueError> {
        let Source::Queue(queue) = &self.source else { return Ok(()) };
        match (ok, self.failed) {
            (Some(true), _) => queue.done(&combination).map(drop),
            (Some(false), Failed::Skip) => queue.skip(&combination).map(drop),
            // Given back at once, it would be the next again.
            (Some(false), Failed::Again) => {
                self.held.push(combination);
                Ok(())
            }
            (Some(false), Failed::Stop) | (None, _) => queue.cancel(&combination).map(drop),
        }
    }

    /// Gives back what is to be done again, and says how far the sweep is.
    pub(super) fn end(self) -> Result<Option<String>, QueueError> {
        let Source::Queue(queue) = self.source else { return Ok(None) };
        queue.cancel_batch(&self.held)?;
        let mut said = queue.stats()?.to_string();
        let elsewhere = queue.list(State::InProgress)?.len();
        if elsewhere > 0 {
            said += &format!("; {elsewhere} in progress in other processes");
        }
        Ok(Some(said))
    }
}

impl Player {
    pub(super) fn next_combination(&mut self, turn: StepRun) {
        let plan = Arc::clone(&self.plan);
        let Some(Work::Sweep(sweep)) = self.step(turn).map(|step| step.number).map(|number| &plan.step(number).work)
        else {
            unreachable!("only sweeps have combinations")
        };
        if let Entry::Vacant(place) = self.under_way.entry(turn) {
            match Sweeping::begin(sweep) {
                Ok((sweeping, said)) => {
                    place.insert(UnderWay::Sweep(Box::new(sweeping)));
                    self.happenings.extend(said.map(|text| Happening::Note { turn, text }));
                }
                Err(error) => return self.break_sweep(turn, error.to_string()),
            }
        }
        let Some(UnderWay::Sweep(sweeping)) = self.under_way.get_mut(&turn) else { return };
        match sweeping.next() {
            Err(error) => self.break_sweep(turn, error.to_string()),
            Ok(None) => drop(self.workflow.handle_iteration(turn, false, Instant::now())),
            Ok(Some(combination)) => {
                let Some(pass) = self.workflow.handle_iteration(turn, true, Instant::now()) else {
                    // It was stopped in the meantime.
                    let given_back = sweeping.tried(combination, None);
                    self.note_queue(turn, given_back.map_err(|error| error.to_string()));
                    return;
                };
                // Sub-factors that this combination does not have are empty.
                let empty = sweep.factors.iter().map(|name| (name.clone(), String::new()));
                let own = combination.iter().map(|(name, value)| (name.to_owned(), value.to_string()));
                let slug = [("combination".to_owned(), combination.slug())];
                self.values.insert(pass, empty.chain(own).chain(slug).collect());
                self.combinations.insert(pass, combination);
            }
        }
    }

    fn break_sweep(&mut self, turn: StepRun, reason: String) {
        self.reasons.insert(turn, reason);
        self.workflow.handle_iteration_failed(turn, Instant::now());
    }

    fn note_queue(&mut self, turn: StepRun, result: Result<(), String>) {
        if let Err(reason) = result {
            self.break_sweep(turn, reason);
        }
    }

    pub(super) fn combination_is_over(&mut self, pass: StepRun, verdict: StepOutcome) {
        let Some(sweep) = self.workflow.parent(pass) else { return };
        let Some(combination) = self.combinations.get(&pass).cloned() else { return };
        self.values.remove(&pass);
        let ok = match verdict {
            StepOutcome::Ok => Some(true),
            StepOutcome::Failed => Some(false),
            StepOutcome::Stopped(_) | StepOutcome::NotRun(_) => None,
        };
        let Some(UnderWay::Sweep(sweeping)) = self.under_way.get_mut(&sweep) else { return };
        let tried = sweeping.tried(combination, ok).map_err(|error| error.to_string());
        self.note_queue(sweep, tried);
    }
}
