//! Starts children: opens what they read and write, registers them with the watchdog, finds their program.

use std::ffi::CString;
use std::io;
use std::time::Duration;

use phalanx_core::spawn::{Group, SpawnError};
use phalanx_core::watchdog::{Registration, Watchdog};
use phalanx_core::{Child, Interest, Reactor, Signal};

use super::super::driver::DriverCtx;
use super::super::stdin::StdinPipe;
use super::super::stdio::{ChildStdio, ParentStdio};
use super::super::tokens::{Source, key};
use super::failure::Failure;
use super::{LocalChild, LocalDriver};
use crate::event::{Input, Stream};
use crate::id::ProcessId;
use crate::outcome::StartError;
use crate::spec::{Environment, Launch};

/// When a resource has run out, the next try comes at the latest after this.
const RETRY_AFTER: Duration = Duration::from_millis(50);

impl LocalDriver {
    pub(super) fn spawn(&mut self, id: ProcessId, launch: &Launch, ctx: &mut DriverCtx<'_>) {
        match self.try_spawn(id, launch, ctx.reactor) {
            Ok(live) => {
                let pid = live.child.pid();
                self.descriptors.ours += live.descriptors;
                self.live.insert(id, live);
                ctx.input(id, Input::Spawned { pid });
                self.report_missing_streams(id, ctx);
            }
            Err(failure) => {
                let reason = StartError { program: program_name(launch), reason: failure.reason, errno: failure.errno };
                if failure.shortage {
                    let level = if self.live.is_empty() && !std::mem::replace(&mut self.shortage_told, true) {
                        log::Level::Warn
                    } else {
                        log::Level::Debug
                    };
                    log::log!(level, "{reason}; waiting for something to be given back");
                    ctx.input(id, Input::ResourceExhausted { retry_at: ctx.now + RETRY_AFTER, reason });
                } else {
                    ctx.input(id, Input::SpawnFailed(reason));
                }
            }
        }
    }

    /// A stream that does not go to us is at its end from the start.
    fn report_missing_streams(&self, id: ProcessId, ctx: &mut DriverCtx<'_>) {
        let live = &self.live[&id];
        for (stream, fd) in [(Stream::Stdout, &live.stdout), (Stream::Stderr, &live.stderr)] {
            if fd.is_none() {
                ctx.input(id, Input::Eof(stream));
            }
        }
    }

    fn try_spawn(&mut self, id: ProcessId, launch: &Launch, reactor: &Reactor) -> Result<LocalChild, Failure> {
        if self.live.is_empty() {
            // Alone, we try whatever the count says: it may be wrong.
        } else if self.descriptors.ours + ChildStdio::needed(launch) > self.descriptors.limit {
            return Err(Failure::shortage("too many open files"));
        }
        let ends = ChildStdio::open(launch)?;
        let mut arguments = launch.c_arguments().map_err(Failure::malformed)?;
        if let (Some(place), Some(path)) = (launch.diagnostics, ends.diagnostics_path()) {
            arguments[place] = path;
        }
        ends.register(id, reactor)?;
        let line = self.watchdog_entry();
        let child = self.start(id, launch, &arguments, &ends, line.as_ref());
        let child = match child {
            Ok(child) => child,
            Err(failure) => {
                self.release_line(line);
                return Err(failure.into());
            }
        };
        if let Some(pidfd) = child.pidfd()
            && let Err(error) = reactor.register(pidfd, key(id, Source::Exit), Interest::Readable)
        {
            let _ = child.signal_group(Signal::KILL);
            self.release_line(line);
            let _ = child.reap();
            return Err(error.into());
        }
        let ours = ends.into_ours();
        let descriptors = ours.count() + usize::from(child.pidfd().is_some());
        let ParentStdio { stdin, stdout, stderr, diagnostics, diagnostics_writer, master } = ours;
        Ok(LocalChild {
            child,
            line,
            stdout,
            stderr,
            diagnostics,
            master,
            diagnostics_writer,
            stdin: stdin.map(StdinPipe::new),
            exited: false,
            descriptors,
        })
    }

    fn start(
        &mut self,
        id: ProcessId,
        launch: &Launch,
        arguments: &[CString],
        ends: &ChildStdio,
        line: Option<&Registration>,
    ) -> Result<Child, SpawnError> {
        let name = arguments.first().map_or(c"", |name| name.as_c_str());
        let directory = ends.directory();
        let ours;
        let environment = match &launch.environment {
            Some(environment) => environment,
            None => {
                ours = Environment::inherited();
                &ours
            }
        };
        let registration =
            self.watchdog.as_ref().zip(line).map(|(watchdog, line)| (watchdog.registry(), line.offset()));
        // What reports on its own doings is ssh, and what it leaves behind may be a connection that others share
        // (ControlPersist): it is not to be killed.
        let mark = launch.diagnostics.is_none().then(|| self.descendants.mark(id));
        let group = if ends.slave().is_some() { Group::Session } else { Group::Own };
        // A program may have moved since it was found: look once more before giving up.
        for attempt in 0.. {
            let program = self.programs.find(name)?;
            let command = phalanx_core::spawn::Command {
                program,
                arguments,
                environment: environment.variables(),
                env_tag: mark.as_deref(),
                directory,
                terminal: ends.slave(),
                stdio: ends.childs(),
                group,
                survives_parent: false,
                registration,
            };
            match self.spawner.spawn(&command) {
                Err(failure) if attempt == 0 && failure.error.kind() == io::ErrorKind::NotFound => {
                    self.programs.forget(name);
                }
                other => return other,
            }
        }
        unreachable!("the second attempt returns")
    }

    /// A line in the registry of the watchdog, which is started with the first child.
    fn watchdog_entry(&mut self) -> Option<Registration> {
        if !std::mem::replace(&mut self.watchdog_tried, true) {
            match Watchdog::start(&mut self.spawner) {
                Ok(watchdog) => self.watchdog = Some(watchdog),
                Err(error) => log::warn!(
                    "cannot start the watchdog with /bin/sh, so grandchildren may outlive a SIGKILL of this program: {error}"
                ),
            }
        }
        let reserved = self.watchdog.as_mut()?.reserve();
        reserved.inspect_err(|error| log::warn!("cannot register a process group: {error}")).ok()
    }

    pub(super) fn release_line(&mut self, line: Option<Registration>) {
        if let (Some(watchdog), Some(line)) = (&mut self.watchdog, line) {
            watchdog.release(line);
        }
    }
}

fn program_name(launch: &Launch) -> String {
    match launch.command.arguments() {
        Ok(arguments) => arguments.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        Err(_) => launch.name(),
    }
}
