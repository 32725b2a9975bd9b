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
use phalanx_core::pty::Pty;
use phalanx_core::spawn::Stdio;
use phalanx_core::terminal::DeviceError;
use phalanx_core::{Interest, Reactor};

use super::tokens::{Source, key};
use crate::id::ProcessId;
use crate::spec::{Launch, Output, Stdin};

/// Both sides of everything one child reads and writes.
pub(super) struct ChildStdio {
    stdin: ChildEnd,
    stdout: ChildEnd,
    stderr: ChildEnd,
    our_stdin: Option<ParentEnd>,
    our_stdout: Option<ParentEnd>,
    our_stderr: Option<ParentEnd>,
    diagnostics: [Option<OwnedFd>; 2],
    directory: Option<CString>,
    master: Option<OwnedFd>,
    slave: Option<CString>,
}

/// Our side of one end.
pub(super) enum ParentEnd {
    /// A pipe of its own.
    Pipe(OwnedFd),
    /// The terminal: one descriptor for both directions.
    Terminal,
}

impl ParentEnd {
    /// Returns the pipe, if it is one.
    pub(super) fn into_pipe(self) -> Option<OwnedFd> {
        match self {
            Self::Pipe(fd) => Some(fd),
            Self::Terminal => None,
        }
    }

    /// The descriptor; `master` is that of the terminal, which is there if this is one.
    pub(super) fn fd<'a>(&'a self, master: Option<&'a OwnedFd>) -> BorrowedFd<'a> {
        match self {
            Self::Pipe(fd) => fd.as_fd(),
            Self::Terminal => master.expect("an end that is a terminal has a master").as_fd(),
        }
    }
}

/// The child's side of one end.
enum ChildEnd {
    Owned(OwnedFd),
    Shared(Arc<OwnedFd>),
    Null,
    Inherit,
    Stdout,
    Terminal,
}

/// What could not be opened.
#[derive(Debug)]
pub(super) enum OpenFailed {
    Pipe(io::Error),
    File { path: PathBuf, error: io::Error },
    Terminal(DeviceError),
}

impl From<io::Error> for OpenFailed {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

impl ChildStdio {
    /// How many descriptors this launch will keep on our side, its pidfd included.
    pub(super) fn needed(launch: &Launch) -> usize {
        let terminal = usize::from(launch.terminal.is_some());
        let outputs = [(&launch.stdout, terminal), (&launch.stderr, 0)];
        let reads = outputs.iter().filter(|(output, on)| matches!(output, Output::Read) && *on == 0).count();
        let writes = usize::from(matches!(launch.stdin, Stdin::Pipe | Stdin::Data(_)) && terminal == 0);
        1 + terminal + reads + writes + 2 * usize::from(launch.diagnostics.is_some())
    }

    pub(super) fn open(launch: &Launch) -> Result<Self, OpenFailed> {
        let (master, slave) = open_terminal(launch)?;
        let on_terminal = master.is_some();
        let (stdin, our_stdin) = open_stdin(&launch.stdin, on_terminal)?;
        let (stdout, our_stdout) = open_output(&launch.stdout, on_terminal)?;
        let (stderr, our_stderr) = match (&launch.stdout, &launch.stderr) {
            // One description for both, or they would overwrite each other.
            (Output::File { path, .. }, Output::File { path: same, .. }) if path == same => (ChildEnd::Stdout, None),
            (_, stderr) => open_output(stderr, false)?,
        };
        // What comes out of a terminal is read even where stdout goes elsewhere, or its writers would block.
        let our_stdout = our_stdout.or(on_terminal.then_some(ParentEnd::Terminal));
        let diagnostics = match launch.diagnostics {
            None => [None, None],
            Some(_) => {
                let Pipe { reader, writer } = Pipe::new()?;
                set_fresh_nonblocking(&reader)?;
                [Some(reader), Some(writer)]
            }
        };
        let directory = launch.directory.as_deref().map(c_path).transpose()?;
        Ok(Self { stdin, stdout, stderr, our_stdin, our_stdout, our_stderr, diagnostics, directory, master, slave })
    }

