//! Waiting for several actions, and sorting out the hosts on which one failed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phalanx_process::completion::Completion;

use super::Action;

/// Waits until one of them has ended, or the time is over; those that have ended by then, in the order given. Nobody at
/// all is not waited for.
///
/// # Panics
/// When one was never started, or inside a handler.
#[must_use]
pub fn wait_any(actions: &[Action], timeout: Option<Duration>) -> Vec<Action> {
    wait_for(actions, actions.len().min(1), timeout)
}

/// Waits until all of them have ended, or the time is over; those that have ended by then, in the order given.
///
/// # Panics
/// When one was never started, or inside a handler.
#[must_use]
pub fn wait_all(actions: &[Action], timeout: Option<Duration>) -> Vec<Action> {
    wait_for(actions, actions.len(), timeout)
}

fn wait_for(actions: &[Action], count: usize, timeout: Option<Duration>) -> Vec<Action> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let enough = Completion::default();
    let missing = Arc::new(AtomicUsize::new(count));
    let follow = |action: &Action| {
        action.assert_can_wait();
        let (enough, missing) = (enough.clone(), Arc::clone(&missing));
        action.follow(move || {
            // Past zero it wraps: that many were not asked for.
            if missing.fetch_sub(1, Ordering::SeqCst) == 1 {
                enough.complete(());
            }
        })
    };
    let followers: Vec<_> = actions.iter().map(follow).collect();
    // An engine of this thread must be turned; the others turn by themselves.
    let engine = actions.iter().map(Action::engine).find(|engine| engine.turns_here());
    if let Some(engine) = engine.or_else(|| actions.first().map(Action::engine))
        && count > 0
    {
        // Whether the time is over is seen by looking at the actions.
        let _ = engine.wait_for("wait for actions", &enough, deadline);
    }
    drop(followers);
    actions.iter().filter(|action| action.ended()).cloned().collect()
}

/// Those of `hosts` on which nothing is wrong with any process of the action, in their order. A host is known by its
/// address: on whatever terms the action went there, and whatever else it is called with.
///
/// ```
/// use phalanx_action::action::filter_bad_hosts;
/// # use phalanx_action::remote::Remote;
/// # let params = phalanx_process::ssh::SshOptions { ssh: Some("false".into()), ..Default::default() };
/// let hosts = ["n1", "n2"];
/// let action = Remote::new("true", hosts).params(params).build()?.run();
/// assert!(filter_bad_hosts(&action, &hosts).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn filter_bad_hosts<H: ToString + Clone>(action: &Action, hosts: &[H]) -> Vec<H> {
    let bad = action.processes().iter().filter(|process| !process.ok()).filter_map(|process| process.host());
    let bad: HashSet<_> = bad.collect();
    let is_good = |host: &&H| !bad.contains(&*address(&host.to_string()));
    hosts.iter().filter(is_good).cloned().collect()
}

/// What is left of `user@host:port` without user and port.
fn address(host: &str) -> String {
    host.parse::<phalanx_process::host::Host>().map_or_else(|_| host.to_owned(), |host| host.address().to_owned())
}
