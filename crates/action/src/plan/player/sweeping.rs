//! A sweep under way: which combination is next, and what became of those that were tried.

use std::collections::VecDeque;

use crate::plan::model::{Failed, Sweep};
use crate::sweep::{Combination, Queue, QueueError, State};

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
    Queue(Queue),
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
                Source::Queue(queue)
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
