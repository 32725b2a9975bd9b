//! Real children, made by the spawner.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing there")]

use std::ffi::{CStr, CString};
use std::io::Read as _;
use std::os::fd::AsFd as _;

use phalanx_core::child::{Child, ExitStatus};
use phalanx_core::pipe::Pipe;
use phalanx_core::spawn::{Command, Group, PathCache, SpawnError, SpawnStage, Spawner, Stdio};
use phalanx_core::watchdog::Watchdog;
use phalanx_core::{Interest, Reactor, Signal};

fn strings(words: &[&str]) -> Vec<CString> {
    words.iter().map(|word| CString::new(*word).unwrap()).collect()
}

fn start(spawner: &mut Spawner, program: &CStr, words: &[&str]) -> Result<(Child, Pipe), SpawnError> {
    start_in(spawner, program, words, None, Group::Own)
}

fn start_in(
    spawner: &mut Spawner,
    program: &CStr,
    words: &[&str],
    directory: Option<&CStr>,
    group: Group,
) -> Result<(Child, Pipe), SpawnError> {
    let pipe = Pipe::new().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let out = Stdio::Descriptor(pipe.writer.as_fd());
    let child = spawner.spawn(&Command {
        program,
        arguments: &strings(words),
        environment: &strings(&["GREETING=hello", "PATH=/bin:/usr/bin"]),
        env_tag: None,
        directory,
        terminal: None,
        stdio: [Stdio::Descriptor(null.as_fd()), out, out],
        group,
        survives_parent: false,
        registration: None,
    })?;
    Ok((child, pipe))
}

fn output(pipe: Pipe) -> String {
    drop(pipe.writer);
    let mut text = String::new();
    std::fs::File::from(pipe.reader).read_to_string(&mut text).unwrap();
    text
}

fn shell(script: &str, pidfds: bool) -> (String, ExitStatus) {
    let mut spawner = Spawner::new(None, pidfds).unwrap();
    let (child, pipe) = start(&mut spawner, c"/bin/sh", &["sh", "-c", script]).unwrap();
    let text = output(pipe);
    (text, child.reap().unwrap())
}

#[test]
fn runs_with_its_arguments_environment_and_ends() {
    for pidfds in [true, false] {
        let (text, status) = shell("echo $GREETING; echo err >&2; read x || echo no input; exit 3", pidfds);
        assert_eq!((text.as_str(), status), ("hello\nerr\nno input\n", ExitStatus::Exited(3)));
    }
}

#[test]
fn tells_a_signal_from_an_exit_code() {
    for pidfds in [true, false] {
        let (_, status) = shell("kill -KILL $$", pidfds);
        assert_eq!(status, ExitStatus::Signaled { signal: Signal::KILL, core_dumped: false });
    }
    let (_, status) = shell("kill -36 $$", true);
    assert!(matches!(status, ExitStatus::Signaled { signal, .. } if signal.number() == 36));
}

#[test]
fn a_missing_program_is_an_error_of_the_execute_step_and_leaves_no_zombie() {
    let mut spawner = Spawner::new(None, true).unwrap();
    let failure = start(&mut spawner, c"/no/such/program", &["x"]).unwrap_err();
    assert_eq!((failure.stage, failure.error.raw_os_error()), (SpawnStage::Execute, Some(2)));
    assert!(!failure.is_shortage());
    let failure = start(&mut spawner, c"/etc/passwd", &["x"]).unwrap_err();
    assert_eq!((failure.stage, failure.error.kind()), (SpawnStage::Execute, std::io::ErrorKind::PermissionDenied));
}

#[test]
fn a_missing_directory_is_named_as_such() {
    let mut spawner = Spawner::new(None, true).unwrap();
    let failure = start_in(&mut spawner, c"/bin/true", &["true"], Some(c"/no/such"), Group::Own).unwrap_err();
    assert_eq!(failure.stage, SpawnStage::Directory);
    let (child, pipe) = start_in(&mut spawner, c"/bin/pwd", &["pwd"], Some(c"/usr"), Group::Own).unwrap();
    assert_eq!(output(pipe), "/usr\n");
    child.reap().unwrap();
}

#[test]
fn leads_its_own_group_or_session() {
    let mut spawner = Spawner::new(None, true).unwrap();
    for (group, same_session) in [(Group::Own, true), (Group::Session, false)] {
        let (child, pipe) =
            start_in(&mut spawner, c"/bin/sh", &["sh", "-c", "cut -d' ' -f5,6 /proc/$$/stat"], None, group).unwrap();
        let pid = child.pid().to_string();
        let text = output(pipe);
        let (pgrp, session) = text.trim().split_once(' ').unwrap();
        assert_eq!(pgrp, pid);
        assert_eq!(session != pid, same_session);
        child.reap().unwrap();
    }
}

#[test]
fn children_get_a_clean_slate_of_signals() {
    // Rust ignores SIGPIPE; a child must not. The shell steps aside, since it blocks signals for its own forks.
    let (text, _) = shell("exec grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status", true);
    for line in text.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(mask & (1 << (13 - 1)), 0, "{line}");
        if line.starts_with("SigBlk") {
            assert_eq!(mask, 0, "{line}");
        }
    }
}

#[test]
fn nothing_else_is_inherited() {
    // dup leaves close-on-exec off: what a careless library does.
    let _forgotten = nix::unistd::dup(std::fs::File::open("/dev/null").unwrap()).unwrap();
    let (text, _) = shell("ls /proc/self/fd", true);
    // 0, 1, 2 and the directory that ls itself reads.
    assert_eq!(text.split_whitespace().count(), 4, "{text}");
}

