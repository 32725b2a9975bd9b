//! Starts a child from a program, an environment and three standard streams: in a group of its own, with nothing
//! inherited by accident.
//!
//! # Why not `posix_spawn`, and why not fork
//! Forking copies page tables: 11 ms at 256 MiB resident, 40 ms at 1 GiB, against 60 µs here at any size. And
//! `posix_spawn` lacks four things we need *in the child before it runs*: dying with us (`PR_SET_PDEATHSIG`), the old
//! descriptor limit, an entry in the [watchdog](crate::watchdog)'s registry, and a pidfd made in the same step. Doing
//! them afterwards from the parent leaves a gap in which a SIGKILL of ours leaks a child. So this is what glibc's
//! `posix_spawn` does itself, with those four added: `clone(CLONE_VM | CLONE_VFORK)` onto a small stack of its own.
//! The parent sleeps until the child has executed the program or given up, so the two never run at once in the shared
//! memory, and the child reports a failure by storing it there.
//!
//! # What the child does, in order
//! 1. every handled signal back to its default, SIGPIPE too (Rust ignores it, programs do not expect that)
//! 2. own process group, or own session
//! 3. SIGKILL when the parent's thread ends, unless it has already: then exit at once
//! 4. the descriptor limit as this program found it
//! 5. its group into the watchdog's registry
//! 6. terminal, stdin, stdout, stderr; every other descriptor closed on exec, even one that was opened without the flag
//! 7. working directory
//! 8. no signal blocked; execute
//!
//! # Rules for the code that runs in the child
//! It may only make system calls and touch what the parent prepared. It must not allocate, lock, panic or unwind:
//! it runs in the parent's memory, where another thread may hold any lock.

#![expect(unsafe_code, reason = "the one place where a process is made; the rules are above")]

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

use crate::child::Child;
use crate::descendants;
use crate::rlimit::DescriptorLimit;

/// Where one of the three standard streams of the child comes from.
#[derive(Debug, Clone, Copy)]
pub enum Stdio<'a> {
    /// This descriptor of the parent.
    Descriptor(BorrowedFd<'a>),
    /// The parent's of the same number, shared.
    Inherit,
    /// The terminal named in [`Command::terminal`].
    Terminal,
}

/// The process group and session of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A process group of its own: it and its children can be signalled together, and Ctrl-C reaches only us.
    Own,
    /// A session of its own, without a controlling terminal unless [`Command::terminal`] gives it one.
    Session,
    /// Ours. Signals to the group reach us too.
    Inherit,
}

/// What to start. Everything is prepared by the caller, so that a batch of children can share it.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// The file to execute, with a slash in it; see [`PathCache::find`] for names.
    pub program: &'a CStr,
    /// The arguments, the program's own name first.
    pub arguments: &'a [CString],
    /// The whole environment, `NAME=value` each.
    pub environment: &'a [CString],
    /// A further variable, which replaces another of that name: the [tag](crate::descendants) by which it and its
    /// descendants are found.
    pub env_tag: Option<&'a CStr>,
    /// The working directory; ours when `None`.
    pub directory: Option<&'a CStr>,
    /// A terminal to open; with [`Group::Session`] it becomes the controlling one.
    pub terminal: Option<&'a CStr>,
    /// stdin, stdout and stderr.
    pub stdio: [Stdio<'a>; 3],
    /// Its process group or session.
    pub group: Group,
    /// Whether it lives on when this program ends. All but the watchdog die with the thread that started them.
    pub survives_parent: bool,
    /// Where to enter the group for the watchdog: a descriptor and the offset of a line of
    /// [`crate::watchdog::ENTRY_LENGTH`] bytes.
    pub registration: Option<(BorrowedFd<'a>, i64)>,
}

/// The stage at which starting a child failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum SpawnStage {
    /// Making its pipes and other descriptors.
    Descriptors = 1,
    /// Making the process.
    Process,
    /// Making its group or session.
    Group,
    /// Tying its life to ours.
    Lifetime,
    /// Opening its terminal.
    Terminal,
    /// Putting stdin, stdout and stderr in place.
    Stdio,
    /// Changing to its working directory.
    Directory,
    /// Executing the program.
    Execute,
    /// Looking for the program in `PATH`.
    Find,
}

