//! What the tests of the end of an engine have in common.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use phalanx_process::engine::{Engine, EngineHandle, EngineOptions};
use phalanx_process::{Process, Spec};

/// Far longer than anything here takes: it only keeps a defect from hanging the tests.
pub(crate) const SAFETY_NET: Duration = Duration::from_secs(120);

pub(crate) fn background() -> EngineHandle {
    Engine::background(EngineOptions::default()).unwrap()
}

pub(crate) fn sleeper(engine: &EngineHandle) -> Process {
    Process::from_spec(Spec::new(["sleep", "1000"]), engine)
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    let deadline = Instant::now() + SAFETY_NET;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            return output;
        }
        assert!(Instant::now() < deadline, "the future never became ready");
        std::thread::park_timeout(Duration::from_secs(1));
    }
}
