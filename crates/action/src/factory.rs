//! Chooses the tool for each kind of action: plain names, as a configuration or a user gives them.

use std::fmt;
use std::str::FromStr;

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
