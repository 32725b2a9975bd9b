//! Whether to look again for a while before going to sleep. Pure, but for the looking itself.
//!
//! A program that is talked to answers within microseconds; a thread that went to sleep over it needs longer than that to
//! wake up, above all in a virtual machine, and so does everybody else whom an idle processor must be woken for. So who
//! waits looks again and again, giving its processor away in between, but only where an answer is likely to be quick:
//!
//! 1. Something was just asked: the engine wrote to a process, was given a message by another thread, or told a waiter
//!    what it waited for; a waiter asked the engine. Who only listens never looks, however many there are.
//! 2. The last answers came within [`SPIN`] each, [`QUICK_ANSWERS`] of them: who talks to people, or over a network, never
//!    looks.
//!
//! One answer that took longer puts it off until there were so many quick ones again; one that was looked for in vain,
//! until there were twice as many. For on a busy machine a processor that is given away comes back late, while who
//! sleeps is woken at once: there, looking all but ceases.

use std::time::{Duration, Instant};

/// How long to look. Twice what a round with `cat` on a terminal takes by sleeping and waking up.
pub(crate) const SPIN: Duration = Duration::from_micros(100);

/// How many quick answers it takes to believe in one more, at first, and at most.
const QUICK_ANSWERS: u32 = 4;
const MOST: u32 = 1024;

/// What is known of the answers so far.
#[derive(Debug)]
pub(crate) struct Spin {
    /// Whether something was asked since the last wait.
    asked: bool,
    /// How many answers in a row were quick.
    quick: u32,
    /// How many it takes.
    needed: u32,
}

impl Default for Spin {
    fn default() -> Self {
        Self { asked: false, quick: 0, needed: QUICK_ANSWERS }
    }
}

impl Spin {
    /// Somebody was asked something.
    pub(crate) fn asked(&mut self) {
        self.asked = true;
    }

    /// Whether looking again is worth it in the wait that comes now.
    pub(crate) fn pays(&self) -> bool {
        self.asked && self.quick >= self.needed
    }

    /// What was waited for came, or the time was over, after so long.
    pub(crate) fn waited(&mut self, waited: Duration) {
        let looked = self.pays();
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let quick = waited < SPIN;
        self.quick = if quick { self.quick.saturating_add(1) } else { 0 };
        if looked {
            self.needed = if quick { self.needed - 1 } else { self.needed * 2 }.clamp(QUICK_ANSWERS, MOST);
        }
    }
}

/// Looks until something is found, for [`SPIN`] from when the wait began.
pub(crate) fn look_again<T>(began: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    while began.elapsed() < SPIN {
        let found = look();
        if found.is_some() {
            return found;
        }
        // Whoever is to answer may be waiting for this very processor.
        std::thread::yield_now();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(20);
    const SLOW: Duration = Duration::from_millis(3);

    /// Whether each of the waits would have been spent looking.
    fn waits(spin: &mut Spin, waits: &[(bool, Duration)]) -> Vec<bool> {
        let wait = |&(asked, waited): &(bool, Duration)| {
            if asked {
                spin.asked();
            }
            let pays = spin.pays();
            spin.waited(waited);
            pays
        };
        waits.iter().map(wait).collect()
    }

    #[test]
    fn quick_answers_make_it_look_and_a_slow_one_ends_it() {
        let mut spin = Spin::default();
        assert_eq!(waits(&mut spin, &[(true, QUICK); 6]), [false, false, false, false, true, true]);
        assert_eq!(waits(&mut spin, &[(true, SLOW), (true, QUICK)]), [true, false]);
        // Twice as many as before, of which one has come.
        assert_eq!(
            waits(&mut spin, &[(true, QUICK); 9]),
            [false, false, false, false, false, false, false, true, true]
        );
    }

    #[test]
    fn where_looking_is_in_vain_it_all_but_ceases_and_comes_back_where_it_pays() {
        let mut spin = Spin::default();
        let mut looks = 0_u32;
        for _ in 0..10_000 {
            let looks_now = spin.quick >= spin.needed;
            waits(&mut spin, &[(true, if looks_now { SLOW } else { QUICK })]);
            looks += u32::from(looks_now);
        }
        assert!(looks < 25, "{looks}");
        waits(&mut spin, &[(true, QUICK); 3000]);
        assert_eq!(spin.needed, QUICK_ANSWERS);
    }

    #[test]
    fn who_only_listens_or_talks_to_somebody_slow_never_pays() {
        assert_eq!(waits(&mut Spin::default(), &[(false, QUICK); 1000]), [false; 1000]);
        assert_eq!(waits(&mut Spin::default(), &[(true, SLOW); 1000]), [false; 1000]);
    }

    #[test]
    fn listening_in_between_is_no_evidence_either_way() {
        let mut spin = Spin::default();
        waits(&mut spin, &[(true, QUICK); 4]);
        assert_eq!(waits(&mut spin, &[(false, SLOW), (true, QUICK)]), [false, true]);
    }
}
