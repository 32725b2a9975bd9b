//! How far transfers have got.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much has been transferred, by all hosts together.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes: AtomicU64,
    files: AtomicU64,
}

impl Counters {
    pub(crate) fn add_bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress { bytes: self.bytes.load(Ordering::Relaxed), files: self.files.load(Ordering::Relaxed) }
    }
}

/// How much has been transferred, by all hosts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of files: sent, of a put, which may be more than has arrived; written, of a get.
    pub bytes: u64,
    /// Files of which all bytes were.
    pub files: u64,
}

impl std::iter::Sum for Progress {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let add = |sum: Self, one: Self| Self { bytes: sum.bytes + one.bytes, files: sum.files + one.files };
        all.fold(Self::default(), add)
    }
}

/// How much there is; what cannot be read counts nothing, and is complained about when its turn comes.
pub(crate) fn size_of_tree(path: &Path, follow: bool) -> Progress {
    let meta = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match meta {
        Ok(meta) if meta.is_file() => Progress { bytes: meta.len(), files: 1 },
        Ok(meta) if meta.is_dir() => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| size_of_tree(&entry.path(), false)).sum()
        }
        _ => Progress::default(),
    }
}
