//! Which hosts of a run have ended, and which are tried again. Pure.

use std::sync::Arc;

use phalanx_process::outcome::Finished;
use phalanx_process::result::HostResult;

/// How far every host of a run is.
#[derive(Debug)]
pub(super) struct RunState {
    hosts: Vec<HostState>,
}

#[derive(Debug, Clone)]
enum HostState {
    /// It has not ended: it waits for its turn, or runs.
    Pending,
    /// An attempt has ended so, and there will be another, unless the run is stopped before.
    BackingOff(HostResult, Arc<Finished>),
    Ended,
}

impl RunState {
    /// Returns the state of a run of so many hosts that has not begun.
    pub(super) fn new(hosts: usize) -> Self {
        Self { hosts: vec![HostState::Pending; hosts] }
    }

    pub(super) fn started(&mut self, host: usize) {
        self.hosts[host] = HostState::Pending;
    }

    pub(super) fn ended(&mut self, host: usize) {
        self.hosts[host] = HostState::Ended;
    }

    pub(super) fn backs_off(&mut self, host: usize, result: HostResult, finished: Arc<Finished>) {
        self.hosts[host] = HostState::BackingOff(result, finished);
    }

    /// Returns the hosts for which there will be no other attempt after all, with how the last one ended, and counts them
    /// as ended.
    pub(super) fn end_backing_off(&mut self) -> Vec<(usize, HostResult, Arc<Finished>)> {
        let mut ended = Vec::new();
        for (host, state) in self.hosts.iter_mut().enumerate() {
            if let HostState::BackingOff(result, finished) = state {
                ended.push((host, result.clone(), Arc::clone(finished)));
                *state = HostState::Ended;
            }
        }
        ended
    }

    /// Returns the hosts that have not ended, in order.
    pub(super) fn unended(&self) -> impl Iterator<Item = usize> {
        (0..self.hosts.len()).filter(|host| !matches!(self.hosts[*host], HostState::Ended))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use phalanx_process::outcome::Outcome;
    use phalanx_process::policy::Faults;

    use super::*;

    fn finished() -> Arc<Finished> {
        Arc::new(Finished::new(Outcome::new(None, None, Instant::now()), Faults::default()))
    }

    #[test]
    fn a_host_that_backs_off_has_not_ended_until_it_is_given_up_or_ends_for_good() {
        let mut state = RunState::new(3);
        state.ended(0);
        state.backs_off(1, HostResult::Exited(3), finished());
        assert_eq!(state.unended().collect::<Vec<_>>(), [1, 2]);
        state.started(1);
        assert!(state.end_backing_off().is_empty(), "its next attempt runs");
        state.backs_off(1, HostResult::Exited(4), finished());
        let given_up = state.end_backing_off();
        assert!(matches!(&given_up[..], [(1, HostResult::Exited(4), _)]), "{given_up:?}");
        assert_eq!(state.unended().collect::<Vec<_>>(), [2]);
    }
}
