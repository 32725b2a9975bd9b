//! What arrives here from a host: received into a private directory, then installed.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::Fault;
use super::install;
use super::progress::Counters;
use super::unpack::{self, Unpacking};

/// What is to come from a host, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) token: String,
    /// What was asked for.
    pub(crate) asked: Vec<OsString>,
    pub(crate) destination: PathBuf,
    /// The destination is a directory that things go into.
    pub(crate) into: bool,
    pub(crate) verify: bool,
    pub(crate) keep_setid: bool,
}

impl Arrival {
    /// Unpacks what the script of a get sends, and moves it to where it belongs when all of it has come, if it still may.
    pub(crate) fn receive(
        &self,
        from: impl Read,
        counters: &Counters,
        may_install: impl FnOnce() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let stream = unpack::await_stream(from, &self.token)?;
        if let Some(failure) = stream.failure() {
            return Err(failure);
        }
        let directory = self.directory().map_err(Fault::Local)?;
        let temporary = Temporary::new(directory, &self.token)?;
        let Self { asked, verify, keep_setid, .. } = self;
        let (verify, keep_setid) = (*verify, *keep_setid);
        let names = stream.unpack(&Unpacking { directory: &temporary.0, asked, verify, keep_setid, counters })?;
        if let ([first, second, ..], false) = (&names.iter().collect::<Vec<_>>()[..], self.into) {
            let (first, second) = (first.display(), second.display());
            let both = format!("both `{first}` and `{second}` came, for one name: end the destination with a slash");
            return Err(Fault::Local(both));
        }
        may_install()?;
        for name in names {
            let target = if self.into { self.destination.join(&name) } else { self.destination.clone() };
            install::install(&temporary.0.join(&name), &target).map_err(Fault::Local)?;
        }
        Ok(())
    }

    /// Returns the directory that files come into, made if it may be.
    fn directory(&self) -> Result<&Path, String> {
        let destination = &self.destination;
        let failed = |error: io::Error| format!("cannot make the directory `{}`: {error}", destination.display());
        if self.into {
            fs::create_dir_all(destination).map_err(failed)?;
            return Ok(destination);
        }
        let parent = destination.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if parent.is_dir() {
            return Ok(parent);
        }
        let parent = parent.display();
        Err(format!(
            "there is no directory `{parent}` here: make it, or end the destination with a slash to have it made"
        ))
    }
}

/// A private directory that is removed with all that is left in it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(parent: &Path, token: &str) -> Result<Self, Fault> {
        let path = parent.join(format!(".phalanx-get-{token}"));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Fault::Local(format!("cannot write into `{}`: {error}", parent.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = install::remove(&self.0) {
            log::warn!("cannot remove `{}`: {error}", self.0.display());
        }
    }
}
