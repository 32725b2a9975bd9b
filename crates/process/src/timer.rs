//! Measuring time, and waiting for it. Spans are measured by the monotonic clock, so that a wall clock being set
//! changes none of them; only what is meant for people to read, or is given as a date, is taken from the wall clock.

use std::time::{Duration, Instant, SystemTime};

/// A point in time that other points are measured from, and perhaps a limit.
///
/// ```
/// use phalanx_process::timer::Timer;
/// use std::time::Duration;
///
/// let timer = Timer::with_timeout(Duration::from_secs(3600));
/// assert!(timer.remaining().is_some_and(|left| left <= Duration::from_secs(3600)));
/// assert!(!timer.is_over());
/// ```
#[derive(Clone, Debug)]
pub struct Timer {
    start: Instant,
    start_date: SystemTime,
    timeout: Option<Duration>,
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

impl Timer {
    /// Starts now, without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), start_date: SystemTime::now(), timeout: None }
    }

    /// Starts now, with a limit.
    #[must_use]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..Self::new() }
    }

    /// When the timer was started, by the wall clock of that moment.
    #[must_use]
    pub fn start_date(&self) -> SystemTime {
        self.start_date
    }

    /// How long the timer has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How much is left of the timeout, 0 when it is over; `None` without one. For how long it has been over, see
    /// [`Timer::overdue`].
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining_after(self.elapsed())
    }

    fn remaining_after(&self, elapsed: Duration) -> Option<Duration> {
        self.timeout.map(|timeout| timeout.saturating_sub(elapsed))
    }

    /// For how long the timeout has been over; `None` while it is not, or without one.
    #[must_use]
    pub fn overdue(&self) -> Option<Duration> {
        self.elapsed().checked_sub(self.timeout?)
    }

    /// Whether the timeout is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.overdue().is_some()
    }

    /// Sleeps until the timer has been running for this long; returns at once if it has.
    pub fn wait_elapsed(&self, elapsed: Duration) -> &Self {
        sleep(Some(elapsed.saturating_sub(self.elapsed())), None);
        self
    }
}

/// How long a wait for a date goes on before the wall clock is asked again, in case it was set.
const GLANCE: Duration = Duration::from_secs(1);

/// Sleeps for a while, or until a date, or, given both, until both have come. A date that is past, or a delay of
/// nothing, is no wait. Signals do not shorten it. Returns how long it took; `None` if there was nothing to wait for.
///
/// Blocks the calling thread: not for handlers, which set a timer instead.
pub fn sleep(delay: Option<Duration>, until: Option<SystemTime>) -> Option<Duration> {
    let start = Instant::now();
    let mut slept = None;
    loop {
        let pause = pause(delay, until, start.elapsed(), SystemTime::now());
        if pause.is_zero() {
            return slept;
        }
        #[expect(clippy::disallowed_methods, reason = "this is the function that sleeps")]
        std::thread::sleep(pause);
        slept = Some(start.elapsed());
    }
}

/// How long to sleep before looking again; nothing when both the delay and the date have come.
fn pause(delay: Option<Duration>, until: Option<SystemTime>, elapsed: Duration, now: SystemTime) -> Duration {
    let delay = delay.unwrap_or_default().saturating_sub(elapsed);
    let until = until.and_then(|until| until.duration_since(now).ok()).unwrap_or_default();
    if until > delay { until.min(GLANCE) } else { delay }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const SECOND: Duration = Duration::from_secs(1);

    fn timer(timeout: Option<Duration>) -> Timer {
        Timer { timeout, ..Timer::new() }
    }

    /// Items 160 and 161.
    #[test]
    fn what_remains_is_the_timeout_less_what_has_elapsed() {
        assert_eq!(timer(Some(5 * SECOND)).remaining_after(2 * SECOND), Some(3 * SECOND));
        assert_eq!(timer(Some(5 * SECOND)).remaining_after(7 * SECOND), Some(Duration::ZERO));
        assert_eq!(timer(None).remaining_after(7 * SECOND), None);
        assert!(
            timer(Some(Duration::ZERO)).is_over() && !timer(None).is_over() && !timer(Some(3600 * SECOND)).is_over()
        );
    }

    /// Items 159 and 162.
    #[test]
    fn a_timer_starts_when_it_is_made() {
        let before = SystemTime::now();
        let timer = Timer::with_timeout(SECOND);
        assert!(timer.start_date() >= before && timer.start_date() <= SystemTime::now());
        assert!(timer.remaining().expect("has a timeout") <= SECOND);
    }

    /// Item 163.
    #[test]
    fn waiting_for_what_has_elapsed_is_no_wait_and_waiting_for_more_takes_that_long() {
        let timer = Timer::new();
        let span = Duration::from_millis(20);
        assert!(timer.wait_elapsed(span).elapsed() >= span);
        assert!(timer.wait_elapsed(Duration::ZERO).elapsed() >= span);
    }

    /// Item 165: delay, date, what has elapsed and the present in seconds, and how long to sleep next.
    #[test]
    fn a_sleep_goes_on_until_both_the_delay_and_the_date_have_come() {
        let table = [
            (None, None, 0, 100, 0),
            (Some(5), None, 0, 100, 5),
            (Some(5), None, 5, 100, 0),
            (Some(5), None, 7, 100, 0),
            (None, Some(90), 0, 100, 0),
            (None, Some(100), 0, 100, 0),
            (None, Some(150), 0, 100, 1), // A glance at the clock in between.
            (Some(5), Some(103), 0, 100, 5),
            (Some(5), Some(103), 4, 104, 1),
            (Some(5), Some(200), 6, 100, 1), // The clock was put back: the date has not come yet.
            (Some(5), Some(200), 6, 300, 0), // The clock was put forward.
        ];
        for (delay, until, elapsed, now, expected) in table {
            let delay = delay.map(Duration::from_secs);
            let until = until.map(|until| UNIX_EPOCH + Duration::from_secs(until));
            let pause = pause(delay, until, Duration::from_secs(elapsed), UNIX_EPOCH + Duration::from_secs(now));
            assert_eq!(pause, Duration::from_secs(expected), "{delay:?} {until:?} {elapsed} {now}");
        }
    }

    /// D2 of the reference.
    #[test]
    fn sleeping_until_the_past_returns_at_once() {
        assert_eq!(sleep(None, Some(UNIX_EPOCH)), None);
        assert_eq!(sleep(None, None), None);
        let span = Duration::from_millis(20);
        assert!(sleep(Some(span), Some(UNIX_EPOCH)).is_some_and(|slept| slept >= span));
    }
}
