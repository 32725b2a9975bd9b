//! What happens in a plan, as its reporter is told.

use phalanx_plan::model::{OnFailure, Step};
use phalanx_plan::workflow::{RunOf, StepOutcome, StepRun, StopCause};
use phalanx_plan::{Happening, Player};

use super::Shape;
use crate::output::{JobEvent, StepDescription, StepId};

/// Returns the step that a turn is for the reporter.
pub(super) fn step_id(shape: Shape, turn: StepRun) -> StepId {
    match shape {
        Shape::Run => StepId::RUN,
        Shape::Plan => StepId::new(turn.number()),
    }
}

/// Returns what to tell of something that has happened, if anything.
pub(super) fn job_event<'a>(shape: Shape, player: &Player, happening: &'a Happening) -> Option<JobEvent<'a>> {
    let step_id = |turn: StepRun| step_id(shape, turn);
    Some(match happening {
        // The step of a run is the run, which begins and ends anyway.
        Happening::Note { .. } | Happening::Over { .. } if shape == Shape::Run => return None,
        Happening::Begun { turn, members, command, remote } => JobEvent::StepBegun {
            step: step_id(*turn),
            description: StepDescription {
                path: if shape == Shape::Run { String::new() } else { path(player, *turn) },
                members: members.clone(),
                command: command.clone(),
                remote: *remote,
                background: around(player, *turn).any(|turn| player.step(turn).is_some_and(|step| step.background)),
                failures_ignored: player.step(*turn).is_some_and(|step| step.on_failure == OnFailure::Ignore),
                block: is_block(player, *turn),
            },
        },
        Happening::Started { turn, member, attempt, pid } => {
            JobEvent::Started { step: step_id(*turn), member: *member, attempt: *attempt, pid: *pid }
        }
        Happening::Output { turn, member, stream, bytes, shown } => {
            JobEvent::Output { step: step_id(*turn), member: *member, stream: *stream, bytes, shown: *shown }
        }
        Happening::Ended { turn, member, finished, result, retry } => {
            let (step, result) = (step_id(*turn), result.clone());
            JobEvent::Ended { step, member: *member, result, finished, retry: *retry }
        }
        Happening::NotStarted { turn, member } => JobEvent::NotStarted { step: step_id(*turn), member: *member },
        Happening::Ready { turn } => JobEvent::StepReady { step: step_id(*turn) },
        Happening::Note { turn, text } => JobEvent::Note { step: step_id(*turn), text },
        Happening::Over { turn: StepRun::ROOT, .. } | Happening::Signal(_) | Happening::Woken => return None,
        Happening::Over { turn, verdict: StepOutcome::NotRun(cause), .. } => {
            let message = not_run(player, *cause);
            JobEvent::StepSkipped { step: step_id(*turn), path: path(player, *turn), message }
        }
        Happening::Over { turn, verdict, reason } => {
            JobEvent::StepEnded { step: step_id(*turn), ok: verdict.is_ok(), reason: reason.clone() }
        }
    })
}

/// Returns why a step was not run, as a sentence about it.
pub(super) fn not_run(player: &Player, cause: StopCause) -> String {
    format!("not run, {}", why(player, cause))
}

pub(super) fn why(player: &Player, cause: StopCause) -> String {
    match cause {
        StopCause::Failure(turn) => format!("since `{}` failed", path(player, turn)),
        StopCause::Timeout(turn) => format!("since the time of `{}` was over", path(player, turn)),
        StopCause::BlockEnded => "since its block in the background was ended".to_owned(),
        StopCause::Cancelled => "since the plan was stopped".to_owned(),
    }
}

/// Returns the name of a turn, with those of the blocks it is in.
pub(super) fn path(player: &Player, turn: StepRun) -> String {
    let turns = around(player, turn).filter(|turn| *turn != StepRun::ROOT);
    let mut titles: Vec<String> = turns.map(|turn| player.title(turn)).collect();
    titles.reverse();
    titles.join(" / ")
}

/// Returns a turn, and the blocks it is in.
fn around(player: &Player, turn: StepRun) -> impl Iterator<Item = StepRun> {
    std::iter::successors(Some(turn), |turn| player.workflow().parent(*turn))
}

pub(super) fn is_block(player: &Player, turn: StepRun) -> bool {
    match player.workflow().run_of(turn) {
        RunOf::Root | RunOf::Iteration(_) => true,
        RunOf::Step(_) => player.step(turn).is_some_and(Step::is_block),
    }
}
