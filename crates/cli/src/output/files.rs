//! `--output-dir`: what each host says, byte for byte, in `NODE.out` and `NODE.err`.
//!
//! The directory is made if need be and tried before anything starts. Both files exist for every host that has ended,
//! also when it said nothing, and hold this run's output alone. No more than a bounded number is open at once, however
//! many hosts speak.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use phalanx_process::event::Stream;

/// Does not wait for the other end of a named pipe.
const NON_BLOCKING: i32 = phalanx_process::spec::NON_BLOCKING;

/// How many files are kept open.
const OPEN: usize = 64;

/// The files of a run.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    open: HashMap<PathBuf, File>,
    /// The paths in `open`, those opened first in front.
    age: VecDeque<PathBuf>,
    begun: HashSet<PathBuf>,
    /// The first thing that went wrong with each host.
    failures: HashMap<String, String>,
}

impl Files {
    /// Makes the directory if need be, and sees whether files can be made in it.
    pub(super) fn new(directory: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let tried = std::fs::create_dir_all(directory).and_then(|()| try_directory(directory));
        tried.map_err(|error| (directory.to_owned(), error))?;
        Ok(Self {
            directory: directory.to_owned(),
            open: HashMap::new(),
            age: VecDeque::new(),
            begun: HashSet::new(),
            failures: HashMap::new(),
        })
    }

    fn path(&self, host: &str, stream: Stream) -> PathBuf {
        let ending = match stream {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
        };
        self.directory.join(format!("{host}.{ending}"))
    }

    /// Adds to a file; what goes wrong is told by [`Files::close`].
    pub(super) fn append(&mut self, host: &str, stream: Stream, bytes: &[u8]) {
        let path = self.path(host, stream);
        let written = self.file(&path).and_then(|file| file.write_all(bytes));
        if let Err(error) = written {
            let failure = format!("cannot write `{}`: {error}", path.display());
            self.failures.entry(host.to_owned()).or_insert(failure);
        }
    }

    /// Completes the files of a host.
    pub(super) fn close(&mut self, host: &str) -> Result<(), String> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let path = self.path(host, stream);
            if !self.begun.contains(&path) {
                self.append(host, stream, b"");
            }
            self.open.remove(&path);
            self.age.retain(|other| *other != path);
        }
        self.failures.remove(host).map_or(Ok(()), Err)
    }

    fn file(&mut self, path: &Path) -> io::Result<&mut File> {
        if !self.open.contains_key(path) {
            if self.open.len() >= OPEN
                && let Some(oldest) = self.age.pop_front()
            {
                self.open.remove(&oldest);
            }
            let first = !self.begun.contains(path);
            let file = open(path, first)?;
            self.begun.insert(path.to_owned());
            self.age.push_back(path.to_owned());
            self.open.insert(path.to_owned(), file);
        }
        Ok(self.open.get_mut(path).expect("it was just opened"))
    }
}

/// Opens a file, anew for the first time. A named pipe without a reader would hold everything up, and one with a reader
/// is not what was asked for.
fn open(path: &Path, first: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(first).append(!first).custom_flags(NON_BLOCKING);
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        return Err(io::Error::other("it is a named pipe or a socket, not a file"));
    }
    Ok(file)
}

/// Access rights do not tell everything: only making a file does.
fn try_directory(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".phalanx-{}", std::process::id()));
    File::create(&path)?;
    std::fs::remove_file(&path)
}
