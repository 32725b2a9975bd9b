//! The handle to a sweep on disk: take the next combination, say what became of it.
//!
//! Every call locks the journal, reads what others wrote since the last call, writes at most a few lines, and unlocks.
//! Nothing is decided on what was true a moment ago, so any number of threads and processes may work on one directory
//! at the same time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::combination::Combination;
use super::error::QueueError;
use super::journal::{Journal, Turn};
use super::ledger::{Ledger, Move};
use super::owner::Owner;
use super::record::{Record, State};

/// A sweep on disk, shared by all who open the same directory.
///
/// What a process has taken when it dies is to do again: the next call of [`Queue::open`], or of [`Queue::next`] when
/// there is nothing else to take, sees that its owner is gone. That is judged for processes of this machine only, by
/// pid and start time; what was taken on another machine or before a reboot stays in progress until
/// `reset(State::InProgress)`.
#[derive(Debug)]
pub struct Queue {
    name: String,
    directory: PathBuf,
    owner: Owner,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    journal: Journal,
    ledger: Ledger,
}

/// The journal is ours, and the ledger knows all of it.
struct Held<'a> {
    turn: Turn<'a>,
    ledger: &'a mut Ledger,
}

/// How far a sweep is. Displays as `name <N total, n done, n skipped, n in progress, n remaining>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The name of the queue.
    pub name: String,
    /// Combinations in the sweep.
    pub total: usize,
    /// Of these, those that are done,
    pub done: usize,
    /// given up,
    pub skipped: usize,
    /// taken,
    pub in_progress: usize,
    /// and free to take.
    pub remaining: usize,
}

/// What [`Queue::set`] changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Combinations that were not in the sweep before.
    pub added: usize,
    /// Combinations that are not in it any more.
    pub removed: usize,
}

