//! One status line on a terminal: how many are done, failed and running, and how long the rest may take.

use std::time::{Duration, Instant};

use phalanx_process::duration::{self, Fraction};

use super::screen::Screen;
use crate::run::Tally;

/// A run that is over before this needs no status line.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it changes at most.
const CALM: Duration = Duration::from_millis(200);

/// When it began, and what it said last.
#[derive(Debug)]
pub(crate) struct StatusLine {
    began: Instant,
    drawn: Option<Instant>,
}

impl StatusLine {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), drawn: None }
    }

    /// Draws the figures if it is time.
    pub(crate) fn update(&mut self, tally: &Tally, progress: impl FnOnce() -> Option<String>, screen: &mut Screen) {
        let now = Instant::now();
        let early = now.duration_since(self.began) < PATIENCE;
        if early || self.drawn.is_some_and(|drawn| now.duration_since(drawn) < CALM) {
            return;
        }
        self.drawn = Some(now);
        let mut text = text(tally, now.duration_since(self.began));
        if let Some(progress) = progress() {
            text += &format!(", {progress}");
        }
        screen.set_status(&text);
    }
}

fn text(tally: &Tally, elapsed: Duration) -> String {
    let (done, total) = (tally.ended_count(), tally.total());
    let mut text = format!("{done}/{total} done, {} failed, {} running", tally.failed(), tally.running_count());
    if done > 0 && done < total {
        let rest = elapsed.mul_f64((total - done) as f64 / done as f64);
        text += &format!(", {} left", duration::format(rest, Fraction::None));
    }
    text
}
