//! The [`Workflow`] of a plan: which step is next, and what the end of one leads to.

pub use phalanx_process::workflow::{
    RunOf, StepKind, StepOutcome, StepRun, StepSpec, StopCause, Workflow, WorkflowEffect,
};

use crate::model::{Failed, Plan, Step, Work};

impl Plan {
    /// Returns the workflow of its steps, not begun: the index of a step there is its number.
    #[must_use]
    pub fn workflow(&self) -> Workflow {
        let mut specs = vec![None; self.count];
        self.steps.iter().for_each(|step| describe(step, &mut specs));
        let specs = specs.into_iter().map(|spec| spec.expect("every number is that of a step")).collect();
        let top: Vec<usize> = self.steps.iter().map(|step| step.number).collect();
        Workflow::new(StepKind::Sequence, specs, &top)
    }
}

fn describe(step: &Step, specs: &mut [Option<StepSpec>]) {
    let kind = match &step.work {
        Work::Processes(_) | Work::Forward(_) | Work::Pause(_) => StepKind::Single,
        Work::Sequence(_) => StepKind::Sequence,
        Work::Parallel { fail_fast, .. } => StepKind::Parallel { fail_fast: *fail_fast },
        Work::Sweep(sweep) => StepKind::Iterate { stop_on_failure: sweep.failed == Failed::Stop },
    };
    let steps = step.steps().iter().map(|step| step.number).collect();
    // The limit of a port that is forwarded is about its beginning, and is kept there.
    let timeout = step.limit.filter(|_| step.is_block());
    let Step { background, on_failure, .. } = *step;
    specs[step.number] = Some(StepSpec { kind, steps, background, on_failure, timeout });
    step.steps().iter().for_each(|step| describe(step, specs));
}