#[test]
fn the_descriptor_limit_of_the_child_is_the_original_one() {
    let limit = phalanx_core::rlimit::DescriptorLimit { original: 100, hard: 200, current: 200 };
    let mut spawner = Spawner::new(Some(limit), true).unwrap();
    let (child, pipe) = start(&mut spawner, c"/bin/sh", &["sh", "-c", "ulimit -Sn; ulimit -Hn"]).unwrap();
    assert_eq!(output(pipe), "100\n200\n");
    child.reap().unwrap();
}

#[test]
fn the_end_is_readiness_and_the_group_can_be_killed() {
    let mut spawner = Spawner::new(None, true).unwrap();
    let mut reactor = Reactor::new().unwrap();
    let (child, pipe) = start(&mut spawner, c"/bin/sh", &["sh", "-c", "sleep 1000 & echo up; wait"]).unwrap();
    reactor.register(child.pidfd().unwrap(), 42, Interest::Readable).unwrap();
    let mut up = [0; 3];
    nix::unistd::read(&pipe.reader, &mut up).unwrap();
    assert_eq!(child.peek().unwrap(), None);
    child.signal_group(Signal::TERM).unwrap();
    assert_eq!(reactor.poll(None).unwrap().next().unwrap().token, 42);
    assert!(matches!(child.peek().unwrap(), Some(ExitStatus::Signaled { signal: Signal::TERM, .. })));
    // The pipe ends only when the background sleep is gone too.
    assert_eq!(output(pipe), "");
    assert!(matches!(child.reap().unwrap(), ExitStatus::Signaled { .. }));
}

#[test]
fn programs_are_found_in_path_and_denied_ones_are_told_apart() {
    let mut programs = PathCache::default();
    assert!(programs.find(c"sh").unwrap().to_bytes().ends_with(b"/sh"));
    assert_eq!(programs.find(c"./x/y").unwrap(), c"./x/y");
    for name in [c"no-such-program-anywhere", c""] {
        let failure = programs.find(name).unwrap_err();
        assert_eq!((failure.stage, failure.error.kind()), (SpawnStage::Find, std::io::ErrorKind::NotFound));
    }
}

#[test]
fn swapped_ends_do_not_overwrite_each_other() {
    // stdout of the child is our 2, stderr our 1: as a script would say `1>&2 2>&1` and be disappointed.
    let mut spawner = Spawner::new(None, true).unwrap();
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let null = std::fs::File::open("/dev/null").unwrap();
    let link = |n: i32| std::fs::read_link(format!("/proc/self/fd/{n}")).unwrap();
    let script = format!(
        "test $(readlink /proc/$$/fd/1) = '{}' && test $(readlink /proc/$$/fd/2) = '{}'",
        link(2).display(),
        link(1).display()
    );
    let child = spawner
        .spawn(&Command {
            program: c"/bin/sh",
            arguments: &strings(&["sh", "-c", &script]),
            environment: &strings(&["PATH=/bin:/usr/bin"]),
            env_tag: None,
            directory: None,
            terminal: None,
            stdio: [
                Stdio::Descriptor(null.as_fd()),
                Stdio::Descriptor(stderr.as_fd()),
                Stdio::Descriptor(stdout.as_fd()),
            ],
            group: Group::Own,
            survives_parent: false,
            registration: None,
        })
        .unwrap();
    assert_eq!(child.reap().unwrap(), ExitStatus::Exited(0));
}

#[test]
fn a_registered_group_stands_in_the_registry_until_released() {
    let mut spawner = Spawner::new(None, true).unwrap();
    let mut watchdog = Watchdog::start(&mut spawner).unwrap();
    let line = watchdog.reserve().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let end = Stdio::Descriptor(null.as_fd());
    let child = spawner
        .spawn(&Command {
            program: c"/bin/true",
            arguments: &strings(&["true"]),
            environment: &[],
            env_tag: None,
            directory: None,
            terminal: None,
            stdio: [end, end, end],
            group: Group::Own,
            survives_parent: false,
            registration: Some((watchdog.registry(), line.offset())),
        })
        .unwrap();
    let entry = |watchdog: &Watchdog| {
        let mut bytes = [0; phalanx_core::watchdog::ENTRY_LENGTH];
        nix::sys::uio::pread(watchdog.registry(), &mut bytes, 0).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap().trim().to_owned()
    };
    assert_eq!(entry(&watchdog), child.pid().to_string());
    watchdog.release(line);
    assert_eq!(entry(&watchdog), "");
    child.reap().unwrap();
}

#[test]
fn the_watchdog_kills_what_is_registered_when_we_are_gone() {
    let mut spawner = Spawner::new(None, true).unwrap();
    let mut watchdog = Watchdog::start(&mut spawner).unwrap();
    let line = watchdog.reserve().unwrap();
    let pipe = Pipe::new().unwrap();
    let out = Stdio::Descriptor(pipe.writer.as_fd());
    let null = std::fs::File::open("/dev/null").unwrap();
    let child = spawner
        .spawn(&Command {
            program: c"/bin/sh",
            arguments: &strings(&["sh", "-c", "sleep 1000 & echo up; wait"]),
            environment: &strings(&["PATH=/bin:/usr/bin"]),
            env_tag: None,
            directory: None,
            terminal: None,
            stdio: [Stdio::Descriptor(null.as_fd()), out, out],
            group: Group::Own,
            survives_parent: false,
            registration: Some((watchdog.registry(), line.offset())),
        })
        .unwrap();
    let mut up = [0; 3];
    nix::unistd::read(&pipe.reader, &mut up).unwrap();
    watchdog.simulate_crash();
    assert_eq!(output(pipe), "", "the pipe ends when child and grandchild are gone");
    assert!(matches!(child.reap().unwrap(), ExitStatus::Signaled { signal: Signal::KILL, .. }));
}
