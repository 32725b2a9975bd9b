//! Two contestants taking turns, and what is said about them.

use std::fmt;
use std::process::Command;

use super::measure::{Cost, measure};

/// What a ratio should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// Our time in units of the other's.
    AtMost(f64),
    /// The other's time in units of ours: how many times faster we are.
    AtLeast(f64),
    /// Said for comparison, nothing promised.
    Told,
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtMost(bound) => write!(formatter, "goal ≤ {bound} ×"),
            Goal::AtLeast(bound) => write!(formatter, "goal ≥ {bound} ×"),
            Goal::Told => write!(formatter, "for comparison"),
        }
    }
}

impl Goal {
    /// The ratio as this goal counts it, and whether it is reached.
    fn judge(self, ours_by_theirs: f64) -> (f64, &'static str) {
        let word = |reached: bool| if reached { "REACHED" } else { "MISSED" };
        match self {
            Goal::AtMost(bound) => (ours_by_theirs, word(ours_by_theirs <= bound)),
            Goal::AtLeast(bound) => (1.0 / ours_by_theirs, word(1.0 / ours_by_theirs >= bound)),
            Goal::Told => (1.0 / ours_by_theirs, ""),
        }
    }
}

/// Lets `ours` and `theirs` take turns and says the median of the ratios of their times.
///
/// The commands are made anew for every turn, because some need a fresh file.
pub(super) fn pairwise(
    name: &str,
    goal: Goal,
    rounds: usize,
    mut ours: impl FnMut() -> Command,
    mut theirs: impl FnMut() -> Command,
) -> Result<(), String> {
    let turn = |_| Ok((measure(&mut ours())?, measure(&mut theirs())?));
    let turns: Vec<(Cost, Cost)> = (0..rounds).map(turn).collect::<Result<_, String>>()?;
    say(name, goal, &turns);
    Ok(())
}

/// One of several that take turns.
pub(super) type Contestant<'a> = (&'a str, Box<dyn Fn() -> Command + 'a>);

/// Lets all take turns, and says the medians of the ratios of each of ours to each of theirs, whose goals are those of
/// the first of ours.
pub(super) fn in_turn(rounds: usize, ours: &[Contestant<'_>], theirs: &[(Contestant<'_>, Goal)]) -> Result<(), String> {
    let all = ours.iter().chain(theirs.iter().map(|(contestant, _)| contestant));
    let round = |_| all.clone().map(|(_, command)| measure(&mut command())).collect();
    let rounds: Vec<Vec<Cost>> = (0..rounds).map(round).collect::<Result<_, String>>()?;
    for (place, (name, _)) in ours.iter().enumerate() {
        println!("  {name}:");
        for (behind, ((tool, _), goal)) in theirs.iter().enumerate() {
            let goal = if place == 0 { *goal } else { Goal::Told };
            let turns: Vec<_> = rounds.iter().map(|costs| (costs[place], costs[ours.len() + behind])).collect();
            say(tool, goal, &turns);
        }
    }
    Ok(())
}

/// As [`pairwise`], with a tool that may not be installed: then that is what is said.
pub(super) fn against_tool(
    tool: &str,
    package: &str,
    goal: Goal,
    rounds: usize,
    ours: impl FnMut() -> Command,
    theirs: impl FnMut() -> Command,
) -> Result<(), String> {
    if phalanx_tests::find_program(tool).is_none() {
        println!("  {tool}: not installed (apt-get install {package}), left out");
        return Ok(());
    }
    pairwise(tool, goal, rounds, ours, theirs)
}

fn say(name: &str, goal: Goal, turns: &[(Cost, Cost)]) {
    let ratio = |part: fn(&Cost) -> f64| median(turns.iter().map(|(ours, theirs)| part(ours) / part(theirs)));
    let (told, word) = goal.judge(ratio(|cost| cost.wall));
    let unit = if matches!(goal, Goal::AtMost(_)) { "× the time of" } else { "× the speed of" };
    let ours = |part: fn(&Cost) -> f64| median(turns.iter().map(|(ours, _)| part(ours)));
    let theirs = |part: fn(&Cost) -> f64| median(turns.iter().map(|(_, theirs)| part(theirs)));
    println!("  {told:7.2} {unit} {name:32} {goal:16} {word}");
    println!(
        "          wall {:.2} s to {:.2} s, processor {:.2} s to {:.2} s ({:.2} ×), peak {:.1} MiB to {:.1} MiB, {} rounds",
        ours(|cost| cost.wall),
        theirs(|cost| cost.wall),
        ours(|cost| cost.processor),
        theirs(|cost| cost.processor),
        ratio(|cost| cost.processor),
        turns.iter().map(|(ours, _)| ours.peak).fold(0.0, f64::max),
        turns.iter().map(|(_, theirs)| theirs.peak).fold(0.0, f64::max),
        turns.len(),
    );
}

/// The middle value; of an even number of them the upper middle.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    }

    #[test]
    fn a_goal_counts_in_its_own_direction() {
        assert_eq!(Goal::AtMost(1.15).judge(1.1), (1.1, "REACHED"));
        assert_eq!(Goal::AtMost(1.15).judge(1.2).1, "MISSED");
        assert_eq!(Goal::AtLeast(20.0).judge(0.04), (25.0, "REACHED"));
        assert_eq!(Goal::AtLeast(20.0).judge(0.1).1, "MISSED");
    }
}
