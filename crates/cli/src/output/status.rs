//! One status line on a terminal: how many are done, failed and running, and how long the rest may take.

use std::time::{Duration, Instant};

use phalanx_process::duration::{self, Fraction};

use super::console::Console;
use super::step_state::Counts;

/// A run that is over before this needs no status line.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it changes at most.
const CALM: Duration = Duration::from_millis(200);

/// When it began, and what it said last.
#[derive(Debug)]
pub(super) struct StatusLine {
    began: Instant,
    drawn: Option<Instant>,
}

impl StatusLine {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), drawn: None }
    }

    /// Draws the figures if it is time.
    pub(super) fn update(&mut self, counts: Counts, progress: impl FnOnce() -> Option<String>, console: &mut Console) {
        let now = Instant::now();
        let early = now.duration_since(self.began) < PATIENCE;
        if early || self.drawn.is_some_and(|drawn| now.duration_since(drawn) < CALM) {
            return;
        }
        self.drawn = Some(now);
        let mut text = text(counts, now.duration_since(self.began));
        if let Some(progress) = progress() {
            text += &format!(", {progress}");
        }
        console.set_status(&text);
    }
}

fn text(counts: Counts, elapsed: Duration) -> String {
    let Counts { total, running, ended: done, failed } = counts;
    let mut text = format!("{done}/{total} done, {failed} failed, {running} running");
    if done > 0 && done < total {
        let rest = elapsed.mul_f64((total - done) as f64 / done as f64);
        text += &format!(", {} left", duration::format(rest, Fraction::None));
    }
    text
}
