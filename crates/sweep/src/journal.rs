//! The journal file: locking, confirmation, and recovery after a crash. It knows lines, not what they add up to.
//!
//! Everything happens under a [`LockGuard`]: one process at a time, by an exclusive flock(2) on the journal itself.
//!
//! * flock, not the record locks of fcntl(2) that lockf uses: those belong to a process, so two threads would not
//!   exclude each other, and to close any descriptor of the file would give the lock up. Over NFS, Linux makes a lock
//!   of the whole file out of it, which excludes other machines too (flock(2), "NFS details"), unless the mount says
//!   `nolock` or `local_lock=flock`.
//! * The file is opened anew for each lock: over NFS that makes the lines of others visible, and it shows whether it
//!   is still the same file.
//!
//! A line is confirmed when it is there with its newline, and the call that wrote it has returned. Since lines are
//! only ever appended, by the holder of the lock, bytes after the last newline were written by a process that died or
//! could not finish: no caller was told that they are there, and the next lock cuts them off. (The road not taken is to end them
//! with a newline and to ignore lines that mean nothing: then real damage would go unnoticed.)

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::QueueError;
use super::record::{Record, State};

/// The name of the journal in the directory of a queue.
const FILE_NAME: &str = "journal.jsonl";

/// A journal, and how far it has been read.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Device and inode of the file that was opened first.
    identity: (u64, u64),
    /// The number of bytes whose lines were applied.
    read: u64,
    /// The number of lines in them.
    lines: u64,
}

/// The lock on the journal, until it is dropped.
#[derive(Debug)]
pub(super) struct LockGuard<'a> {
    journal: &'a mut Journal,
    /// The locked file; taken by the drop.
    file: Option<Flock<File>>,
}

impl Journal {
    /// Opens the journal in `directory`; creates both where they are missing.
    pub(super) fn open(directory: &Path) -> Result<Self, QueueError> {
        let refused = |attempt, path: &Path| {
            let path = path.to_path_buf();
            move |source| QueueError::Io { attempt, path, source }
        };
        DirBuilder::new().recursive(true).create(directory).map_err(refused("make the directory", directory))?;
        let path = directory.join(FILE_NAME);
        // Read too: an append-only descriptor could not tell what is there.
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let metadata = file.and_then(|file| file.metadata()).map_err(refused("open the journal", &path))?;
        let mut journal = Journal { path, identity: (metadata.dev(), metadata.ino()), read: 0, lines: 0 };
        journal.begin(directory).map(|()| journal)
    }

