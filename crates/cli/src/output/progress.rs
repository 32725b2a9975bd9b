//! How far files have got: bytes and files, of all hosts together.

use std::time::{Duration, Instant};

use phalanx_action::files::Progress;

/// How often an event tells of it, at most.
const CALM: Duration = Duration::from_secs(1);

/// Files that travel.
pub(crate) trait FileProgress {
    /// Returns how far they have got.
    fn progress(&self) -> Progress;

    /// Returns how far they have to get, if that can be known. May look at every file.
    fn total(&self) -> Option<Progress>;
}

/// Looks at files that travel.
pub(super) struct ProgressWatch<'a> {
    files: &'a dyn FileProgress,
    /// Found out when it is first asked for, since it means to look at every file.
    total: Option<Option<Progress>>,
    told: Instant,
}

impl<'a> ProgressWatch<'a> {
    pub(super) fn new(files: &'a dyn FileProgress) -> Self {
        Self { files, total: None, told: Instant::now() }
    }

    fn look(&mut self) -> (Progress, Option<Progress>) {
        let total = *self.total.get_or_insert_with(|| self.files.total());
        (self.files.progress(), total)
    }

    /// What to tell now, if it is time.
    pub(super) fn due(&mut self) -> Option<(Progress, Option<Progress>)> {
        let now = Instant::now();
        if now.duration_since(self.told) < CALM {
            return None;
        }
        self.told = now;
        Some(self.look())
    }

    /// `1.5 GiB of 2.0 GiB, 3 of 4 files`.
    pub(super) fn text(&mut self) -> String {
        let (progress, total) = self.look();
        match total {
            Some(total) => {
                let (bytes, of) = (size(progress.bytes), size(total.bytes));
                format!("{bytes} of {of}, {} of {} files", progress.files, total.files)
            }
            None => format!("{}, {} files", size(progress.bytes), progress.files),
        }
    }
}

/// For people: three digits and a unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let table =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_610_612_736, "1.5 GiB"), (u64::MAX, "16384.0 PiB")];
        for (bytes, expected) in table {
            assert_eq!(size(bytes), expected);
        }
    }
}
