//! Finds what is to be sent: `~` and patterns on this side, and the name that each source will have.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::pattern;

/// One thing to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called there.
    pub name: OsString,
}

/// Why there is nothing that could be sent.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is not there.
    #[error("there is no `{}` here", .0.display())]
    Missing(PathBuf),
    /// It is there, and cannot be looked at.
    #[error("cannot read `{}`: {error}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// `.`, `..` or `/`.
    #[error("`{}` has no name of its own: give its name, or what is in it", .0.display())]
    Nameless(PathBuf),
    /// Neither file nor directory.
    #[error("`{}` is neither a file nor a directory", .0.display())]
    Special(PathBuf),
    /// Two sources have the same name.
    #[error("both `{}` and `{}` would be called `{}` there", .first.display(), .second.display(), .name.display())]
    Clash {
        /// The first.
        first: PathBuf,
        /// The second.
        second: PathBuf,
        /// What both are called.
        name: OsString,
    },
}

/// Everything that `given` stands for, in order.
///
/// # Errors
/// When something is missing, cannot be read, has no name, or would overwrite another.
pub fn find_sources(given: &[OsString]) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    for given in given {
        let path = expand_home(given);
        for path in expand_pattern(&path)? {
            sources.push(source(path)?);
        }
    }
    let mut names: HashMap<&OsStr, &Source> = HashMap::new();
    for source in &sources {
        if let Some(first) = names.insert(&source.name, source) {
            let (first, second) = (first.path.clone(), source.path.clone());
            return Err(SourceError::Clash { first, second, name: source.name.clone() });
        }
    }
    Ok(sources)
}

/// Whether the sources are many by nature, so that they need a directory to go into.
pub(super) fn are_many(given: &[OsString]) -> bool {
    given.len() != 1
        || pattern::is_pattern(given[0].as_bytes()) && fs::symlink_metadata(expand_home(&given[0])).is_err()
}

fn source(path: PathBuf) -> Result<Source, SourceError> {
    // `Path::file_name` would look through a trailing `/.`.
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let name = bytes[..end].rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if [&b""[..], b".", b".."].contains(&name) {
        return Err(SourceError::Nameless(path));
    }
    let name = OsStr::from_bytes(name).to_owned();
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() || meta.is_dir() => Ok(Source { path, name }),
        Ok(_) => Err(SourceError::Special(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SourceError::Missing(path)),
        Err(error) => Err(SourceError::Unreadable { path, error }),
    }
}

/// `~` and `~/…` as a shell has it; `~user` by the list of users.
pub(super) fn expand_home(given: &OsStr) -> PathBuf {
    let bytes = given.as_bytes();
    let Some(rest) = bytes.strip_prefix(b"~") else { return given.into() };
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (user, rest) = rest.split_at(end);
    let home = if user.is_empty() { std::env::var_os("HOME") } else { home_of(user) };
    match home {
        Some(mut home) => {
            home.push(OsStr::from_bytes(rest));
            home.into()
        }
        None => given.into(),
    }
}

/// From passwd(5). Users that only a directory service knows keep their `~user`, and an error says that it is not there.
fn home_of(user: &[u8]) -> Option<OsString> {
    let users = fs::read("/etc/passwd").ok()?;
    let line = users.split(|byte| *byte == b'\n').find(|line| line.split(|byte| *byte == b':').next() == Some(user))?;
    line.split(|byte| *byte == b':').nth(5).map(|home| OsString::from_vec(home.to_vec()))
}

/// A file of exactly that name, or else all that match, in the order of their bytes.
fn expand_pattern(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    if !pattern::is_pattern(path.as_os_str().as_bytes()) || fs::symlink_metadata(path).is_ok() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        let mut next = Vec::new();
        for directory in found {
            descend(&directory, component.as_os_str(), &mut next);
        }
        found = next;
    }
    if found.is_empty() { Err(SourceError::Missing(path.to_owned())) } else { Ok(found) }
}

fn descend(directory: &Path, component: &OsStr, next: &mut Vec<PathBuf>) {
    let literal = directory.join(component);
    if !pattern::is_pattern(component.as_bytes()) || fs::symlink_metadata(&literal).is_ok() {
        if fs::symlink_metadata(&literal).is_ok() {
            next.push(literal);
        }
        return;
    }
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let names = fs::read_dir(here).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.filter(|name| pattern::matches(component.as_bytes(), name.as_bytes())).collect();
    names.sort();
    next.extend(names.into_iter().map(|name| directory.join(name)));
}
