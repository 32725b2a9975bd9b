//! The handle to a sweep on disk: take the next combination, report what became of it.
//!
//! Every call locks the journal, reads what others wrote since the last call, writes at most a few lines, and unlocks.
//! No decision rests on stale state, so any number of threads and processes may work on one directory
//! at the same time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::combination::Combination;
use super::error::QueueError;
use super::journal::{Journal, LockGuard};
use super::ledger::{Ledger, Transition};
use super::owner::Owner;
use super::record::{Record, State};

/// A sweep on disk, shared by all processes that open the same directory.
///
/// When a process dies, what it had taken is to do again: the next call of [`Queue::open`], or of [`Queue::next`] when
/// nothing else is free, notices that its owner is gone. That is judged for processes of this machine only, by pid and
/// start time; what was taken on another machine or before a reboot stays in progress until
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

/// The locked journal, and the ledger that has applied all of it.
struct Locked<'a> {
    guard: LockGuard<'a>,
    ledger: &'a mut Ledger,
}

/// How far a sweep is. Displays as `name <N total, n done, n skipped, n in progress, n remaining>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The name of the queue.
    pub name: String,
    /// All combinations in the sweep.
    pub total: usize,
    /// Combinations that are done.
    pub done: usize,
    /// Combinations that were given up.
    pub skipped: usize,
    /// Combinations that a process has taken.
    pub in_progress: usize,
    /// Combinations that are free to take.
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
    /// Opens the queue in `directory`, with what has been done so far. Creates the directory when it is missing.
    ///
    /// # Errors
    /// When it cannot be created, written or locked, or its journal is damaged or not a journal.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, QueueError> {
        let directory = directory.into();
        let journal = Journal::open(&directory)?;
        let name = directory.file_name().map_or_else(|| "sweep".into(), |name| name.to_string_lossy().into_owned());
        let inner = Mutex::new(Inner { journal, ledger: Ledger::default() });
        let queue = Queue { name, directory, owner: Owner::this_process(), inner };
        queue.with_lock(|locked| locked.free_dead(&queue.owner))?;
        Ok(queue)
    }

    /// Names it differently from its directory.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Queue { name: name.into(), ..self }
    }

    /// Returns its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Sets the sweep to these combinations, in this order, for every process that has the directory open.
    ///
    /// What has been done stays done: new combinations are to do, removed ones are not handed out any more, and keep
    /// their state in case they come back. Nothing is written when nothing changes, so every worker may begin with this.
    ///
    /// # Errors
    /// When it cannot be recorded; then the sweep is what it was.
    pub fn set(&self, combinations: impl IntoIterator<Item = Combination>) -> Result<Change, QueueError> {
        let combinations = combinations.into_iter().collect();
        self.with_lock(|locked| match locked.ledger.set(combinations) {
            None => Ok(Change::default()),
            Some((record, added, removed)) => {
                locked.record(vec![record])?;
                Ok(Change { added, removed })
            }
        })
    }

    /// Takes the first combination that is free; `None` when there is none.
    ///
    /// Combinations that other processes have in progress may come back when these cancel or die: [`Queue::stats`] tells.
    /// (This is not an `Iterator`, which could not report an error and end at the same time.)
    ///
    /// # Errors
    /// When it cannot be recorded; then nothing was taken.
    pub fn next(&self) -> Result<Option<Combination>, QueueError> {
        self.next_batch(1).map(|mut taken| taken.pop())
    }

    /// Takes the first combination that is `wanted`.
    ///
    /// `wanted` is called under the lock, and must not use this queue.
    ///
    /// # Errors
    /// As [`Queue::next`].
    pub fn next_where(&self, mut wanted: impl FnMut(&Combination) -> bool) -> Result<Option<Combination>, QueueError> {
        self.next_by_key(|combination| wanted(combination).then_some(()))
    }

    /// Takes the combination with the smallest key, the first of equal ones; those without a key are left alone.
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
    /// `key` is called under the lock for every combination to do, and must not use this queue.
    ///
    /// # Errors
    /// As [`Queue::next`].
    pub fn next_by_key<K: Ord>(
        &self,
        key: impl FnMut(&Combination) -> Option<K>,
    ) -> Result<Option<Combination>, QueueError> {
        self.next_batch_by_key(1, key).map(|mut taken| taken.pop())
    }

    /// Takes up to `count` combinations, the first free ones.
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
        self.with_lock(|locked| {
            let mut chosen = choose(locked.ledger);
            if chosen.len() < count && locked.free_dead(&self.owner)? > 0 {
                chosen = choose(locked.ledger);
            }
            let owner = || Some(self.owner.clone());
            let taken = |combination| Record::State { state: State::InProgress, combination, owner: owner() };
            locked.record(chosen.iter().cloned().map(taken).collect())?;
            Ok(chosen)
        })
    }

    /// Marks it done: it will never be handed out again. Reports whether that was new.
    ///
    /// Any process may say so, not only the one that took it: when a combination was reset while a process worked on it
    /// after all, the first result counts. Once this has returned, it is on disk.
    ///
    /// # Errors
    /// When it cannot be recorded, or was never part of the sweep; then nothing changed.
    pub fn done(&self, combination: &Combination) -> Result<bool, QueueError> {
        self.done_batch([combination]).map(|moved| moved > 0)
    }

    /// Marks all of these done; returns for how many that was new.
    ///
    /// # Errors
    /// As [`Queue::done`], for all of them together.
    pub fn done_batch<'a>(&self, combinations: impl IntoIterator<Item = &'a Combination>) -> Result<usize, QueueError> {
        self.move_all(Transition::Done, combinations)
    }

    /// Gives it up: it is not handed out again before `reset(State::Skipped)`. What is done stays done.
    ///
    /// # Errors
    /// As [`Queue::done`].
    pub fn skip(&self, combination: &Combination) -> Result<bool, QueueError> {
        self.skip_batch([combination]).map(|moved| moved > 0)
    }

    /// Gives up all of these; returns for how many that was new.
    ///
    /// # Errors
    /// As [`Queue::done`], for all of them together.
    pub fn skip_batch<'a>(&self, combinations: impl IntoIterator<Item = &'a Combination>) -> Result<usize, QueueError> {
        self.move_all(Transition::Skip, combinations)
    }

    /// Gives back a combination that this process has taken, for any process to take. One that is not in progress stays
    /// as it is.
    ///
    /// # Errors
    /// As [`Queue::done`], and when another process that may still live has it.
    pub fn cancel(&self, combination: &Combination) -> Result<bool, QueueError> {
        self.cancel_batch([combination]).map(|moved| moved > 0)
    }

    /// Gives back all of these; returns how many that were.
    ///
    /// # Errors
    /// As [`Queue::cancel`], for all of them together.
    pub fn cancel_batch<'a>(
        &self,
        combinations: impl IntoIterator<Item = &'a Combination>,
    ) -> Result<usize, QueueError> {
        self.move_all(Transition::Cancel, combinations)
    }

    fn move_all<'a>(
        &self,
        to: Transition,
        combinations: impl IntoIterator<Item = &'a Combination>,
    ) -> Result<usize, QueueError> {
        self.with_lock(|locked| {
            let records = locked.ledger.moved(to, combinations, &self.owner)?;
            locked.record(records)
        })
    }

    /// Makes everything of the sweep that is in `state` to do again, whichever process has it; returns how many that were.
    ///
    /// For [`State::InProgress`] make sure first that no process works on them any more ([`Queue::owners`] names those
    /// that did): the queue cannot know that.
    ///
    /// # Errors
    /// When it cannot be recorded; then nothing changed.
    pub fn reset(&self, state: State) -> Result<usize, QueueError> {
        self.with_lock(|locked| {
            let records = locked.ledger.reset(state);
            locked.record(records)
        })
    }

    /// Returns the combinations of the sweep that are in `state`, in its order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn list(&self, state: State) -> Result<Vec<Combination>, QueueError> {
        self.with_lock(|locked| Ok(locked.ledger.list(state).map(|(combination, _)| combination.clone()).collect()))
    }

    /// Returns the combinations in progress, each with its process.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn owners(&self) -> Result<Vec<(Combination, Option<Owner>)>, QueueError> {
        let owned = |(combination, owner): (&Combination, Option<&Owner>)| (combination.clone(), owner.cloned());
        self.with_lock(|locked| Ok(locked.ledger.list(State::InProgress).map(owned).collect()))
    }

    /// Returns how far the sweep is.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn stats(&self) -> Result<Stats, QueueError> {
        self.with_lock(|locked| {
            let [remaining, in_progress, done, skipped] = State::ALL.map(|state| locked.ledger.count(state));
            let total = remaining + in_progress + done + skipped;
            Ok(Stats { name: self.name.clone(), total, done, skipped, in_progress, remaining })
        })
    }

    fn with_lock<T>(&self, work: impl FnOnce(&mut Locked<'_>) -> Result<T, QueueError>) -> Result<T, QueueError> {
        let mut inner = self.lock();
        let Inner { journal, ledger } = &mut *inner;
        let guard = journal.locked(|record| ledger.apply(record))?;
        work(&mut Locked { guard, ledger })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A caller's closure that panicked did so before anything was written or applied.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Locked<'_> {
    /// Writes the records, then applies them; returns their number.
    fn record(&mut self, records: Vec<Record>) -> Result<usize, QueueError> {
        let count = records.len();
        if count > 0 {
            self.guard.append(&records)?;
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