impl Queue {
    /// The queue in `directory`, with what has been done so far. The directory is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made, written or locked, or the journal in it is damaged or none.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, QueueError> {
        let directory = directory.into();
        let journal = Journal::open(&directory)?;
        let name = directory.file_name().map_or_else(|| "sweep".into(), |name| name.to_string_lossy().into_owned());
        let inner = Mutex::new(Inner { journal, ledger: Ledger::default() });
        let queue = Queue { name, directory, owner: Owner::this_process(), inner };
        queue.within_a_turn(|held| held.free_dead(&queue.owner))?;
        Ok(queue)
    }

    /// This with another name than that of its directory.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Queue { name: name.into(), ..self }
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the sweep be these combinations, in this order, for everybody who has the directory open.
    ///
    /// What has been done stays done: new combinations are to do, those that are gone are not handed out any more, and
    /// if they come back they stand where they stood. Nothing is written when nothing changes, so every worker may
    /// begin with this.
    ///
    /// # Errors
    /// When it cannot be recorded; then the sweep is what it was.
    pub fn set(&self, combinations: impl IntoIterator<Item = Combination>) -> Result<Change, QueueError> {
        let combinations = combinations.into_iter().collect();
        self.within_a_turn(|held| match held.ledger.set(combinations) {
            None => Ok(Change::default()),
            Some((record, added, removed)) => {
                held.record(vec![record])?;
                Ok(Change { added, removed })
            }
        })
    }

    /// Takes the first combination that nobody has taken; `None` when there is none.
    ///
    /// What others have in progress may still come back, when they cancel it or die: [`Queue::stats`] tells. (This is no
    /// `Iterator`, which could not report an error and end at the same time.)
    ///
    /// # Errors
    /// When it cannot be recorded; then nothing was taken.
    pub fn next(&self) -> Result<Option<Combination>, QueueError> {
        self.next_batch(1).map(|mut taken| taken.pop())
    }

    /// Takes the first combination that is `wanted`.
    ///
    /// `wanted` is called while all others wait, and must not use this queue.
    ///
    /// # Errors
    /// As [`Queue::next`].
    pub fn next_where(&self, mut wanted: impl FnMut(&Combination) -> bool) -> Result<Option<Combination>, QueueError> {
        self.next_by_key(|combination| wanted(combination).then_some(()))
    }

    /// Takes the combination with the smallest key, of the same key the first; those without a key are not wanted.
    ///
    /// ```
    /// # use phalanx_sweep::{Factors, Queue, Value};
    /// # let directory = tempfile::tempdir()?;
    /// # let queue = Queue::open(directory.path())?;
    /// queue.set(Factors::new().factor("size", [1, 100, 10]).combinations()?)?;
    /// // The largest first, but none above 50.
    /// let size = |size: i64| (size <= 50).then_some(-size);
    /// let largest = queue.next_by_key(|combination| size(combination.get("size")?.as_integer()?))?;
    /// assert_eq!(largest.unwrap().get("size"), Some(&Value::from(10)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `key` is called for all that are to do, while all others wait, and must not use this queue.
    ///
    /// # Errors
    /// As [`Queue::next`].
    pub fn next_by_key<K: Ord>(
        &self,
        key: impl FnMut(&Combination) -> Option<K>,
    ) -> Result<Option<Combination>, QueueError> {
        self.next_batch_by_key(1, key).map(|mut taken| taken.pop())
    }

    /// Takes up to `count` combinations, the first that nobody has taken.
    ///
    /// # Errors
    /// As [`Queue::next`].
    pub fn next_batch(&self, count: usize) -> Result<Vec<Combination>, QueueError> {
        self.take(count, |ledger| ledger.first(count))
    }

    /// Takes up to `count` combinations, those with the smallest keys, as [`Queue::next_by_key`].
    ///
    /// # Errors
    /// As [`Queue::next`].
    pub fn next_batch_by_key<K: Ord>(
        &self,
        count: usize,
        mut key: impl FnMut(&Combination) -> Option<K>,
    ) -> Result<Vec<Combination>, QueueError> {
        self.take(count, |ledger| ledger.choose(count, &mut key))
    }

    fn take(
        &self,
        count: usize,
        mut choose: impl FnMut(&Ledger) -> Vec<Combination>,
    ) -> Result<Vec<Combination>, QueueError> {
        self.within_a_turn(|held| {
            let mut chosen = choose(held.ledger);
            if chosen.len() < count && held.free_dead(&self.owner)? > 0 {
                chosen = choose(held.ledger);
            }
            let owner = || Some(self.owner.clone());
            let taken = |combination| Record::State { state: State::InProgress, combination, owner: owner() };
            held.record(chosen.iter().cloned().map(taken).collect())?;
            Ok(chosen)
        })
    }

    /// This one is done, and will never be handed out again. Says whether that was new.
    ///
    /// Whoever did it may say so, not only who took it: when a combination was reset while it was worked on after all,
    /// the first result counts. Once this has returned, it is on the disk.
    ///
    /// # Errors
    /// When it cannot be recorded, or was never part of the sweep; then nothing changed.
    pub fn done(&self, combination: &Combination) -> Result<bool, QueueError> {
        self.done_batch([combination]).map(|moved| moved > 0)
    }

    /// All of these are done; says for how many that was new.
    ///
    /// # Errors
    /// As [`Queue::done`], for all of them together.
    pub fn done_batch<'a>(&self, combinations: impl IntoIterator<Item = &'a Combination>) -> Result<usize, QueueError> {
        self.move_all(Move::Done, combinations)
    }

    /// This one is given up: not handed out again before `reset(State::Skipped)`. What is done stays done.
    ///
    /// # Errors
    /// As [`Queue::done`].
    pub fn skip(&self, combination: &Combination) -> Result<bool, QueueError> {
        self.skip_batch([combination]).map(|moved| moved > 0)
    }

    /// All of these are given up.
    ///
    /// # Errors
    /// As [`Queue::done`], for all of them together.
    pub fn skip_batch<'a>(&self, combinations: impl IntoIterator<Item = &'a Combination>) -> Result<usize, QueueError> {
        self.move_all(Move::Skip, combinations)
    }

    /// Gives back what this process has taken, to be done by anybody. What is not in progress stays as it is.
    ///
    /// # Errors
    /// As [`Queue::done`], and when another process has it that may still live.
    pub fn cancel(&self, combination: &Combination) -> Result<bool, QueueError> {
        self.cancel_batch([combination]).map(|moved| moved > 0)
    }

    /// Gives back all of these.
    ///
    /// # Errors
    /// As [`Queue::cancel`], for all of them together.
    pub fn cancel_batch<'a>(
        &self,
        combinations: impl IntoIterator<Item = &'a Combination>,
    ) -> Result<usize, QueueError> {
        self.move_all(Move::Cancel, combinations)
    }

    fn move_all<'a>(
        &self,
        to: Move,
        combinations: impl IntoIterator<Item = &'a Combination>,
    ) -> Result<usize, QueueError> {
        self.within_a_turn(|held| {
            let records = held.ledger.moved(to, combinations, &self.owner)?;
            held.record(records)
        })
    }

    /// Everything of the sweep that is in `state` is to do again, whoever has it; says how many.
    ///
    /// For [`State::InProgress`] make sure first that nobody works on them any more ([`Queue::owners`] tells who did):
    /// that is what this cannot know.
    ///
    /// # Errors
    /// When it cannot be recorded; then nothing changed.
    pub fn reset(&self, state: State) -> Result<usize, QueueError> {
        self.within_a_turn(|held| {
            let records = held.ledger.reset(state);
            held.record(records)
        })
    }

    /// The combinations of the sweep that are in `state`, in its order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn list(&self, state: State) -> Result<Vec<Combination>, QueueError> {
        self.within_a_turn(|held| Ok(held.ledger.list(state).map(|(combination, _)| combination.clone()).collect()))
    }

    /// What is in progress, and in which process.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn owners(&self) -> Result<Vec<(Combination, Option<Owner>)>, QueueError> {
        let owned = |(combination, owner): (&Combination, Option<&Owner>)| (combination.clone(), owner.cloned());
        self.within_a_turn(|held| Ok(held.ledger.list(State::InProgress).map(owned).collect()))
    }

    /// How far the sweep is.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn stats(&self) -> Result<Stats, QueueError> {
        self.within_a_turn(|held| {
            let [remaining, in_progress, done, skipped] = State::ALL.map(|state| held.ledger.count(state));
            let total = remaining + in_progress + done + skipped;
            Ok(Stats { name: self.name.clone(), total, done, skipped, in_progress, remaining })
        })
    }

    fn within_a_turn<T>(&self, work: impl FnOnce(&mut Held<'_>) -> Result<T, QueueError>) -> Result<T, QueueError> {
        let mut inner = self.lock();
        let Inner { journal, ledger } = &mut *inner;
        let turn = journal.turn(|record| ledger.apply(record))?;
        work(&mut Held { turn, ledger })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A caller's closure that panicked did so before anything was written or applied.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// Writes, then believes.
    fn record(&mut self, records: Vec<Record>) -> Result<usize, QueueError> {
        let count = records.len();
        if count > 0 {
            self.turn.append(&records)?;
        }
        records.into_iter().for_each(|record| self.ledger.apply(record));
        Ok(count)
    }

    fn free_dead(&mut self, own: &Owner) -> Result<usize, QueueError> {
        let freed = self.ledger.free_dead(own);
        self.record(freed)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { name, total, done, skipped, in_progress, remaining } = self;
        write!(
            formatter,
            "{name} <{total} total, {done} done, {skipped} skipped, {in_progress} in progress, {remaining} remaining>"
        )
    }
}
