//! Moves what has come to where it belongs, on this side: by renaming, so that no name ever leads to half a file.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Moves `from` to `to`, which are in the same file system; two directories become one, files are replaced.
///
/// # Errors
/// A sentence: what cannot be moved where, and why.
pub(super) fn place(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot put `{}` into place: {error}", to.display());
    let is_directory = fs::symlink_metadata(from).map_err(failed)?.is_dir();
    // A link to a directory counts as one at the destination.
    match (is_directory, to.is_dir()) {
        (true, true) => merge(from, to),
        (false, true) => Err(format!("cannot replace `{}`: it is a directory", to.display())),
        (true, false) => rename_directory(from, to).map_err(failed),
        (false, false) => fs::rename(from, to).map_err(failed),
    }
}

fn merge(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot read `{}`: {error}", from.display());
    // It is our own copy, soon to be gone; moving out of it needs the right to write.
    fs::set_permissions(from, Permissions::from_mode(0o700)).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        place(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// To move a directory to another parent is to write into it.
fn rename_directory(from: &Path, to: &Path) -> io::Result<()> {
    let mode = fs::metadata(from)?.permissions().mode();
    let locked = mode & 0o200 == 0;
    if locked {
        fs::set_permissions(from, Permissions::from_mode(mode | 0o200))?;
    }
    fs::rename(from, to)?;
    if locked { fs::set_permissions(to, Permissions::from_mode(mode)) } else { Ok(()) }
}

/// Removes a private directory with whatever is in it, directories without the right to write included.
pub(super) fn remove(directory: &Path) -> io::Result<()> {
    if fs::remove_dir_all(directory).is_ok() {
        return Ok(());
    }
    unlock(directory)?;
    fs::remove_dir_all(directory)
}

fn unlock(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}
