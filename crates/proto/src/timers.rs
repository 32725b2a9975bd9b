//! Deadlines in a heap, monotonic, outlived rather than removed.
//!
//! Removing an entry from the middle of a heap costs a search; letting it expire costs one look at an owner that no
//! longer cares. So there is no `cancel`: whoever takes an expired key checks whether the deadline still holds.
//! The heap never reads the clock; `now` is always an argument.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines with a key each, earliest first; equal deadlines in the order of their keys.
#[derive(Debug, Clone)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new() }
    }
}

impl<K: Ord> Timers<K> {
    /// Remembers to wake `key` at `deadline`.
    pub fn insert(&mut self, deadline: Instant, key: K) {
        self.heap.push(Reverse((deadline, key)));
    }

    /// When the next deadline is, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes one key whose deadline is not after `now`.
    pub fn expired(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, key))| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn expires_in_order_and_not_early() {
        let now = Instant::now();
        let mut timers = Timers::default();
        for ms in [30, 10, 20, 10] {
            timers.insert(now + Duration::from_millis(ms), ms);
        }
        assert_eq!(timers.next(), Some(now + Duration::from_millis(10)));
        assert_eq!(timers.expired(now), None);
        let later = now + Duration::from_millis(20);
        let expired: Vec<_> = std::iter::from_fn(|| timers.expired(later)).collect();
        assert_eq!(expired, [10, 10, 20]);
    }
}