    /// Watches what we read. What we write is watched while it takes no more.
    pub(super) fn register(&self, id: ProcessId, reactor: &Reactor) -> io::Result<()> {
        if let Some(master) = &self.master {
            reactor.register(master, key(id, Source::Terminal), Interest::Readable)?;
        }
        for (end, role) in [(&self.our_stdout, Source::Stdout), (&self.our_stderr, Source::Stderr)] {
            if let Some(ParentEnd::Pipe(fd)) = end {
                reactor.register(fd, key(id, role), Interest::Readable)?;
            }
        }
        if let Some(fd) = &self.diagnostics[0] {
            reactor.register(fd, key(id, Source::Diagnostics), Interest::Readable)?;
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
    pub(super) fn childs(&self) -> [Stdio<'_>; 3] {
        let stdout = self.stdout.end(None);
        [self.stdin.end(None), stdout, self.stderr.end(Some(stdout))]
    }

    /// The terminal that the child opens.
    pub(super) fn slave(&self) -> Option<&CStr> {
        self.slave.as_deref()
    }

    /// Our side; the child's is closed.
    pub(super) fn into_ours(self) -> ParentStdio {
        let [diagnostics, diagnostics_writer] = self.diagnostics;
        ParentStdio {
            stdin: self.our_stdin,
            stdout: self.our_stdout,
            stderr: self.our_stderr,
            diagnostics,
            diagnostics_writer,
            master: self.master,
        }
    }
}

/// What we keep of the ends of one child.
pub(super) struct ParentStdio {
    pub(super) stdin: Option<ParentEnd>,
    pub(super) stdout: Option<ParentEnd>,
    pub(super) stderr: Option<ParentEnd>,
    pub(super) diagnostics: Option<OwnedFd>,
    pub(super) diagnostics_writer: Option<OwnedFd>,
    pub(super) master: Option<OwnedFd>,
}

impl ParentStdio {
    /// How many descriptors these are.
    pub(super) fn count(&self) -> usize {
        let pipes = [&self.stdin, &self.stdout, &self.stderr];
        let others = [&self.diagnostics, &self.diagnostics_writer, &self.master];
        pipes.iter().filter(|end| matches!(end, Some(ParentEnd::Pipe(_)))).count()
            + others.iter().filter(|fd| fd.is_some()).count()
    }
}

impl ChildEnd {
    fn end<'a>(&'a self, stdout: Option<Stdio<'a>>) -> Stdio<'a> {
        match self {
            Self::Owned(fd) => Stdio::Descriptor(fd.as_fd()),
            Self::Shared(fd) => Stdio::Descriptor(fd.as_fd()),
            Self::Null => null().map_or(Stdio::Inherit, Stdio::Descriptor),
            Self::Inherit => Stdio::Inherit,
            Self::Stdout => stdout.unwrap_or(Stdio::Inherit),
            Self::Terminal => Stdio::Terminal,
        }
    }
}

/// `/dev/null`, opened once for all children.
fn null() -> Option<BorrowedFd<'static>> {
    static NULL: OnceLock<Option<File>> = OnceLock::new();
    let open = || OpenOptions::new().read(true).write(true).open("/dev/null").ok();
    NULL.get_or_init(open).as_ref().map(AsFd::as_fd)
}

fn open_terminal(launch: &Launch) -> Result<(Option<OwnedFd>, Option<CString>), OpenFailed> {
    let Some(settings) = &launch.terminal else { return Ok((None, None)) };
    let pty = Pty::open(settings).map_err(OpenFailed::Terminal)?;
    let slave = c_path(pty.slave())?;
    Ok((Some(pty.into_master()), Some(slave)))
}

fn open_stdin(stdin: &Stdin, on_terminal: bool) -> Result<(ChildEnd, Option<ParentEnd>), OpenFailed> {
    Ok(match stdin {
        Stdin::Data(_) | Stdin::Pipe if on_terminal => (ChildEnd::Terminal, Some(ParentEnd::Terminal)),
        Stdin::Null => (ChildEnd::Null, None),
        Stdin::Inherit => (ChildEnd::Inherit, None),
        Stdin::Descriptor(fd) => (ChildEnd::Shared(Arc::clone(fd)), None),
        Stdin::File(path) => (ChildEnd::Owned(open_file(path, OpenOptions::new().read(true))?), None),
        Stdin::Data(_) | Stdin::Pipe => {
            let Pipe { reader, writer } = Pipe::new()?;
            set_fresh_nonblocking(&writer)?;
            (ChildEnd::Owned(reader), Some(ParentEnd::Pipe(writer)))
        }
    })
}

fn open_output(output: &Output, on_terminal: bool) -> Result<(ChildEnd, Option<ParentEnd>), OpenFailed> {
    Ok(match output {
        Output::Read if on_terminal => (ChildEnd::Terminal, Some(ParentEnd::Terminal)),
        Output::Null => (ChildEnd::Null, None),
        Output::Inherit => (ChildEnd::Inherit, None),
        Output::WithStdout => (ChildEnd::Stdout, None),
        Output::Descriptor(fd) => (ChildEnd::Shared(Arc::clone(fd)), None),
        Output::File { path, append } => {
            let mut options = OpenOptions::new();
            options.create(true).write(true).append(*append).truncate(!append);
            (ChildEnd::Owned(open_file(path, &options)?), None)
        }
        Output::Read => {
            let Pipe { reader, writer } = Pipe::new()?;
            set_fresh_nonblocking(&reader)?;
            (ChildEnd::Owned(writer), Some(ParentEnd::Pipe(reader)))
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