    /// Writes the first line where there is none.
    fn begin(&mut self, directory: &Path) -> Result<(), QueueError> {
        let mut guard = self.lock()?;
        let (bytes, torn) = guard.unread()?;
        if !bytes.is_empty() {
            return Ok(());
        }
        let header = Record::Format.encode(0.0);
        if !header.as_bytes().starts_with(&torn) {
            let reason = Record::decode(&torn).err().unwrap_or_else(|| "it has no end".to_owned());
            return Err(guard.journal.damaged(reason));
        }
        guard.cut()?;
        guard.write(header.as_bytes(), true)?;
        // The name of the file, too, outlives a power failure.
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| guard.journal.error("write to disk the directory of", error))
    }

    /// Waits for the lock, then passes the records appended since the last one to `apply`, in order.
    pub(super) fn locked(&mut self, mut apply: impl FnMut(Record)) -> Result<LockGuard<'_>, QueueError> {
        let mut guard = self.lock()?;
        let (bytes, torn) = guard.unread()?;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(record) = guard.journal.decode(line)? {
                apply(record);
            }
            guard.journal.read += line.len() as u64;
            guard.journal.lines += 1;
        }
        if !torn.is_empty() {
            log::info!("{}: cutting off {} bytes of an unfinished line", guard.journal.path.display(), torn.len());
            guard.cut()?;
        }
        Ok(guard)
    }

    fn decode(&self, line: &[u8]) -> Result<Option<Record>, QueueError> {
        // Editing a journal by hand leaves empty lines.
        if line.trim_ascii().is_empty() && self.lines > 0 {
            return Ok(None);
        }
        match Record::decode(line) {
            Ok(record) if self.lines > 0 || record == Record::Format => Ok(Some(record)),
            Ok(_) => Err(self.damaged(format!("it must be {}", Record::Format.encode(0.0).trim()))),
            Err(reason) => Err(self.damaged(reason)),
        }
    }

    fn lock(&mut self) -> Result<LockGuard<'_>, QueueError> {
        let mut file = match OpenOptions::new().read(true).append(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.replaced()),
            Err(error) => return Err(self.error("open the journal", error)),
        };
        let lock = loop {
            match Flock::lock(file, FlockArg::LockExclusive) {
                Ok(lock) => break lock,
                Err((again, Errno::EINTR)) => file = again,
                Err((_, error)) => return Err(self.error("lock the journal", error.into())),
            }
        };
        let guard = LockGuard { journal: self, file: Some(lock) };
        let metadata = guard.file().metadata().map_err(|error| guard.journal.error("look at the journal", error))?;
        if (metadata.dev(), metadata.ino()) != guard.journal.identity || metadata.len() < guard.journal.read {
            return Err(guard.journal.replaced());
        }
        Ok(guard)
    }

    fn error(&self, attempt: &'static str, source: io::Error) -> QueueError {
        QueueError::Io { attempt, path: self.path.clone(), source }
    }

    fn replaced(&self) -> QueueError {
        QueueError::Replaced { path: self.path.clone() }
    }

    /// Returns the error for the line after those that were read.
    fn damaged(&self, reason: String) -> QueueError {
        QueueError::Damaged { path: self.path.clone(), line: self.lines + 1, reason }
    }
}

impl LockGuard<'_> {
    /// Appends all of these records, or none.
    ///
    /// Unless all of them only say which process takes what, they are on disk when this returns: the result of hours
    /// outlives a power failure too, and after one nothing is in progress. Under the lock, so that no process acts on
    /// lines that are not confirmed.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), QueueError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = now.as_millis() as f64 / 1e3;
        let lines: String = records.iter().map(|record| record.encode(time)).collect();
        let is_taken = |record: &Record| matches!(record, Record::State { state: State::InProgress, .. });
        self.write(lines.as_bytes(), !records.iter().all(is_taken))?;
        self.journal.read += lines.len() as u64;
        self.journal.lines += records.len() as u64;
        Ok(())
    }

    fn write(&mut self, lines: &[u8], to_disk: bool) -> Result<(), QueueError> {
        let written = self.file().write_all(lines).map_err(|error| self.journal.error("append to", error));
        let written = written.and_then(|()| {
            let synced = if to_disk { self.file().sync_data() } else { Ok(()) };
            synced.map_err(|error| self.journal.error("write to disk", error))
        });
        if written.is_err() {
            // To cut needs no room. If it fails nevertheless, the next lock reads what is there: an unfinished line is
            // cut then, and a finished one says no more than what was asked for.
            let _ = self.cut();
        }
        written
    }

    /// Reads the lines appended since the last lock, and an unfinished one apart.
    fn unread(&mut self) -> Result<(Vec<u8>, Vec<u8>), QueueError> {
        let mut bytes = Vec::new();
        let sought = self.file().seek(SeekFrom::Start(self.journal.read));
        let read = sought.and_then(|_| self.file().read_to_end(&mut bytes));
        read.map_err(|error| self.journal.error("read", error))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let torn = bytes.split_off(whole);
        Ok((bytes, torn))
    }

    /// Cuts off the bytes after the lines that were read.
    fn cut(&mut self) -> Result<(), QueueError> {
        let cut = self.file().set_len(self.journal.read);
        cut.map_err(|error| self.journal.error("cut off an unfinished line of", error))
    }

    fn file(&self) -> &File {
        self.file.as_deref().expect("it is there until the drop")
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        let Some(lock) = self.file.take() else { return };
        if let Err((lock, error)) = lock.unlock() {
            log::warn!("cannot unlock {}: {error}", self.journal.path.display());
            // Its own drop would panic. One descriptor is lost; the kernel frees the lock when the process ends.
            std::mem::forget(lock);
        }
    }
}
