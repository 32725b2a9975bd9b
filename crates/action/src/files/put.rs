//! Files from here to many hosts.

use std::ffi::OsString;
use std::sync::Arc;

use phalanx_process::conductor::Conductor;
use phalanx_process::host::Host;

use super::sources::{SourceError, find_sources};
use super::transfers::{Job, Parts, Transfers, goes_into, substitute};
use crate::action::Action;
use crate::substitute::SubstituteError;
use crate::terms::{Terms, set_terms};

/// Files and directories to be copied to each of some hosts. The rules are in [`crate::files`].
///
/// Where they go. The first line that applies decides:
///
/// 1. the destination is a directory there: into it, each under its own name
/// 2. there are several sources, or a pattern, or the destination ends with a slash (or is `.`, `..`, `~` or empty): into
///    that directory, which is made with those above it
/// 3. otherwise the destination is the new name of the source, and the directory it is in must be there
///
/// A relative destination begins at the remote home. `{{{host}}}` and lists are substituted in sources and destination.
///
/// ```no_run
/// use phalanx_action::files::Put;
///
/// let action = Put::new(["bin/server", "conf/*.toml"], "/opt/server/", ["node1", "node2"]).verify(true).build()?.run();
/// assert!(action.ok());
/// # Ok::<(), phalanx_action::files::put::PutError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Put {
    sources: Vec<OsString>,
    destination: OsString,
    hosts: Vec<Host>,
    pub(crate) terms: Terms,
    verify: bool,
}

/// Why there is nothing that could be put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Something is wrong with a source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Something is wrong with a substitution.
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
}

set_terms!(Put);

impl Put {
    /// `sources` to `destination` on every one of `hosts`.
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

    /// Whether SHA-256 checksums are compared at the far end, before anything gets its final name.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// The action, run by the default conductor.
    ///
    /// # Errors
    /// When a source is missing or cannot be read, two have the same name, or a list is not there.
    pub fn build(self) -> Result<Action, PutError> {
        self.build_on(Conductor::global())
    }

    /// The action, run by `conductor`.
    ///
    /// # Errors
    /// As for [`Put::build`].
    pub fn build_on(self, conductor: &Conductor) -> Result<Action, PutError> {
        Ok(self.transfers()?.into_action(conductor))
    }

    /// The transfers, for those who drive an engine of their own.
    ///
    /// # Errors
    /// As for [`Put::build`].
    pub fn transfers(self) -> Result<Transfers, PutError> {
        Ok(Transfers::new(self.into_parts()?))
    }

    /// All that is decided, for whatever way of transferring.
    pub(crate) fn into_parts(self) -> Result<Parts, PutError> {
        let jobs = self.jobs()?;
        let name = self.terms.name.clone().unwrap_or_else(|| format!("put to {}", self.destination.display()));
        Ok(Parts { jobs, name, terms: self.terms, verify: self.verify })
    }

    /// What was asked for, for a way to transfer that decides for itself: sources, destination, hosts, terms.
    pub(crate) fn into_request(self) -> (Vec<OsString>, OsString, Vec<Host>, Terms) {
        (self.sources, self.destination, self.hosts, self.terms)
    }

    fn jobs(&self) -> Result<Vec<(Host, Job)>, PutError> {
        // Hosts whose sources are the same share what was found.
        let mut last: Option<(Vec<OsString>, Arc<[super::sources::Source]>)> = None;
        let mut jobs = Vec::with_capacity(self.hosts.len());
        let lists = &self.terms.lists;
        // Nothing to be put is put at once, as execo has it.
        let hosts: &[Host] = if self.sources.is_empty() { &[] } else { &self.hosts };
        for (index, host) in hosts.iter().enumerate() {
            let given = self.sources.iter().map(|source| substitute(lists, source, host, index));
            let given = given.collect::<Result<Vec<_>, _>>()?;
            let destination = substitute(lists, &self.destination, host, index)?;
            let into = goes_into(&given, &destination);
            let found = match &last {
                Some((before, found)) if *before == given => Arc::clone(found),
                _ => Arc::from(find_sources(&given)?),
            };
            last = Some((given, Arc::clone(&found)));
            jobs.push((host.clone(), Job::Put { sources: found, into, destination }));
        }
        Ok(jobs)
    }
}
