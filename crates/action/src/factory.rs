//! Chooses the tool for each kind of action: plain names, as a configuration or a user gives them, and the factory that
//! makes actions with the tools that were chosen.
//!
//! An action is described once, as for ssh ([`Remote`], [`FileCopy`]), and the factory builds it with its tool. What
//! a tool cannot do of what was described is an error that says so.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use phalanx_process::engine::EngineHandle;

use crate::action::Action;
use crate::chain::ChainParams;
use crate::files::{CopyError, FileCopy, Via};
use crate::remote::{Remote, RemoteError};
use crate::taktuk::{TaktukError, TaktukParams, TaktukRemote};

/// What runs commands on hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RemoteTool {
    /// One ssh for each host.
    #[default]
    Ssh,
    /// One `taktuk` for all of them, which spreads over the hosts as a tree.
    Taktuk,
}

/// What copies files to hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PutTool {
    /// One ssh connection for each host, see [`crate::files`]. It keeps execo's name: `scp` is what it stands for.
    #[default]
    Scp,
    /// One `taktuk` for all of them, which spreads over the hosts as a tree.
    Taktuk,
    /// From host to host, as a chain.
    Chain,
}

/// What copies files from hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GetTool {
    /// One ssh connection for each host, see [`crate::files`]. It keeps execo's name: `scp` is what it stands for.
    #[default]
    Scp,
    /// One `taktuk` for all of them.
    Taktuk,
}

/// A name that no tool has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no tool to {purpose}; known are {known}")]
pub struct UnknownTool {
    name: String,
    purpose: &'static str,
    known: String,
}

/// Gives a kind of tool its names: what is shown, and what is understood in any case, the shown name first.
macro_rules! named {
    ($kind:ident, $purpose:literal, $($tool:ident = $name:literal),+) => {
        impl $kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$tool),+];

            /// Its name in a configuration.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$tool => $name),+ }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $kind {
            type Err = UnknownTool;

            /// Understands its name in upper and lower case.
            fn from_str(name: &str) -> Result<Self, UnknownTool> {
                let tool = Self::ALL.iter().find(|tool| tool.name().eq_ignore_ascii_case(name));
                tool.copied().ok_or_else(|| UnknownTool {
                    name: name.to_owned(),
                    purpose: $purpose,
                    known: Self::ALL.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

named!(RemoteTool, "run commands on hosts", Ssh = "ssh", Taktuk = "taktuk");
named!(PutTool, "copy files to hosts", Scp = "scp", Taktuk = "taktuk", Chain = "chain");
named!(GetTool, "copy files from hosts", Scp = "scp", Taktuk = "taktuk");

/// Makes actions with the tools that were chosen.
///
/// ```no_run
/// use phalanx_action::factory::{ActionFactory, RemoteTool};
/// use phalanx_action::remote::Remote;
///
/// let factory = ActionFactory { remote: "taktuk".parse()?, ..ActionFactory::default() };
/// assert_eq!(factory.remote, RemoteTool::Taktuk);
/// let action = factory.build_remote(Remote::new("uptime", ["node1", "node2"]))?.run();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActionFactory {
    /// What runs commands on hosts.
    pub remote: RemoteTool,
    /// What copies files to hosts.
    pub put: PutTool,
    /// What copies files from hosts.
    pub get: GetTool,
    /// How taktuk is called, where it is the tool.
    pub taktuk: TaktukParams,
    /// How a chain is built, where it is the tool.
    pub chain: ChainParams,
}

/// Why an action cannot be made with the tool that was chosen.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each is the error of one kind of action")]
pub enum FactoryError {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Taktuk(#[from] TaktukError),
}

static DEFAULT: LazyLock<RwLock<Arc<ActionFactory>>> = LazyLock::new(RwLock::default);

/// The factory of this program: at first, one of ssh and scp.
#[must_use]
pub fn default_factory() -> Arc<ActionFactory> {
    Arc::clone(&DEFAULT.read().unwrap_or_else(PoisonError::into_inner))
}

/// Sets the factory of this program, from now on. For the author of a script; a library is given one instead.
pub fn set_default_factory(factory: ActionFactory) {
    *DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(factory);
}

impl ActionFactory {
    /// A command on many hosts, run by the default engine.
    ///
    /// # Errors
    /// When the tool cannot do it, or something is wrong with its description.
    pub fn build_remote(&self, remote: Remote) -> Result<Action, FactoryError> {
        self.build_remote_on(remote, EngineHandle::global())
    }

    /// A command on many hosts, run by `engine`.
    ///
    /// # Errors
    /// As for [`ActionFactory::build_remote`].
    pub fn build_remote_on(&self, remote: Remote, engine: &EngineHandle) -> Result<Action, FactoryError> {
        Ok(match self.remote {
            RemoteTool::Ssh => remote.build_on(engine)?,
            RemoteTool::Taktuk => TaktukRemote::try_from(remote)?.taktuk(self.taktuk.clone()).build_on(engine)?,
        })
    }

    /// Files to many hosts, run by the default engine.
    ///
    /// # Errors
    /// When the tool cannot do it, or something is wrong with its description.
    pub fn build_put(&self, put: FileCopy) -> Result<Action, FactoryError> {
        self.build_put_on(put, EngineHandle::global())
    }

    /// Files to many hosts, run by `engine`.
    ///
    /// # Errors
    /// As for [`ActionFactory::build_put`].
    pub fn build_put_on(&self, put: FileCopy, engine: &EngineHandle) -> Result<Action, FactoryError> {
        let via = match self.put {
            PutTool::Scp => Via::Ssh,
            PutTool::Taktuk => self.taktuk.clone().into(),
            PutTool::Chain => self.chain.clone().into(),
        };
        Ok(put.via(via).build_on(engine)?)
    }

    /// Files from many hosts, run by the default engine.
    ///
    /// # Errors
    /// When the tool cannot do it, or something is wrong with its description.
    pub fn build_get(&self, get: FileCopy) -> Result<Action, FactoryError> {
        self.build_get_on(get, EngineHandle::global())
    }

    /// Files from many hosts, run by `engine`.
    ///
    /// # Errors
    /// As for [`ActionFactory::build_get`].
    pub fn build_get_on(&self, get: FileCopy, engine: &EngineHandle) -> Result<Action, FactoryError> {
        let via = match self.get {
            GetTool::Scp => Via::Ssh,
            GetTool::Taktuk => self.taktuk.clone().into(),
        };
        Ok(get.via(via).build_on(engine)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 176 to 178 and 187.
    #[test]
    fn tools_are_found_by_their_names_in_any_case() {
        for (text, tool) in [("ssh", RemoteTool::Ssh), ("SSH", RemoteTool::Ssh), ("TakTuk", RemoteTool::Taktuk)] {
            assert_eq!(text.parse(), Ok(tool));
        }
        for tool in PutTool::ALL {
            assert_eq!(tool.to_string().parse(), Ok(*tool));
        }
        assert_eq!("SCP".parse(), Ok(GetTool::Scp));
        assert_eq!(
            [RemoteTool::default().name(), PutTool::default().name(), GetTool::default().name()],
            ["ssh", "scp", "scp"]
        );
    }

    #[test]
    fn an_unknown_tool_is_refused_and_the_known_ones_are_named() {
        let error = "rsync".parse::<PutTool>().unwrap_err();
        assert_eq!(error.to_string(), "`rsync` is no tool to copy files to hosts; known are scp, taktuk, chain");
        for text in ["", "chain ", "scp\n"] {
            assert!(text.parse::<RemoteTool>().is_err(), "{text:?}");
        }
    }
}
