//! Decides who starts next, so that no more than a given number run at once. Pure: it counts, and knows no processes.

/// A row of members, of which at most `limit` run at once, started in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fanout {
    total: usize,
    limit: usize,
    next: usize,
    ended: usize,
    called_off: bool,
}

impl Fanout {
    /// `total` members, none started. A `limit` of zero means no limit.
    #[must_use]
    pub fn new(total: usize, limit: usize) -> Self {
        let limit = if limit == 0 { usize::MAX } else { limit };
        Self { total, limit, next: 0, ended: 0, called_off: false }
    }

    /// The member to start now, if there is room. It counts as running until [`Fanout::ended`].
    pub fn start_next(&mut self) -> Option<usize> {
        let room = !self.called_off && self.next < self.total && self.running() < self.limit;
        room.then(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// One of the running members has ended.
    ///
    /// # Panics
    /// When none runs: an end was counted twice.
    pub fn ended(&mut self) {
        assert!(self.running() > 0, "more ends than starts");
        self.ended += 1;
    }

    /// Starts nobody any more.
    pub fn call_off(&mut self) {
        self.called_off = true;
    }

    /// How many run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.next - self.ended
    }

    /// How many have not been started.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.total - self.next
    }

    /// Whether nobody runs and nobody will be started.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.running() == 0 && (self.called_off || self.waiting() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_all(fanout: &mut Fanout) -> Vec<usize> {
        std::iter::from_fn(|| fanout.start_next()).collect()
    }

    #[test]
    fn starts_in_order_and_never_more_than_allowed() {
        for (total, limit) in [(0, 1), (1, 1), (5, 2), (5, 5), (5, 9), (5, 0)] {
            let mut fanout = Fanout::new(total, limit);
            let mut started = start_all(&mut fanout);
            assert_eq!(started.len(), total.min(if limit == 0 { total } else { limit }));
            while fanout.running() > 0 {
                fanout.ended();
                started.extend(start_all(&mut fanout));
            }
            assert_eq!(started, (0..total).collect::<Vec<_>>());
            assert!(fanout.is_over());
        }
    }

    #[test]
    fn called_off_means_nobody_more() {
        let mut fanout = Fanout::new(5, 2);
        start_all(&mut fanout);
        fanout.call_off();
        fanout.ended();
        assert_eq!((fanout.start_next(), fanout.is_over()), (None, false));
        fanout.ended();
        assert_eq!((fanout.is_over(), fanout.waiting()), (true, 3));
    }
}