/// A child could not be started.
#[derive(Debug)]
pub struct SpawnError {
    /// The stage at which it failed.
    pub stage: SpawnStage,
    /// The error of the system.
    pub error: io::Error,
}

impl SpawnError {
    /// Reports whether the system was merely out of something (descriptors, processes, memory), so that trying again
    /// after others have ended makes sense.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self.error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE))
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.stage {
            SpawnStage::Descriptors => "cannot make its pipes",
            SpawnStage::Process => "cannot make a process",
            SpawnStage::Group => "cannot make its process group",
            SpawnStage::Lifetime => "the parent ended meanwhile",
            SpawnStage::Terminal => "cannot open its terminal",
            SpawnStage::Stdio => "cannot put its stdin, stdout and stderr in place",
            SpawnStage::Directory => "cannot change to its working directory",
            SpawnStage::Execute => "cannot execute it",
            SpawnStage::Find => "no such program in PATH",
        };
        match (self.stage, self.error.raw_os_error()) {
            (SpawnStage::Find, _) => f.write_str(doing),
            (SpawnStage::Execute, Some(libc::ENOEXEC)) => {
                write!(f, "{doing}: it is neither a binary of this machine nor a script with a `#!` line")
            }
            _ => write!(f, "{doing}: {}", self.error),
        }
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Looks programs up in `PATH` once and remembers their paths.
#[derive(Debug, Default)]
pub struct PathCache {
    found: HashMap<Vec<u8>, CString>,
}

impl PathCache {
    /// Returns the file to execute for `name`, by the rules of `execvp(3)`: a name with a slash is a path already; any
    /// other is searched in *our* `PATH`, never in the child's.
    ///
    /// # Errors
    /// [`SpawnStage::Find`] when no directory of `PATH` has an executable file of that name; the error kind then tells
    /// "found but not executable" (`EACCES`) from "not found" (`ENOENT`).
    pub fn find(&mut self, name: &CStr) -> Result<&CStr, SpawnError> {
        let key = name.to_bytes();
        if !self.found.contains_key(key) {
            let path = search(name).map_err(|error| SpawnError { stage: SpawnStage::Find, error })?;
            self.found.insert(key.to_vec(), path);
        }
        Ok(&self.found[key])
    }

    /// Forgets the path of `name`: it may have moved since.
    pub fn forget(&mut self, name: &CStr) {
        self.found.remove(name.to_bytes());
    }
}

fn search(name: &CStr) -> io::Result<CString> {
    let bytes = name.to_bytes();
    if bytes.contains(&b'/') {
        return Ok(name.to_owned());
    }
    let not_found = || io::Error::from_raw_os_error(libc::ENOENT);
    if bytes.is_empty() {
        return Err(not_found());
    }
    // What confstr(_CS_PATH) says where PATH is unset.
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut denied = None;
    for directory in std::env::split_paths(&path) {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
        let candidate = directory.join(OsStr::from_bytes(bytes));
        if !candidate.is_file() {
            continue;
        }
        match nix::unistd::access(&candidate, nix::unistd::AccessFlags::X_OK) {
            Ok(()) => {
                return CString::new(candidate.into_os_string().into_encoded_bytes()).map_err(|_| not_found());
            }
            Err(error) => denied = Some(error.into()),
        }
    }
    Err(denied.unwrap_or_else(not_found))
}

/// Starts children, one at a time. It owns the stack they start on.
#[derive(Debug)]
pub struct Spawner {
    stack: Stack,
    limit: Option<DescriptorLimit>,
    pidfds: bool,
    pointers: Vec<*const libc::c_char>,
}

impl Spawner {
    /// Makes a spawner whose children get the original descriptor limit back, and a pidfd each if `pidfds`.
    ///
    /// # Errors
    /// When the system has no memory for the stack.
    pub fn new(limit: Option<DescriptorLimit>, pidfds: bool) -> io::Result<Self> {
        let limit = limit.filter(|limit| limit.current != limit.original);
        Ok(Self { stack: Stack::new()?, limit, pidfds, pointers: Vec::new() })
    }

