//! What is to be done for one host, as it was decided before anything starts.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use phalanx_process::host::Host;

use super::arrival::Arrival;
use super::copy::CopyOptions;
use super::sources::{self, Source};
use crate::substitute::{Lists, SubstituteError};

/// Files to a host or from one.
#[derive(Debug, Clone)]
pub(crate) enum Transfer {
    Put(PutTransfer),
    Get(GetTransfer),
}

/// Files to a host.
#[derive(Debug, Clone)]
pub(crate) struct PutTransfer {
    pub(crate) sources: Arc<[Source]>,
    /// The destination is a directory that the sources go into, made if it is not there.
    pub(crate) into: bool,
    pub(crate) destination: OsString,
}

/// Files from a host.
#[derive(Debug, Clone)]
pub(crate) struct GetTransfer {
    pub(crate) sources: Vec<OsString>,
    pub(crate) into: bool,
    pub(crate) destination: PathBuf,
}

impl GetTransfer {
    /// Returns what is to arrive of it.
    pub(crate) fn arrival(&self, token: String, options: &CopyOptions) -> Arrival {
        Arrival {
            token,
            asked: self.sources.clone(),
            destination: self.destination.clone(),
            into: self.into,
            verify: options.verify,
            keep_setid: options.keep_setid,
        }
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |words: Vec<String>| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ");
        let (verb, sources, into, destination) = match self {
            Self::Put(PutTransfer { sources, into, destination }) => {
                let sources = sources.iter().map(|source| source.path.display().to_string()).collect();
                ("put", join(sources), into, destination.display().to_string())
            }
            Self::Get(GetTransfer { sources, into, destination }) => {
                let sources = sources.iter().map(|source| source.display().to_string()).collect();
                ("get", join(sources), into, destination.display().to_string())
            }
        };
        write!(f, "{verb} {sources} {} `{destination}`", if *into { "into" } else { "at" })
    }
}

/// Substitutes in `text` for one host. What is not UTF-8 stays as it is.
pub(crate) fn substitute(lists: &Lists, text: &OsStr, host: &Host, index: usize) -> Result<OsString, SubstituteError> {
    let mut result = Vec::new();
    for chunk in text.as_bytes().utf8_chunks() {
        result.extend_from_slice(lists.substitute(chunk.valid(), host, index)?.as_bytes());
        result.extend_from_slice(chunk.invalid());
    }
    Ok(OsString::from_vec(result))
}

/// Whether the sources need a directory to go into.
pub(crate) fn is_directory_target(sources: &[OsString], destination: &OsStr) -> bool {
    let bytes = destination.as_bytes();
    let ends_like_one = [&b"/"[..], b"/.", b"/.."].iter().any(|end| bytes.ends_with(end));
    sources::are_many(sources) || ends_like_one || [&b""[..], b".", b"..", b"~"].contains(&bytes)
}
