//! The ends of one child, opened as its launch says: pipes to us, files, or nothing.

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use phalanx_core::pipe::{NO_CONTROLLING_TERMINAL, Pipe, set_fresh_nonblocking};
use phalanx_core::spawn::End;
use phalanx_core::{Interest, Reactor};

use super::children::{Role, key};
use crate::id::ProcessId;
use crate::spec::{Launch, Output, Stdin};

/// Both sides of everything one child reads and writes.
pub(super) struct Ends {
    stdin: Theirs,
    stdout: Theirs,
    stderr: Theirs,
    our_stdin: Option<OwnedFd>,
    our_stdout: Option<OwnedFd>,
    our_stderr: Option<OwnedFd>,
    diagnostics: [Option<OwnedFd>; 2],
    directory: Option<CString>,
}

/// The child's side of one end.
enum Theirs {
    Owned(OwnedFd),
    Shared(Arc<OwnedFd>),
    Null,
    Inherit,
    Stdout,
}

/// What could not be opened.
#[derive(Debug)]
pub(super) enum OpenFailed {
    Pipe(io::Error),
    File { path: PathBuf, error: io::Error },
}

impl From<io::Error> for OpenFailed {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

impl Ends {
    /// How many descriptors this launch will keep on our side, its pidfd included.
    pub(super) fn needed(launch: &Launch) -> usize {
        let reads = [&launch.stdout, &launch.stderr].iter().filter(|output| matches!(output, Output::Read)).count();
        let writes = usize::from(matches!(launch.stdin, Stdin::Pipe | Stdin::Data(_)));
        1 + reads + writes + 2 * usize::from(launch.diagnostics.is_some())
    }

    pub(super) fn open(launch: &Launch) -> Result<Self, OpenFailed> {
        let (stdin, our_stdin) = open_stdin(&launch.stdin)?;
        let (stdout, our_stdout) = open_output(&launch.stdout)?;
        let (stderr, our_stderr) = open_output(&launch.stderr)?;
        let diagnostics = match launch.diagnostics {
            None => [None, None],
            Some(_) => {
                let Pipe { reader, writer } = Pipe::new()?;
                set_fresh_nonblocking(&reader)?;
                [Some(reader), Some(writer)]
            }
        };
        let directory = launch.directory.as_deref().map(c_path).transpose()?;
        Ok(Self { stdin, stdout, stderr, our_stdin, our_stdout, our_stderr, diagnostics, directory })
    }

    /// Watches what we read.
    pub(super) fn register(&self, id: ProcessId, reactor: &Reactor) -> io::Result<()> {
        let watched = [
            (&self.our_stdout, Role::Stdout),
            (&self.our_stderr, Role::Stderr),
            (&self.diagnostics[0], Role::Diagnostics),
        ];
        for (fd, role) in watched {
            if let Some(fd) = fd {
                reactor.register(fd, key(id, role), Interest::Readable)?;
            }
        }
        Ok(())
    }

    /// The path under which a program of the same user can open our end of the diagnostics pipe for writing. Nothing
    /// is left in a file system, whatever happens to us.
    pub(super) fn diagnostics_path(&self) -> Option<CString> {
        let fd = self.diagnostics[1].as_ref()?.as_raw_fd();
        let path = format!("/proc/{}/fd/{fd}", std::process::id());
        Some(CString::new(path).expect("digits and letters"))
    }

    pub(super) fn directory(&self) -> Option<&CStr> {
        self.directory.as_deref()
    }

    /// The child's side.
    pub(super) fn childs(&self) -> [End<'_>; 3] {
        let stdout = self.stdout.end(None);
        [self.stdin.end(None), stdout, self.stderr.end(Some(stdout))]
    }

    pub(super) fn kept(&self) -> usize {
        let ours = [&self.our_stdin, &self.our_stdout, &self.our_stderr, &self.diagnostics[0], &self.diagnostics[1]];
        ours.iter().filter(|fd| fd.is_some()).count()
    }

    /// Our side; the child's is closed.
    pub(super) fn into_ours(self) -> (Option<OwnedFd>, Option<OwnedFd>, Option<OwnedFd>, [Option<OwnedFd>; 2]) {
        (self.our_stdin, self.our_stdout, self.our_stderr, self.diagnostics)
    }
}

impl Theirs {
    fn end<'a>(&'a self, stdout: Option<End<'a>>) -> End<'a> {
        match self {
            Self::Owned(fd) => End::Descriptor(fd.as_fd()),
            Self::Shared(fd) => End::Descriptor(fd.as_fd()),
            Self::Null => null().map_or(End::Inherit, End::Descriptor),
            Self::Inherit => End::Inherit,
            Self::Stdout => stdout.unwrap_or(End::Inherit),
        }
    }
}

/// `/dev/null`, opened once for all children.
fn null() -> Option<BorrowedFd<'static>> {
    static NULL: OnceLock<Option<File>> = OnceLock::new();
    let open = || OpenOptions::new().read(true).write(true).open("/dev/null").ok();
    NULL.get_or_init(open).as_ref().map(AsFd::as_fd)
}

fn open_stdin(stdin: &Stdin) -> Result<(Theirs, Option<OwnedFd>), OpenFailed> {
    Ok(match stdin {
        Stdin::Null => (Theirs::Null, None),
        Stdin::Inherit => (Theirs::Inherit, None),
        Stdin::Descriptor(fd) => (Theirs::Shared(Arc::clone(fd)), None),
        Stdin::File(path) => (Theirs::Owned(open_file(path, OpenOptions::new().read(true))?), None),
        Stdin::Data(_) | Stdin::Pipe => {
            let Pipe { reader, writer } = Pipe::new()?;
            set_fresh_nonblocking(&writer)?;
            (Theirs::Owned(reader), Some(writer))
        }
    })
}

fn open_output(output: &Output) -> Result<(Theirs, Option<OwnedFd>), OpenFailed> {
    Ok(match output {
        Output::Null => (Theirs::Null, None),
        Output::Inherit => (Theirs::Inherit, None),
        Output::WithStdout => (Theirs::Stdout, None),
        Output::Descriptor(fd) => (Theirs::Shared(Arc::clone(fd)), None),
        Output::File { path, append } => {
            let mut options = OpenOptions::new();
            options.create(true).write(true).append(*append).truncate(!append);
            (Theirs::Owned(open_file(path, &options)?), None)
        }
        Output::Read => {
            let Pipe { reader, writer } = Pipe::new()?;
            set_fresh_nonblocking(&reader)?;
            (Theirs::Owned(writer), Some(reader))
        }
    })
}

fn open_file(path: &Path, options: &OpenOptions) -> Result<OwnedFd, OpenFailed> {
    // A terminal must not become our controlling one.
    let mut options = options.clone();
    options.custom_flags(NO_CONTROLLING_TERMINAL);
    let opened = options.open(path).map(OwnedFd::from);
    opened.map_err(|error| OpenFailed::File { path: path.to_owned(), error })
}

fn c_path(path: &Path) -> Result<CString, OpenFailed> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|error| OpenFailed::File { path: path.to_owned(), error: error.into() })
}
