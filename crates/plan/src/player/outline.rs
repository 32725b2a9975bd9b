//! What a plan would do, in words: every step with every command of every host, and nothing is done.

use phalanx_action::substitute::Lists;

use super::recipe::Recipe;
use super::{Manner, combination_name, ports};
use crate::model::{Plan, Step, Sweep, Work};

/// A line of an outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How many blocks it is in.
    pub depth: usize,
    /// The host, if it is what is done on one.
    pub host: Option<String>,
    /// A step, or what is done on a host.
    pub text: String,
}

/// Gives all lines of the outline of `plan` to `show`, one after the other, until that fails.
///
/// # Errors
/// That of `show`.
pub fn outline<E>(plan: &Plan, manner: &Manner, mut show: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
    steps(&plan.steps, 0, &plan.lists, manner, &mut show)
}

fn steps<E>(
    steps: &[Step],
    depth: usize,
    lists: &Lists,
    manner: &Manner,
    show: &mut impl FnMut(Line) -> Result<(), E>,
) -> Result<(), E> {
    let mut lists = lists.clone();
    for one in steps {
        show(Line { depth, host: None, text: heading(one) })?;
        step(one, depth + 1, &lists, manner, show)?;
        if let Work::Forward(forward) = &one.work
            && let Some(name) = &forward.variable
        {
            let port = forward.local_port.map_or_else(|| format!("<{name}>"), |port| port.to_string());
            lists.insert(name, vec![port]).expect("it was looked at when the plan was read");
        }
    }
    Ok(())
}

fn step<E>(
    one: &Step,
    depth: usize,
    lists: &Lists,
    manner: &Manner,
    show: &mut impl FnMut(Line) -> Result<(), E>,
) -> Result<(), E> {
    match &one.work {
        Work::Processes(processes) => match Recipe::new(processes, lists, manner) {
            Ok(recipe) => recipe.labels.iter().enumerate().try_for_each(|(member, label)| {
                show(Line { depth, host: Some(label.clone()), text: recipe.describe(member) })
            }),
            Err(reason) => show(Line { depth, host: None, text: format!("cannot tell now: {reason}") }),
        },
        Work::Forward(forward) => show(Line { depth, host: None, text: ports::describe(forward, lists) }),
        Work::Pause(_) => Ok(()),
        Work::Sequence(inner) | Work::Parallel { steps: inner, .. } => steps(inner, depth, lists, manner, show),
        Work::Sweep(sweep) => passes(sweep, depth, lists, manner, show),
    }
}

fn passes<E>(
    sweep: &Sweep,
    depth: usize,
    lists: &Lists,
    manner: &Manner,
    show: &mut impl FnMut(Line) -> Result<(), E>,
) -> Result<(), E> {
    for combination in &sweep.combinations {
        let mut lists = lists.clone();
        let empty = sweep.factors.iter().map(|name| (name.clone(), String::new()));
        let own = combination.iter().map(|(name, value)| (name.to_owned(), value.to_string()));
        for (name, value) in empty.chain(own).chain([("combination".to_owned(), combination.slug())]) {
            lists.insert(&name, vec![value]).expect("names were looked at when the plan was read");
        }
        show(Line { depth, host: None, text: combination_name(combination) })?;
        steps(&sweep.steps, depth + 1, &lists, manner, show)?;
    }
    Ok(())
}

/// A step, in one line.
fn heading(step: &Step) -> String {
    let mut text = step.name.clone();
    match &step.work {
        Work::Processes(_) | Work::Forward(_) => {}
        Work::Pause(pause) => text += &format!(": pause {} s", pause.as_secs_f64()),
        Work::Sequence(_) => text += ": one after the other",
        Work::Parallel { .. } => text += ": all at once",
        Work::Sweep(sweep) => {
            text += &format!(": {} combinations", sweep.combinations.len());
            if let Some(queue) = &sweep.queue {
                text += &format!(", less those that are done in `{}`", queue.display());
            }
        }
    }
    if step.background {
        text += " (in the background, until its block ends)";
    }
    text
}