    /// Starts `command` and returns when the program runs or could not be executed.
    ///
    /// # Errors
    /// The stage at which it failed. Nothing is left behind then.
    pub fn spawn(&mut self, command: &Command<'_>) -> Result<Child, SpawnError> {
        self.pointers.clear();
        self.pointers.extend(command.arguments.iter().map(|argument| argument.as_ptr()));
        self.pointers.push(ptr::null());
        let environment_at = self.pointers.len();
        let kept = |variable: &&CString| command.env_tag.is_none() || !descendants::is_env_tag(variable.as_bytes());
        self.pointers.extend(command.environment.iter().filter(kept).map(|variable| variable.as_ptr()));
        self.pointers.extend(command.env_tag.map(CStr::as_ptr));
        self.pointers.push(ptr::null());
        let mut args = ChildArgs {
            program: command.program.as_ptr(),
            arguments: self.pointers.as_ptr(),
            environment: self.pointers[environment_at..].as_ptr(),
            directory: command.directory.map_or(ptr::null(), CStr::as_ptr),
            terminal: command.terminal.map_or(ptr::null(), CStr::as_ptr),
            stdio: command.stdio.map(Stdio::number),
            group: command.group,
            parent: (!command.survives_parent).then(|| nix::unistd::getpid().as_raw()),
            limit: self.limit.map(|limit| libc::rlimit { rlim_cur: limit.original, rlim_max: limit.hard }),
            registration: command.registration.map(|(fd, offset)| (fd.as_raw_fd(), offset)),
            failure: None,
        };
        let made = {
            let _blocked = AllSignalsBlocked::new();
            clone_and_wait(&mut args, &self.stack, self.pidfds)
        };
        let child = made.map_err(|error| SpawnError { stage: SpawnStage::Process, error })?;
        match args.failure {
            None => Ok(child),
            Some((stage, errno)) => {
                // It has exited already, and is reported as a failed start only.
                let _ = child.reap();
                Err(SpawnError { stage, error: io::Error::from_raw_os_error(errno) })
            }
        }
    }
}

impl Stdio<'_> {
    fn number(self) -> RawFd {
        match self {
            Stdio::Descriptor(fd) => fd.as_raw_fd(),
            Stdio::Inherit => INHERIT,
            Stdio::Terminal => TERMINAL,
        }
    }
}

const INHERIT: RawFd = -1;
const TERMINAL: RawFd = -2;

/// All that the child needs, prepared by the parent, and the failure it reports back.
struct ChildArgs {
    program: *const libc::c_char,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
    directory: *const libc::c_char,
    terminal: *const libc::c_char,
    stdio: [RawFd; 3],
    group: Group,
    parent: Option<libc::pid_t>,
    limit: Option<libc::rlimit>,
    registration: Option<(RawFd, i64)>,
    failure: Option<(SpawnStage, i32)>,
}

/// Runs the child on `stack` until it has executed its program or failed.
fn clone_and_wait(args: &mut ChildArgs, stack: &Stack, pidfds: bool) -> io::Result<Child> {
    let mut pidfd: RawFd = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | if pidfds { libc::CLONE_PIDFD } else { 0 };
    // SAFETY: the stack is ours, mapped, and used by one child at a time, since CLONE_VFORK suspends this thread until
    // the child has left it. `args` outlives the call and nothing else touches it meanwhile. All signals are blocked,
    // so no handler can run in the child. `child_main` keeps the rules in the module's documentation.
    let pid =
        unsafe { libc::clone(child_main, stack.top(), flags, ptr::from_mut(args).cast(), ptr::from_mut(&mut pidfd)) };
    if pid == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: with CLONE_PIDFD the kernel has stored a fresh descriptor, close-on-exec, that is now ours alone.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Child::new(pid, pidfd))
}

