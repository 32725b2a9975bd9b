//! Decides what is to be done for every host: substitutions made, sources found, destinations told apart.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use phalanx_process::host::Host;

use super::copy::CopyError;
use super::sources::{Source, expand_home, find_sources};
use super::transfer::{GetTransfer, PutTransfer, is_directory_target, substitute};
use crate::substitute::{Lists, SubstituteError};

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) sources: Vec<OsString>,
    pub(crate) destination: OsString,
    pub(crate) hosts: Vec<Host>,
}

impl Request {
    /// Returns the hosts for which there is something to do: nothing is copied at once, as execo has it.
    pub(crate) fn hosts(&self) -> &[Host] {
        if self.sources.is_empty() { &[] } else { &self.hosts }
    }

    fn sources(&self, lists: &Lists, host: &Host, index: usize) -> Result<Vec<OsString>, SubstituteError> {
        self.sources.iter().map(|source| substitute(lists, source, host, index)).collect()
    }
}

/// Decides what every host is to be sent.
pub(super) fn puts(request: &Request, lists: &Lists) -> Result<Vec<(Host, PutTransfer)>, CopyError> {
    // Hosts whose sources are the same share what was found.
    let mut last: Option<(Vec<OsString>, Arc<[Source]>)> = None;
    let mut puts = Vec::with_capacity(request.hosts().len());
    for (index, host) in request.hosts().iter().enumerate() {
        let given = request.sources(lists, host, index)?;
        let destination = substitute(lists, &request.destination, host, index)?;
        let into = is_directory_target(&given, &destination);
        let found = match &last {
            Some((before, found)) if *before == given => Arc::clone(found),
            _ => Arc::from(find_sources(&given)?),
        };
        last = Some((given, Arc::clone(&found)));
        puts.push((host.clone(), PutTransfer { sources: found, into, destination }));
    }
    Ok(puts)
}

/// Decides what every host is asked for, and where that goes.
pub(super) fn gets(request: &Request, lists: &Lists) -> Result<Vec<(Host, GetTransfer)>, CopyError> {
    let mut gets = Vec::with_capacity(request.hosts().len());
    let mut taken: HashMap<PathBuf, &Host> = HashMap::new();
    for (index, host) in request.hosts().iter().enumerate() {
        let sources = request.sources(lists, host, index)?;
        let (destination, into) = destination_here(request, lists, &sources, host, index)?;
        if let Some(first) = taken.insert(destination.components().collect(), host) {
            let (first, second) = (first.to_string(), host.to_string());
            return Err(CopyError::Clash { first, second, destination });
        }
        gets.push((host.clone(), GetTransfer { sources, into, destination }));
    }
    Ok(gets)
}

/// Returns where the files of a host go, and whether that is a directory they go into.
fn destination_here(
    request: &Request,
    lists: &Lists,
    sources: &[OsString],
    host: &Host,
    index: usize,
) -> Result<(PathBuf, bool), SubstituteError> {
    let substituted = substitute(lists, &request.destination, host, index)?;
    let path = expand_home(&substituted);
    if substituted == request.destination {
        // A directory is that of the host with its user and port, so that two of one address do not meet in it.
        return Ok((path.join(host.to_string().replace('/', "_")), true));
    }
    let into = is_directory_here(sources, &substituted, &path);
    Ok((path, into))
}

fn is_directory_here(sources: &[OsString], destination: &OsStr, path: &Path) -> bool {
    is_directory_target(sources, destination) || path.is_dir()
}
