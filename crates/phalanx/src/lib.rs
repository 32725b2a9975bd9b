//! Launches and controls many processes at once, on this machine and on thousands of others.
//!
//! One dependency and one `use` bring everything on this page:
//!
//! ```toml
//! [dependencies]
//! phalanx = "0.1"
//! ```
//!
//! ```
//! use phalanx::prelude::*;
//! ```
//!
//! # A process
//! A [`Process`](process::Process) is described, started and waited for; methods chain. Its failure is data until
//! [`check`](process::Process::check) turns it into an error that says why.
//!
//! ```
//! use phalanx::prelude::*;
//!
//! let process = Process::new("uname -s").run().check()?;
//! assert_eq!(process.stdout(), b"Linux\n");
//!
//! let failed = Process::shell("echo 'the disk is full' >&2; exit 3").nolog(Faults::ALL).run();
//! assert!(!failed.ok());
//! let error = failed.check().unwrap_err();
//! assert!(error.to_string().contains("the disk is full"), "{error}");
//! # Ok::<(), phalanx::process::process::ProcessesFailed>(())
//! ```
//!
//! Output is read and time limits hold while the caller does something else:
//!
//! ```
//! use phalanx::prelude::*;
//!
//! let sleeping = Process::new("sleep 60").timeout(0.2).nolog(Faults::ALL).start();
//! let _other_work = 6 * 7;
//! assert!(sleeping.wait().timed_out());
//! ```
//!
//! # A conversation
//! Expecting is incremental and looks at bytes: it returns at the match, the end of the stream or the time limit.
//!
//! ```
//! use phalanx::prelude::*;
//!
//! let shell = Process::new("sh").pty().start();
//! shell.write("printf 'ready%s' '> '\n");
//! let found = shell.expect(["ready> "])?;
//! assert_eq!(found.matched(), b"ready> ");
//! shell.kill();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many hosts
//! The user's own OpenSSH does the talking: `~/.ssh/config`, agent, jump hosts and known hosts work as usual, and host keys
//! are checked as usual.
//!
//! ```no_run
//! use phalanx::prelude::*;
//!
//! let hosts: NodeSet = "node[1-16]".parse()?;
//! let action = Remote::new("uname -sr", hosts.iter()).fanout(8).build()?.run().check()?;
//! for process in action.processes() {
//!     print!("{}: {}", process.host().unwrap_or_default(), String::from_utf8_lossy(&process.stdout()));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Without a server at hand, [`Local`](action::local::Local) runs a command here, and actions compose:
//!
//! ```
//! use phalanx::prelude::*;
//!
//! let both = Parallel::new([Local::new("true").build(), Local::new("echo hello").build()]).build().run();
//! assert!(both.finished_ok());
//! ```
//!
//! # Files
//! A copy is ok only when the other side has said that it has everything, and whole:
//!
//! ```no_run
//! use phalanx::prelude::*;
//!
//! let hosts = ["node1", "node2"];
//! FileCopy::to_hosts(["bin/server", "conf/*.toml"], "/opt/server/").on(hosts).verify(true).build()?.run().check()?;
//! FileCopy::from_hosts(["/var/log/*.log"], "logs").on(hosts).build()?.run().check()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Experiments
//! A [`sweep`] multiplies factors out and remembers on disk which combinations are done; a [`plan`] composes commands,
//! files, ports and dialogues in a TOML file; a [`record`] becomes a report.
//!
//! ```
//! use phalanx::prelude::*;
//!
//! let factors = Factors::new().factor("congestion", ["cubic", "bbr"]).factor("rtt", [1, 10]);
//! assert_eq!(factors.combinations()?.len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In a program of yours
//! * **Threads.** Handles are `Send + Sync`. Processes run on the default background engine, which has a thread of its own;
//!   [`Engine::current_thread`](process::engine::Engine::current_thread) runs them on the caller's thread instead.
//! * **Async.** Processes and actions are futures of any executor; dropping a future ends neither.
//! * **Handlers** run on the engine's thread. They may ask for anything and wait for nothing: a blocking call in one panics
//!   with a sentence.
//! * **Fork.** After `fork` the child has no engine thread. Using a handle there is refused with a sentence.
//! * **The end.** No process outlives the program, whether it returns, panics, or is killed with SIGKILL.
//! * **Logging** goes to the `log` crate; `nolog` and its kin silence what is expected.
//!
//! # Where things are
//! | module | what it is for |
//! |---|---|
//! | [`process`] | one process: description, handle, expect, handlers, serial lines, forwarded ports, ssh |
//! | [`action`] | many: commands on hosts, composition, files, chains, taktuk |
//! | [`nodeset`] | sets of hosts: `node[1-16]`, groups, set operations |
//! | [`plan`] | plans in TOML, as `phalanx play` plays them |
//! | [`sweep`] | combinations of factors, and a resumable queue of them |
//! | [`record`] | what a run recorded; reports |
//! | [`config`] | the user's configuration, groups of hosts, styles |

pub use phalanx_action as action;
pub use phalanx_config as config;
pub use phalanx_nodeset as nodeset;
pub use phalanx_plan as plan;
pub use phalanx_process as process;
pub use phalanx_record as record;
pub use phalanx_sweep as sweep;

/// Everything that most programs need, for `use phalanx::prelude::*`.
pub mod prelude {
    pub use phalanx_action::action::{Action, Parallel, Sequential};
    pub use phalanx_action::files::FileCopy;
    pub use phalanx_action::local::Local;
    pub use phalanx_action::remote::Remote;
    pub use phalanx_action::rollout::Rollout;
    pub use phalanx_nodeset::NodeSet;
    pub use phalanx_process::engine::{Engine, EngineHandle};
    pub use phalanx_process::event::{Event, Kill, Stream};
    pub use phalanx_process::expect::Pattern;
    pub use phalanx_process::forward::PortForwarder;
    pub use phalanx_process::host::Host;
    pub use phalanx_process::output::Capture;
    pub use phalanx_process::policy::{Faults, Policy};
    pub use phalanx_process::result::HostResult;
    pub use phalanx_process::serial::Serial;
    pub use phalanx_process::ssh::SshProcess;
    pub use phalanx_process::{ExitStatus, Process, Signal};
    pub use phalanx_record::report::Report;
    pub use phalanx_sweep::{Combination, Factors, Level, Queue};
}