extern "C" fn child_main(args: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the parent passed its `ChildArgs` and sleeps until we are done with them.
    let args = unsafe { &mut *args.cast::<ChildArgs>() };
    // SAFETY: we are the child of `clone_and_wait`, which promises what `execute` asks for.
    let Err(failure) = unsafe { execute(args) };
    args.failure = Some(failure);
    // The C library's clone passes this to _exit, which runs no handlers.
    127
}

type Failure = (SpawnStage, i32);

fn check(stage: SpawnStage, result: libc::c_int) -> Result<libc::c_int, Failure> {
    if result == -1 { Err((stage, nix::errno::Errno::last_raw())) } else { Ok(result) }
}

/// Performs the eight steps of the module's documentation. Returns only if one fails.
///
/// # Safety
/// Only in a child of `clone(CLONE_VM | CLONE_VFORK)` with all signals blocked.
unsafe fn execute(args: &ChildArgs) -> Result<std::convert::Infallible, Failure> {
    reset_signal_handlers();
    enter_group(args.group)?;
    if let Some(parent) = args.parent {
        die_with(parent)?;
    }
    if let Some(limit) = &args.limit {
        // SAFETY: a valid rlimit. A failure is not worth the child: it merely keeps the higher limit.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
    }
    if let Some((fd, offset)) = args.registration {
        register(fd, offset);
    }
    place_stdio(args)?;
    close_the_rest_on_exec();
    if !args.directory.is_null() {
        // SAFETY: a C string of the parent's.
        check(SpawnStage::Directory, unsafe { libc::chdir(args.directory) })?;
    }
    unblock_signals();
    // SAFETY: a C string and two null-terminated arrays of C strings, all of the parent's.
    unsafe { libc::execve(args.program, args.arguments, args.environment) };
    Err((SpawnStage::Execute, nix::errno::Errno::last_raw()))
}

/// Resets signal handlers. Exec would do it, but a signal unblocked just before would run one in the parent's memory.
fn reset_signal_handlers() {
    for signal in 1..=64 {
        // SAFETY: all zeroes is a valid sigaction: the default disposition with an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: a valid place to store the old action; unknown numbers are refused with EINVAL.
        if unsafe { libc::sigaction(signal, ptr::null(), &mut action) } != 0 {
            continue;
        }
        let handled = action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN;
        let unwanted = signal == libc::SIGPIPE && action.sa_sigaction == libc::SIG_IGN;
        if handled || unwanted {
            action.sa_sigaction = libc::SIG_DFL;
            // SAFETY: a valid action. The child has its own table of dispositions (no CLONE_SIGHAND).
            unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
        }
    }
}

fn enter_group(group: Group) -> Result<(), Failure> {
    match group {
        // SAFETY: no memory involved.
        Group::Own => check(SpawnStage::Group, unsafe { libc::setpgid(0, 0) }).map(drop),
        // SAFETY: no memory involved.
        Group::Session => check(SpawnStage::Group, unsafe { libc::setsid() }).map(drop),
        Group::Inherit => Ok(()),
    }
}

