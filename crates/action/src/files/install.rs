//! Moves what has come to where it belongs, on this side: by renaming, so that no name ever leads to half a file. Below
//! the destination no link is followed, and only files, links and directories are ever replaced.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;

/// Moves `from` to `to`, which are in the same file system; two directories become one, files and links are replaced.
///
/// # Errors
/// A sentence: what cannot be moved where, and why.
pub(super) fn install(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot put `{}` into place: {error}", to.display());
    let meta = fs::symlink_metadata(from).map_err(failed)?;
    let there = match fs::symlink_metadata(to) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    if let Some(there) = &there {
        check_replaceable(&meta, there, to)?;
    }
    match there {
        Some(there) if meta.is_dir() => merge(from, to, &there),
        None if meta.is_dir() => rename_directory(from, to).map_err(failed),
        Some(there) => {
            keep_owner(from, &meta, &there);
            fs::rename(from, to).map_err(failed)
        }
        None => fs::rename(from, to).map_err(failed),
    }
}

fn check_replaceable(from: &Metadata, there: &Metadata, to: &Path) -> Result<(), String> {
    let refused = |why: &str| Err(format!("cannot replace `{}`: it is {why}", to.display()));
    match (from.is_dir(), there) {
        (true, there) if there.is_dir() => Ok(()),
        (false, there) if there.is_file() => Ok(()),
        // Replaced, not followed.
        (false, there) if there.is_symlink() && !to.is_dir() => Ok(()),
        (_, there) if there.is_symlink() => refused("a link, and below the destination no link is followed"),
        (false, there) if there.is_dir() => refused("a directory"),
        (true, there) if there.is_file() => refused("no directory"),
        _ => refused("neither a file nor a directory"),
    }
}

/// Gives a file to the owner of the one that it replaces, if that may be done.
fn keep_owner(from: &Path, meta: &Metadata, there: &Metadata) {
    let differs = (meta.uid(), meta.gid()) != (there.uid(), there.gid());
    if differs && there.is_file() && lchown(from, Some(there.uid()), Some(there.gid())).is_ok() && meta.is_file() {
        // A change of the owner takes the set-id bits away.
        let _ = fs::set_permissions(from, meta.permissions());
    }
}

fn merge(from: &Path, to: &Path, there: &Metadata) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot read `{}`: {error}", from.display());
    // It is our own copy, soon to be gone; moving out of it needs the right to write.
    fs::set_permissions(from, Permissions::from_mode(0o700)).map_err(failed)?;
    let _opened = Opened::new(to, there);
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        install(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A directory that denied it to its owner to write into it, and does again when this is dropped.
struct Opened<'a>(Option<(&'a Path, Permissions)>);

impl<'a> Opened<'a> {
    fn new(directory: &'a Path, meta: &Metadata) -> Self {
        let mode = meta.permissions().mode();
        let open = mode & 0o300 == 0o300;
        let opened = !open && fs::set_permissions(directory, Permissions::from_mode(mode | 0o300)).is_ok();
        Self(opened.then(|| (directory, meta.permissions())))
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if let Some((directory, permissions)) = self.0.take()
            && let Err(error) = fs::set_permissions(directory, permissions)
        {
            log::warn!("cannot give `{}` its mode back: {error}", directory.display());
        }
    }
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
