//! Waiting for a condition. Knows no clock but the safety net's.

use std::time::{Duration, Instant};

/// How long [`wait_until`] waits before it gives up: far longer than anything takes, so that only a real hang reaches
/// it.
pub const SAFETY_NET: Duration = Duration::from_secs(60);

/// Looks at `condition` until it holds.
///
/// `what` completes the sentence "waited in vain until …". The looks are a few milliseconds apart, because most
/// conditions tests wait for (a file appears, a process is gone) have no descriptor to wait on.
///
/// # Panics
/// When the condition does not hold within [`SAFETY_NET`].
#[expect(clippy::disallowed_methods, reason = "the one place where a test may look again a little later")]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < SAFETY_NET, "waited {SAFETY_NET:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