/// Asks for SIGKILL when the parent's thread ends; the parent may have ended before we asked.
fn die_with(parent: libc::pid_t) -> Result<(), Failure> {
    // SAFETY: no memory involved.
    check(SpawnStage::Lifetime, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // SAFETY: no memory involved.
    if unsafe { libc::getppid() } == parent { Ok(()) } else { Err((SpawnStage::Lifetime, libc::ESRCH)) }
}

/// Writes our process group, in decimal and blanks, over one line of the watchdog's registry.
fn register(fd: RawFd, offset: i64) {
    let mut line = crate::watchdog::EMPTY_ENTRY;
    // SAFETY: no memory involved.
    let mut rest = unsafe { libc::getpid() };
    let mut digits = 0;
    let mut decimal = [0_u8; 10];
    while rest > 0 && digits < decimal.len() {
        decimal[digits] = b'0' + (rest % 10) as u8;
        rest /= 10;
        digits += 1;
    }
    for place in 0..digits {
        line[place] = decimal[digits - 1 - place];
    }
    // SAFETY: `line` is valid for its length. A failure (a full disk cannot be: it is memory) only weakens the guard.
    unsafe { libc::pwrite(fd, line.as_ptr().cast(), line.len(), offset) };
}

fn place_stdio(args: &ChildArgs) -> Result<(), Failure> {
    let terminal = open_terminal(args.terminal)?;
    let mut sources = args.stdio.map(|end| if end == TERMINAL { terminal } else { end });
    // A source among 0 to 2 that is to become another of them would be overwritten before its turn.
    for (target, source) in (0..).zip(&mut sources) {
        if (0..=2).contains(source) && *source != target {
            // SAFETY: no memory involved.
            *source = check(SpawnStage::Stdio, unsafe { libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, 3) })?;
        }
    }
    for (target, source) in (0..).zip(sources) {
        match source {
            INHERIT => {}
            // SAFETY: no memory involved. dup2 onto itself would leave close-on-exec set.
            same if same == target => drop(check(SpawnStage::Stdio, unsafe { libc::fcntl(target, libc::F_SETFD, 0) })?),
            // SAFETY: no memory involved; the new number is open across exec.
            other => drop(check(SpawnStage::Stdio, unsafe { libc::dup2(other, target) })?),
        }
    }
    Ok(())
}

/// Closes what other code in this program opened without close-on-exec, which would reach every child.
fn close_the_rest_on_exec() {
    // SAFETY: no memory involved; the child has its own table of descriptors. Kernels before 5.11 refuse, and then the
    // child keeps what was left open, as under any other program.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Opens the terminal; for the leader of a session that makes it the controlling one.
fn open_terminal(path: *const libc::c_char) -> Result<RawFd, Failure> {
    if path.is_null() {
        return Ok(INHERIT);
    }
    // SAFETY: a C string of the parent's.
    check(SpawnStage::Terminal, unsafe { libc::open(path, libc::O_RDWR | libc::O_CLOEXEC) })
}

fn unblock_signals() {
    // SAFETY: on Linux, all zeroes is the empty set.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a valid set; no old one is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut()) };
}

/// Blocks every signal of this thread for as long as it lives.
struct AllSignalsBlocked {
    before: libc::sigset_t,
}

impl AllSignalsBlocked {
    fn new() -> Self {
        // SAFETY: all zeroes is a valid, if meaningless, set; both are filled in before anything reads them.
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
        // SAFETY: a valid place for a set.
        unsafe { libc::sigfillset(&mut all) };
        // SAFETY: two valid sets.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before) };
        Self { before }
    }
}

impl Drop for AllSignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the set that was in force before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

/// The stack children start on, with a page below it that must not be touched.
#[derive(Debug)]
struct Stack {
    base: *mut libc::c_void,
}

/// Generous for a few frames of plain system calls, in debug builds too.
const STACK_SIZE: usize = 64 * 1024;
/// At least one page on every architecture Linux runs on.
const GUARD_SIZE: usize = 64 * 1024;

impl Stack {
    fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), GUARD_SIZE + STACK_SIZE, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base };
        // SAFETY: the upper part of the mapping just made.
        let usable = unsafe { base.byte_add(GUARD_SIZE) };
        // SAFETY: as above; no child is on it yet.
        if unsafe { libc::mprotect(usable, STACK_SIZE, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }

    /// Returns its highest address: stacks grow downwards on every architecture Linux runs on.
    fn top(&self) -> *mut libc::c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.base.byte_add(GUARD_SIZE + STACK_SIZE) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no child is on it.
        unsafe { libc::munmap(self.base, GUARD_SIZE + STACK_SIZE) };
    }
}
