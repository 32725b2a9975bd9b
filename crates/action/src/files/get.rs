//! Files from many hosts to here.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use phalanx_process::conductor::Conductor;
use phalanx_process::host::Host;

use super::sources::expand_home;
use super::transfers::{Job, Parts, Transfers, goes_into, substitute};
use crate::action::Action;
use crate::substitute::SubstituteError;
use crate::terms::{Terms, set_terms};

/// Files and directories to be copied from each of some hosts. The rules are in [`crate::files`].
///
/// Where they go. No host ever overwrites what another has sent:
///
/// 1. the destination has no `{{{host}}}` and no list: into DESTINATION/HOST/, which is made
/// 2. it has one, and what it becomes is different for every host; or else it is an error before anything starts. Then,
///    as for a [put](super::Put): a directory is gone into; several sources, a pattern or a slash at the end make one;
///    and otherwise it is the new name of the source
///
/// A relative source begins at the remote home.
#[derive(Debug, Clone)]
pub struct Get {
    sources: Vec<OsString>,
    destination: OsString,
    hosts: Vec<Host>,
    pub(crate) terms: Terms,
    verify: bool,
}

/// Why there is nothing that could be got.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// Two hosts would write the same files.
    #[error(
        "`{first}` and `{second}` would both write to `{}`: put `{{{{{{host}}}}}}` into the destination",
        .destination.display()
    )]
    Clash {
        /// The first host.
        first: String,
        /// The second.
        second: String,
        /// Where.
        destination: PathBuf,
    },
    /// Something is wrong with a substitution.
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
}

set_terms!(Get);

impl Get {
    /// `sources` of every one of `hosts` to `destination`.
    #[must_use]
    pub fn new(
        sources: impl IntoIterator<Item = impl Into<OsString>>,
        destination: impl Into<OsString>,
        hosts: impl IntoIterator<Item = impl Into<Host>>,
    ) -> Self {
        Self {
            sources: sources.into_iter().map(Into::into).collect(),
            destination: destination.into(),
            hosts: hosts.into_iter().map(Into::into).collect(),
            terms: Terms::default(),
            verify: false,
        }
    }

    /// Whether SHA-256 checksums computed at the far end are compared, before anything gets its final name.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// The action, run by the default conductor.
    ///
    /// # Errors
    /// When two hosts would write to the same place, or a list is not there.
    pub fn build(self) -> Result<Action, GetError> {
        self.build_on(Conductor::global())
    }

    /// The action, run by `conductor`.
    ///
    /// # Errors
    /// As for [`Get::build`].
    pub fn build_on(self, conductor: &Conductor) -> Result<Action, GetError> {
        Ok(self.transfers()?.into_action(conductor))
    }

    /// The transfers, for those who drive an engine of their own.
    ///
    /// # Errors
    /// As for [`Get::build`].
    pub fn transfers(self) -> Result<Transfers, GetError> {
        Ok(Transfers::new(self.into_parts()?))
    }

    /// All that is decided, for whatever way of transferring.
    pub(crate) fn into_parts(self) -> Result<Parts, GetError> {
        let jobs = self.jobs()?;
        let name = self.terms.name.clone().unwrap_or_else(|| format!("get to {}", self.destination.display()));
        Ok(Parts { jobs, name, terms: self.terms, verify: self.verify })
    }

    fn jobs(&self) -> Result<Vec<(Host, Job)>, GetError> {
        let lists = &self.terms.lists;
        let mut jobs = Vec::with_capacity(self.hosts.len());
        let mut taken: HashMap<PathBuf, &Host> = HashMap::new();
        let hosts: &[Host] = if self.sources.is_empty() { &[] } else { &self.hosts };
        for (index, host) in hosts.iter().enumerate() {
            let sources = self.sources.iter().map(|source| substitute(lists, source, host, index));
            let sources = sources.collect::<Result<Vec<_>, _>>()?;
            let (destination, into) = self.destination(&sources, host, index)?;
            if let Some(first) = taken.insert(destination.components().collect(), host) {
                let (first, second) = (first.to_string(), host.to_string());
                return Err(GetError::Clash { first, second, destination });
            }
            jobs.push((host.clone(), Job::Get { sources, into, destination }));
        }
        Ok(jobs)
    }

    /// Where the files of a host go, and whether that is a directory they go into.
    fn destination(&self, sources: &[OsString], host: &Host, index: usize) -> Result<(PathBuf, bool), SubstituteError> {
        let substituted = substitute(&self.terms.lists, &self.destination, host, index)?;
        let path = expand_home(&substituted);
        if substituted == self.destination {
            // A directory is that of the host with its user and port, so that two of one address do not meet in it.
            return Ok((path.join(host.to_string().replace('/', "_")), true));
        }
        let into = goes_into_here(sources, &substituted, &path);
        Ok((path, into))
    }
}

fn goes_into_here(sources: &[OsString], destination: &OsStr, path: &Path) -> bool {
    goes_into(sources, destination) || path.is_dir()
}
