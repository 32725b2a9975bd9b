//! The job this runs in: Slurm and OAR say its nodes by the environment. Both are group sources that need no configuration, and that give
//! way to a configured source of the same name.
//!
//! | written | means |
//! | --- | --- |
//! | `@slurm:job` | the node set in `SLURM_JOB_NODELIST` (or the older `SLURM_NODELIST`) |
//! | `@oar:job` | the nodes in the file that `OAR_NODE_FILE` (or `OAR_NODEFILE`) names, each once |
//!
//! They are not listed among the sources, so that listings are the same inside and outside of a job.

use super::NamedSource;
use phalanx_nodeset::{GroupError, GroupSource};
use std::fs;

const JOB: &str = "job";

pub(super) fn sources() -> Vec<Box<dyn NamedSource>> {
    vec![Box::new(Slurm), Box::new(Oar)]
}

#[derive(Debug)]
struct Slurm;

#[derive(Debug)]
struct Oar;

fn variable(names: [&str; 2]) -> Option<String> {
    names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
}

fn not_in_a_job(names: [&str; 2]) -> GroupError {
    GroupError::QueryFailed(format!("not inside of a job: {} is not set", names[0]))
}

const SLURM: [&str; 2] = ["SLURM_JOB_NODELIST", "SLURM_NODELIST"];
const OAR: [&str; 2] = ["OAR_NODE_FILE", "OAR_NODEFILE"];

impl GroupSource for Slurm {
    fn name(&self) -> &str {
        "slurm"
    }

    fn nodes(&self, group: &str) -> Result<Option<String>, GroupError> {
        if group != JOB {
            return Ok(None);
        }
        variable(SLURM).map(Some).ok_or_else(|| not_in_a_job(SLURM))
    }

    fn groups(&self) -> Result<Vec<String>, GroupError> {
        Ok(variable(SLURM).map(|_| JOB.to_owned()).into_iter().collect())
    }

    fn all(&self) -> Result<Option<String>, GroupError> {
        self.nodes(JOB)
    }
}

impl GroupSource for Oar {
    fn name(&self) -> &str {
        "oar"
    }

    fn nodes(&self, group: &str) -> Result<Option<String>, GroupError> {
        if group != JOB {
            return Ok(None);
        }
        let path = variable(OAR).ok_or_else(|| not_in_a_job(OAR))?;
        fs::read_to_string(&path).map(Some).map_err(|error| GroupError::QueryFailed(format!("{path}: {error}")))
    }

    fn groups(&self) -> Result<Vec<String>, GroupError> {
        Ok(variable(OAR).map(|_| JOB.to_owned()).into_iter().collect())
    }

    fn all(&self) -> Result<Option<String>, GroupError> {
        self.nodes(JOB)
    }
}

/// The nodes of the job this runs in, when it runs in one: what to use where nobody said which.
pub(super) fn nodes() -> Option<Result<String, GroupError>> {
    let of = |source: &dyn GroupSource| source.nodes(JOB).map(Option::unwrap_or_default);
    if variable(SLURM).is_some() {
        return Some(of(&Slurm));
    }
    variable(OAR).map(|_| of(&Oar))
}
