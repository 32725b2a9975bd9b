//! What all the lines of a journal add up to: the sweep, and where each combination stands.
//!
//! Pure. Questions are answered with the records that would have to be written; only [`Ledger::apply`] changes
//! anything, so the state in memory is always what was written.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::combination::Combination;
use super::error::QueueError;
use super::owner::Owner;
use super::record::{Record, State};

/// Every combination that was ever part of the sweep or moved, and the current sweep.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    numbers: HashMap<Combination, usize>,
    /// Numbers of entries, in the order of the sweep.
    sweep: Vec<usize>,
    /// Places in the sweep that are [`State::Todo`]: the next is found without looking at what is done.
    todo: BTreeSet<usize>,
    /// By state, of the sweep only.
    counts: [usize; State::ALL.len()],
}

#[derive(Debug)]
struct Entry {
    combination: Combination,
    state: State,
    /// The process that has it, while it is in progress.
    owner: Option<Box<Owner>>,
    /// Its index in the sweep; `None` when it was removed from it.
    place: Option<usize>,
}

/// A transition that a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    /// It has been done, by whichever process: a result is a result.
    Done,
    /// It is given up. What is done stays done.
    Skip,
    /// The caller gives it back.
    Cancel,
}

impl Ledger {
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Format => {}
            Record::Sweep(sweep) => self.apply_sweep(sweep),
            Record::State { state, combination, owner } => {
                let number = self.number(combination);
                self.leave_state(number);
                self.entries[number].state = state;
                let is_owned = state == State::InProgress;
                self.entries[number].owner = owner.filter(|_| is_owned).map(Box::new);
                self.enter_state(number);
            }
        }
    }

    fn apply_sweep(&mut self, sweep: Vec<Combination>) {
        for number in std::mem::take(&mut self.sweep) {
            self.leave_state(number);
            self.entries[number].place = None;
        }
        for combination in sweep {
            let number = self.number(combination);
            if self.entries[number].place.is_none() {
                self.entries[number].place = Some(self.sweep.len());
                self.sweep.push(number);
                self.enter_state(number);
            }
        }
    }

    fn number(&mut self, combination: Combination) -> usize {
        *self.numbers.entry(combination).or_insert_with_key(|combination| {
            let combination = combination.clone();
            self.entries.push(Entry { combination, state: State::Todo, owner: None, place: None });
            self.entries.len() - 1
        })
    }

    fn leave_state(&mut self, number: usize) {
        let Entry { state, place: Some(place), .. } = self.entries[number] else { return };
        self.counts[state as usize] -= 1;
        self.todo.remove(&place);
    }

    fn enter_state(&mut self, number: usize) {
        let Entry { state, place: Some(place), .. } = self.entries[number] else { return };
        self.counts[state as usize] += 1;
        if state == State::Todo {
            self.todo.insert(place);
        }
    }

    /// Returns how many combinations of the sweep are in `state`.
    pub(super) fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// Returns the combinations of the sweep that are in `state`, in its order, with the process that has each.
    pub(super) fn list(&self, state: State) -> impl Iterator<Item = (&Combination, Option<&Owner>)> {
        let entries = self.sweep.iter().map(|number| &self.entries[*number]);
        let there = entries.filter(move |entry| entry.state == state);
        there.map(|entry| (&entry.combination, entry.owner.as_deref()))
    }

    /// Returns the record that makes the sweep `sweep`, with how many combinations that adds and removes; `None` when
    /// nothing changes.
    pub(super) fn set(&self, sweep: Vec<Combination>) -> Option<(Record, usize, usize)> {
        let mut seen = HashSet::new();
        let sweep: Vec<_> = sweep.into_iter().filter(|combination| seen.insert(combination.clone())).collect();
        let now = || self.sweep.iter().map(|number| &self.entries[*number].combination);
        if now().eq(&sweep) {
            return None;
        }
        let kept = now().filter(|combination| seen.contains(*combination)).count();
        let (added, removed) = (sweep.len() - kept, self.sweep.len() - kept);
        Some((Record::Sweep(sweep), added, removed))
    }

    /// Returns up to `count` combinations to do, those with the smallest keys first, ties in the order of the sweep;
    /// those without a key are left out.
    pub(super) fn choose<K: Ord>(
        &self,
        count: usize,
        mut key: impl FnMut(&Combination) -> Option<K>,
    ) -> Vec<Combination> {
        let todo = self.todo.iter().map(|place| &self.entries[self.sweep[*place]].combination);
        let mut wanted: Vec<_> =
            todo.filter_map(|combination| key(combination).map(|key| (key, combination))).collect();
        wanted.sort_by(|(left, _), (right, _)| left.cmp(right)); // Stable.
        wanted.into_iter().take(count).map(|(_, combination)| combination.clone()).collect()
    }

    /// Returns the first `count` combinations to do: [`Ledger::choose`] without looking at all of them.
    pub(super) fn first(&self, count: usize) -> Vec<Combination> {
        let places = self.todo.iter().take(count);
        places.map(|place| self.entries[self.sweep[*place]].combination.clone()).collect()
    }

    /// Returns the records by which everything that dead processes had taken is to do again, removed combinations
    /// included.
    pub(super) fn free_dead(&self, own: &Owner) -> Vec<Record> {
        let mut judged: HashMap<&Owner, bool> = HashMap::new();
        let mut is_dead = |owner| *judged.entry(owner).or_insert_with(|| own.sees_dead(owner));
        let taken = self.entries.iter().filter_map(|entry| Some((entry, entry.owner.as_deref()?)));
        let dead = taken.filter(|(_, owner)| is_dead(owner));
        dead.map(|(entry, _)| todo(entry.combination.clone())).collect()
    }

    /// Returns the records by which all of the sweep that is in `state` is to do again.
    pub(super) fn reset(&self, state: State) -> Vec<Record> {
        let moves = state != State::Todo;
        self.list(state).filter(|_| moves).map(|(combination, _)| todo(combination.clone())).collect()
    }

    /// Returns the records that make the transition `to` for each of these; none where it changes nothing.
    pub(super) fn moved<'a>(
        &self,
        to: Transition,
        combinations: impl IntoIterator<Item = &'a Combination>,
        own: &Owner,
    ) -> Result<Vec<Record>, QueueError> {
        let mut seen = HashSet::new();
        let once = combinations.into_iter().filter(|combination| seen.insert(*combination));
        once.filter_map(|combination| self.moved_one(to, combination, own).transpose()).collect()
    }

    fn moved_one(&self, to: Transition, combination: &Combination, own: &Owner) -> Result<Option<Record>, QueueError> {
        let Some(number) = self.numbers.get(combination) else {
            return Err(QueueError::Unknown { combination: combination.clone() });
        };
        let entry = &self.entries[*number];
        let state = match (to, entry.state) {
            (Transition::Done, State::Done) | (Transition::Skip, State::Skipped | State::Done) => return Ok(None),
            (Transition::Cancel, State::Todo | State::Skipped | State::Done) => return Ok(None),
            (Transition::Done, _) => State::Done,
            (Transition::Skip, _) => State::Skipped,
            (Transition::Cancel, State::InProgress) => {
                let other = entry.owner.as_ref().filter(|owner| ***owner != *own && !own.sees_dead(owner));
                if let Some(owner) = other.cloned() {
                    return Err(QueueError::TakenByOther { combination: combination.clone(), owner });
                }
                State::Todo
            }
        };
        Ok(Some(Record::State { state, combination: combination.clone(), owner: None }))
    }
}

fn todo(combination: Combination) -> Record {
    Record::State { state: State::Todo, combination, owner: None }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
