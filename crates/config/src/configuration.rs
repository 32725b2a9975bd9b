//! What a user sets once: the configuration file, its presets, the environment, and which of them wins.
//!
//! A value is that of the first that has one:
//!
//! 1. what a host says about itself (`user@host:port`): user, port and key only
//! 2. the flags of the command line, or what a program says itself
//! 3. the environment: `PHALANX_…`, see [`keys::KEYS`]
//! 4. the preset that is in force
//! 5. the configuration file
//! 6. the built-in default; for connections, what the user's own ssh does
//!
//! Lists of options for ssh and scp are joined, the first of these first, since ssh takes the first of several values.
//!
//! The file is the first that applies:
//!
//! 1. the one given to [`Loader::file`]
//! 2. `$PHALANX_CONFIG`
//! 3. `phalanx/config.toml` in `$XDG_CONFIG_HOME`, or in `~/.config`; only this one may be missing
//!
//! The preset that is in force is the one named by the first of `--preset` ([`Loader::preset`]), `$PHALANX_PRESET`, and the
//! key `preset` of the file. It is `[presets.NAME]` of the file, or one that is [built in](BUILT_IN_PRESETS).
//!
//! Nothing is read unless a caller asks for it, and nothing takes effect before [`Configuration::apply`], or before a part
//! is passed to the code that obeys it. The second source of the first list is unknown here: the parameters of a
//! connection are resolved in one place, [`SshOptions::resolve`], for which this supplies the defaults.
//!
//! ```
//! use phalanx_config::configuration::Configuration;
//!
//! let configuration = Configuration::parse("lab.toml", "fanout = 8\n[connection]\nuser = 'root'\n")?;
//! assert_eq!(configuration.connection.user.as_deref(), Some("root"));
//! # Ok::<(), phalanx_config::toml_doc::Diagnostics>(())
//! ```

mod execo;
pub mod keys;
mod loader;
mod read;
mod rewrite;
mod show;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anstyle::Style;
use log::LevelFilter;
use phalanx_action::chain::ChainParams;
use phalanx_action::factory::{ActionFactory, GetTool, PutTool, RemoteTool, set_default_factory};
use phalanx_action::rollout::DEFAULT_FANOUT;
use phalanx_action::taktuk::TaktukParams;
use phalanx_process::port::{self, Ports};
use phalanx_process::process::{COMPACT_OUTPUT_THRESHOLD, set_compact_output_threshold};
use phalanx_process::spec::Policy;
use phalanx_process::ssh::{SshOptions, set_defaults};

use crate::style::{Role, Styles, When};
use crate::toml_doc::Diagnostics;

pub use loader::{BUILT_IN_PRESETS, LoadError, Loaded, Loader, Origin};
pub use rewrite::Rewrite;
pub use show::template;

/// Everything that can be configured, as plain data. The default holds without any file.
///
/// What each field does, and how it is written, is in [`keys::KEYS`] under its own name.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The level of the log.
    pub log_level: LevelFilter,
    /// The tool that runs commands on hosts.
    pub remote_tool: RemoteTool,
    /// The tool that copies files to hosts.
    pub put_tool: PutTool,
    /// The tool that copies files from hosts.
    pub get_tool: GetTool,
    /// The number of hosts that work at once.
    pub fanout: usize,
    /// The time limit on each host; zero for none.
    pub command_timeout: Option<Duration>,
    /// The time between a polite signal and SIGKILL. When not set, the caller that starts the process decides: 60 s in
    /// programs, 5 s on the command line.
    pub kill_timeout: Option<Duration>,
    /// How much of each stream a description of a process shows, in characters; 0 for all.
    pub compact_output_threshold: usize,
    /// The range from which local ports are chosen; the end is excluded.
    pub port_range: Range<u16>,
    /// When colours are used.
    pub color: When,
    /// The styles that differ from the defaults.
    pub styles: BTreeMap<Role, Style>,
    /// How to reach hosts. Its `host_rewrite` is not set here, but by the field of that name, which can be compared.
    pub connection: SshOptions,
    /// How the address of a host becomes the one to connect to.
    pub host_rewrite: Option<Rewrite>,
    /// The parameters of taktuk.
    pub taktuk: TaktukParams,
    /// The parameters of chains: how they are built, and their time limits.
    pub chain: ChainParams,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            log_level: LevelFilter::Warn,
            remote_tool: RemoteTool::default(),
            put_tool: PutTool::default(),
            get_tool: GetTool::default(),
            fanout: DEFAULT_FANOUT,
            command_timeout: None,
            kill_timeout: None,
            compact_output_threshold: COMPACT_OUTPUT_THRESHOLD,
            port_range: Ports::RANGE,
            color: When::Auto,
            styles: BTreeMap::new(),
            connection: SshOptions::default(),
            host_rewrite: None,
            taktuk: TaktukParams::default(),
            chain: ChainParams::default(),
        }
    }
}

impl Configuration {
    /// Loads the user's configuration: see [the module](self) for what is read.
    ///
    /// # Errors
    /// All errors in the file or the environment.
    pub fn load() -> Result<Self, LoadError> {
        Loader::standard().load().map(|loaded| loaded.configuration)
    }

    /// Loads a file, and nothing else.
    ///
    /// # Errors
    /// All errors in it.
    pub fn from_file(path: &Path) -> Result<Self, LoadError> {
        Loader::nothing().file(path).load().map(|loaded| loaded.configuration)
    }

    /// Parses a text, and reads nothing else; `name` is the name of its file in messages.
    ///
    /// # Errors
    /// All errors in it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        loader::of_text(name, text)
    }

    /// Returns how to reach hosts, with the rewriting of addresses.
    #[must_use]
    pub fn ssh_options(&self) -> SshOptions {
        let host_rewrite = self.host_rewrite.as_ref().map(Rewrite::function);
        SshOptions { host_rewrite, ..self.connection.clone() }
    }

    /// Returns `policy` with the configured parts replaced.
    #[must_use]
    pub fn policy(&self, policy: Policy) -> Policy {
        let timeout = policy.timeout.or(self.command_timeout).filter(|timeout| !timeout.is_zero());
        Policy { timeout, grace: self.kill_timeout.or(policy.grace), ..policy }
    }

    /// Returns the styles for a stream.
    #[must_use]
    pub fn styles(&self, stream: &impl IsTerminal) -> Styles {
        let styles = Styles::when(self.color, stream);
        self.styles.iter().fold(styles, |styles, (role, style)| styles.with(*role, *style))
    }

    /// Returns a factory that makes actions with the configured tools.
    #[must_use]
    pub fn factory(&self) -> ActionFactory {
        let (remote, put, get) = (self.remote_tool, self.put_tool, self.get_tool);
        ActionFactory { remote, put, get, taktuk: self.taktuk.clone(), chain: self.chain.clone() }
    }

    /// Makes it the default in this program: the defaults of connections
    /// ([`set_defaults`]), the tools of the [factory](phalanx_action::factory::default_factory), the range of [`port::get_port`], and how much [a dump](phalanx_process::Process::dump)
    /// shows. For the author of a program, not of a library.
    pub fn apply(&self) {
        set_defaults(self.ssh_options());
        set_default_factory(self.factory());
        port::set_range(self.port_range.clone());
        set_compact_output_threshold(self.compact_output_threshold);
    }
}

#[cfg(test)]
mod tests;
